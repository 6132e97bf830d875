"""What to measure next, by plan and by what the model answers. No sockets, clocks or files.

`decider` takes the decisions of a run, `choice` their steps, of points or of shapes, from `picks`; `first_pass` is for
when nothing is known, `sizes` says how much at once, `drift` whether the beam still goes where it went. A `decision`
says why.
"""

from grainloop.controller.decide.decider import Decider
from grainloop.controller.decide.decision import BUDGET_SPENT, Batch, Enough, When, Why
from grainloop.controller.decide.drift import Shift, Watch, groups_of

__all__ = [
    "BUDGET_SPENT",
    "Batch",
    "Decider",
    "Enough",
    "Shift",
    "Watch",
    "When",
    "Why",
    "groups_of",
]
