"""Policies by name: those that ship, and those of other packages, found by their entry points.

A package offers a policy as an entry point of the group `grainloop.policies`: its name is the name of the policy, its
value an object that is a `Policy`, or a class or function without arguments that makes one. What cannot be used is left
out, and why is told; nothing that ships can be replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from grainloop.model.acquire.filling import BlueNoise, GridFill, RandomPoints
from grainloop.model.acquire.lookahead import Lookahead
from grainloop.model.acquire.scene import Policy
from grainloop.model.acquire.segments import Segments
from grainloop.model.acquire.spread import Spread
from grainloop.model.acquire.valued import Boundary, Entropy

GROUP = "grainloop.policies"
SHIPPED: tuple[Policy, ...] = (
    Spread(),
    Lookahead(),
    Entropy(),
    Boundary(),
    Segments(),
    GridFill(),
    BlueNoise(),
    RandomPoints(),
)
"""The default first."""


@dataclass(frozen=True)
class Found:
    """Policies by name, the default first, and a sentence for each entry point that cannot be used."""

    policies: dict[str, Policy]
    faults: tuple[str, ...]


def find_policies() -> Found:
    """Everything that ships and everything that is installed."""
    return collect(entry_points(group=GROUP))


def collect(offered: Iterable[EntryPoint]) -> Found:
    """The policies that ship with those offered."""
    policies, faults = {policy.name: policy for policy in SHIPPED}, list[str]()
    for entry in sorted(offered, key=lambda one: (one.name, one.value)):
        found = _load(entry, frozenset(policies))
        if isinstance(found, str):
            faults.append(found)
        else:
            policies[found.name] = found
    return Found(policies, tuple(faults))


def _load(entry: EntryPoint, taken: frozenset[str]) -> Policy | str:
    """The policy of an entry point, or why it cannot be used."""
    package = entry.dist.name if entry.dist is not None else "unknown"
    told = f"The policy '{entry.name}' of the package {package} ({entry.value})"
    if entry.name in taken:
        return f"{told} cannot be used: there is a policy of that name."
    try:
        offered = entry.load()
        policy = offered() if isinstance(offered, type) or not hasattr(offered, "name") else offered
    except Exception as error:  # noqa: BLE001  # code of others: whatever it raises, the service must go on
        return f"{told} cannot be loaded: {type(error).__name__}: {error}."
    return policy if _fits(policy, entry.name) else f"{told} is no policy of that name: it needs `name` and a call."


def _fits(policy: Any, name: str) -> bool:
    return callable(policy) and getattr(policy, "name", None) == name
