"""A plan, loaded and checked against an instrument and a model, and what it comes to there.

`loading` makes a plan of a file, `terms` are a plan and the instrument that carries it out, `checks` refuse what cannot
be. Nothing here talks to a service.
"""

from grainloop.controller.plans.checks import check_model, check_terms
from grainloop.controller.plans.loading import load_plan, make_plan
from grainloop.controller.plans.terms import Terms

__all__ = ["Terms", "check_model", "check_terms", "load_plan", "make_plan"]
