"""What was asked for, what came of it, what it costs and what is left of the budget.

`ledger` counts requests and points, `orders` are requests that are out, `refusals` points that cannot be believed;
`exposures` counts pixels, `clock` instrument time; `pace` says how long things take, `aim` where the beam goes once a
drift was noticed. No sockets, clocks or files.
"""

from grainloop.controller.ledger.aim import Correction, aimed_offsets, measured_offsets, way_words
from grainloop.controller.ledger.ledger import Ledger
from grainloop.controller.ledger.orders import Closed, Moved

__all__ = [
    "Closed",
    "Correction",
    "Ledger",
    "Moved",
    "aimed_offsets",
    "measured_offsets",
    "way_words",
]
