"""What can be wrong with PL images themselves; everything else about PL is a declared fall-back, not an error."""

from __future__ import annotations

from protocols.errors import BadInput


class UnfitAngles(BadInput):
    """Stage angles from which the PL harmonics cannot be told apart."""


class LightSizeMismatch(BadInput):
    """PL images, angles or features whose sizes contradict each other or the declaration."""
