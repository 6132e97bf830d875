"""The asyncio life of one run, from its plan to its end, around decisions, record, instrument, model and operator.

`run` from beginning to end, `prepare` before the first point, `pump` while there is something to measure, `finish` the
way out; `batches` go to the instrument, whose points are `arrivals`, `links` to the model; `replies` of both are
looked at before they count; `standing` is its state, a table in `protocols.states`.
"""

from grainloop.controller.run.links import Asks, DecisionTime
from grainloop.controller.run.observer import RunObserver
from grainloop.controller.run.pump import PIPELINE_DEPTH
from grainloop.controller.run.run import Run

__all__ = [
    "PIPELINE_DEPTH",
    "Asks",
    "DecisionTime",
    "Run",
    "RunObserver",
]
