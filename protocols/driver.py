"""The one interface that connects an instrument: three methods and a declaration.

A driver is plain synchronous Python. The driver service (`protocols.driver_service`) calls it from one worker thread,
one call at a time, checks every request against the declared `Capabilities` first, and turns what it yields into
messages. A driver knows nothing of sockets, sessions or models.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import PointBlock


class InstrumentDriver(Protocol):
    """What a laboratory implements to connect its instrument.

    Raise `protocols.errors.DeviceFailed` for what only a person can mend; report single bad points with
    `PointStatus.FAILED` and go on.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the instrument can do; an attribute will do."""
        ...

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        """Measure the points of `request` in the order given, yielding blocks as they are ready.

        The service closes the iterator to cancel: leave the beam blanked then. Called from the worker thread.
        """
        ...

    def light(self, section: int, angles_deg: tuple[float, ...]) -> NDArray[np.float32]:
        """PL images (K, h, w) of the section, one per stage angle (RGB instruments get no angles, return 3 channels).

        Never called when `capabilities.light` is None.
        """
        ...

    def park(self) -> None:
        """Blank the beam and leave the instrument safe. May be called at any time, from any state, repeatedly."""
        ...
