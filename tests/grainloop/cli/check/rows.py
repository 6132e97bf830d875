"""What a check found, by what it is about."""

from __future__ import annotations

from collections.abc import Iterable

from grainloop.cli.check.findings import Finding, State


def found_by(check: Iterable[Finding]) -> dict[str, Finding]:
    """Findings by what they are about, the worst of each."""
    rows: dict[str, Finding] = {}
    for one in check:
        assert bool(one.do) is (one.state is not State.OK), one
        if one.what not in rows or list(State).index(one.state) > list(State).index(rows[one.what].state):
            rows[one.what] = one
    return rows
