"""Where to measure next: policies that turn a posterior into points with a gain and a reason.

`POLICIES` holds them by name, those of other packages included (`registry`); filtering by limits, dose and budget is
the controller's business.
"""

from grainloop.model.acquire.evidence import with_evidence
from grainloop.model.acquire.filling import BlueNoise, GridFill, RandomPoints
from grainloop.model.acquire.lookahead import Lookahead
from grainloop.model.acquire.registry import GROUP, SHIPPED, find_policies
from grainloop.model.acquire.scene import Policy, Scene, fills_evenly
from grainloop.model.acquire.segments import Segments
from grainloop.model.acquire.spread import Spread
from grainloop.model.acquire.valued import Boundary, Entropy

_found = find_policies()
POLICIES: dict[str, Policy] = _found.policies
"""Every policy by name, the default first."""
POLICY_FAULTS: tuple[str, ...] = _found.faults
"""A sentence for each policy of another package that cannot be used."""
DEFAULT_POLICY = SHIPPED[0].name

__all__ = [
    "DEFAULT_POLICY",
    "GROUP",
    "POLICIES",
    "POLICY_FAULTS",
    "BlueNoise",
    "Boundary",
    "Entropy",
    "GridFill",
    "Lookahead",
    "Policy",
    "RandomPoints",
    "Scene",
    "Segments",
    "Spread",
    "fills_evenly",
    "find_policies",
    "with_evidence",
]
