"""Errors of the crystal package. It stands alone, so they are ValueErrors; each message names the value at fault."""


class CrystalError(ValueError):
    """Base of everything that this package refuses."""


class BadOrientation(CrystalError):
    """A quaternion is not finite, or its length differs from one by more than the tolerance."""


class ShapeMismatch(CrystalError):
    """An array does not have the shape that a function documents."""


class UnknownPointGroup(CrystalError):
    """A name or vendor number stands for none of the 11 Laue groups."""


class UnsupportedSymmetry(CrystalError):
    """The Laue group is known, but what was asked is not defined or not built for it."""


class UnknownFrame(CrystalError):
    """A frame preset or hexagonal axis convention has a name that is not in the table."""
