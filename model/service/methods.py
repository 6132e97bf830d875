"""The reconstruction methods that the service offers: the classical ones, and the trained one where weights ship.

torch is imported only if there is something to run with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from grainloop.model import reconstruct
from grainloop.model.crystal import laue_group
from grainloop.model.estimate.share import ShareCorrection
from grainloop.model.reconstruct import PLCandidates, Reconstructor
from grainloop.model.weights import WeightsIndexError, weights_files


@runtime_checkable
class Trained(Protocol):
    """A method that has weights: Laue group → something with a `sha256`; a `ValueError` where it has none."""

    weights: Callable[[str], Any]


def _trained() -> tuple[Reconstructor, ...]:
    """The trained method, also where the index of its weights is damaged: its answers then say so."""
    try:
        if not weights_files():
            return ()
    except WeightsIndexError:
        pass
    from grainloop.model.diffusion.checkpoints.shipped import load_shipped
    from grainloop.model.diffusion.inference.method import JointGate

    return (JointGate(load_shipped, PLCandidates()),)


METHODS: dict[str, Reconstructor] = {method.name: method for method in _trained()} | reconstruct.METHODS
"""Every method by name, the default first."""
DEFAULT_METHOD = next(iter(METHODS))


def shipped_weights() -> tuple[tuple[str, str], ...]:
    """(point group, SHA-256) of the weights that ship; nothing where their index is damaged."""
    try:
        return tuple((group, file.sha256) for group, file in weights_files().items())
    except WeightsIndexError:
        return ()


def share_correction(method: Reconstructor, point_group: str) -> ShareCorrection | None:
    """What the weights of a method say about its doubt; None where it uses none, or they say nothing."""
    if not isinstance(method, Trained):
        return None
    try:
        return method.weights(laue_group(point_group).name).share
    except ValueError:
        return None


def weights_sha256(method: Reconstructor, point_group: str) -> str | None:
    """SHA-256 of the weights that a method uses for a point group; None where it uses none, or cannot."""
    if not isinstance(method, Trained):
        return None
    try:
        return str(method.weights(laue_group(point_group).name).sha256)
    except ValueError:
        return None
