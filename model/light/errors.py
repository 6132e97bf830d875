"""What can be wrong with the input itself; PL that does not fit the points is a declared fall-back, not an error."""

from __future__ import annotations

from grainloop.protocols.errors import BadInput


class UnfitAngles(BadInput):
    """Stage angles from which the PL harmonics cannot be told apart."""


class LightSizeMismatch(BadInput):
    """PL images, angles or features whose sizes contradict each other or the declaration."""


class UnfitPoints(BadInput):
    """Measured points or homologous pairs that cannot be what they are said to be."""
