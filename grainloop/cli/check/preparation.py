"""`grainloop check --prepare`: what a run computes with is compiled, and what that came to is told."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict

import typer

from grainloop.cli.prepare import Prepared, prepare_first_use


def prepare_now(*, json: bool) -> bool:
    """Compile what is not compiled; whether that went well."""
    done = prepare_first_use(quiet=json)
    for line in [jsonlib.dumps(asdict(done))] if json else told(done):
        typer.echo(line)
    return not done.failed


def told(done: Prepared) -> list[str]:
    """What to tell of it, a sentence a line; of a failure nothing, which was told when it happened."""
    if done.failed:
        return []
    lacking = done.missing.items()
    left_out = [f"Without {package} there is nothing to prepare for {', '.join(of)}." for package, of in lacking]
    return [*left_out, f"The kernels are compiled ({done.compiled} now, {done.seconds:.0f} s)."]
