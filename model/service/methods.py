"""The reconstruction methods that the service offers: the classical ones, and the trained one with the shipped weights.

They are collected on first use, and torch is imported by the first call of the trained one: where torch is not
installed the classical methods answer. What the methods do is in `model.reconstruct` and `model.diffusion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

from grainloop.model import reconstruct
from grainloop.model.crystal import laue_group
from grainloop.model.estimate.share import ShareCorrection
from grainloop.model.reconstruct import IsCancelled, Options, PLCandidates, Posterior, Problem, Reconstructor, Report
from grainloop.model.weights import WeightsIndexError, weights_files
from grainloop.protocols.errors import BadInput
from grainloop.protocols.version import install_command

TRAINED = "joint"
"""Name of the trained method."""
_NEEDS = ("torch", "safetensors")


@runtime_checkable
class Trained(Protocol):
    """A method that has weights: Laue group → something with a `sha256`; a `ValueError` where it has none."""

    @property
    def weights(self) -> Any:
        """Laue group → weights."""
        ...


@dataclass(frozen=True)
class ShippedGate:
    """The trained method with the weights that ship, imported when it is first asked.

    Laue groups without weights are answered by the classical method, which says so.
    """

    name: str = TRAINED

    def __call__(self, problem: Problem, options: Options, report: Report, cancelled: IsCancelled) -> Posterior:
        """See `Reconstructor`.

        Raises:
            BadInput: what it computes with is not installed here.
        """
        _require_installed()
        from grainloop.model.diffusion.checkpoints.shipped import load_shipped
        from grainloop.model.diffusion.inference.method import JointGate

        return JointGate(load_shipped, PLCandidates(), self.name)(problem, options, report, cancelled)

    def weights(self, group: str) -> Any:
        """The shipped weights of a Laue group; a `ValueError` where there are none."""
        _require_installed()
        from grainloop.model.diffusion.checkpoints.shipped import load_shipped

        return load_shipped(group)


def _missing() -> list[str]:
    """What the trained method needs and is not installed."""
    return [name for name in _NEEDS if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # its import is blocked
        return False


def _require_installed() -> None:
    if missing := _missing():
        classical = reconstruct.DEFAULT_METHOD
        message = (
            f"The trained method '{TRAINED}' needs {' and '.join(missing)}, which this model service does not have: "
            f"ask for the method '{classical}', or install it there: {install_command('model')}"
        )
        raise BadInput(message, field="method", value=TRAINED)


@cache
def methods() -> dict[str, Reconstructor]:
    """Every method by name, the trained one first, whether or not it can work here."""
    trained: dict[str, Reconstructor] = {TRAINED: ShippedGate()}
    return trained | reconstruct.METHODS


def default_method() -> str:
    """The trained method where its weights and what it computes with are installed, else the classical one.

    Also where the index of the weights is damaged: its answers then say so.
    """
    try:
        shipped = bool(weights_files())
    except WeightsIndexError:
        shipped = True
    return TRAINED if shipped and not _missing() else reconstruct.DEFAULT_METHOD


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
