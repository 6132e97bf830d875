"""The error that every module of this package raises for a request it cannot serve."""

from __future__ import annotations


class MicrostructureError(ValueError):
    """A recipe, shape, spacing or point group that no specimen can be made from; the message names the value."""
