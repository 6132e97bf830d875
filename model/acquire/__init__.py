"""Where to measure next: policies that turn a posterior into points with a gain and a reason.

`POLICIES` holds them by name; filtering by limits, dose and budget is the controller's business.
"""

from model.acquire.filling import GridFill, RandomPoints
from model.acquire.scene import Policy, Scene
from model.acquire.spread import Spread

POLICIES: dict[str, Policy] = {policy.name: policy for policy in (Spread(), GridFill(), RandomPoints())}
"""Every policy by name, the default first."""
DEFAULT_POLICY = Spread().name

__all__ = ["DEFAULT_POLICY", "POLICIES", "GridFill", "Policy", "RandomPoints", "Scene", "Spread"]
