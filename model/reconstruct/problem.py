"""What a reconstructor is given and what it gives back, as plain frozen values of one phase of one section.

Nothing here computes; messages, sections and phases of a section belong to `model.service`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.errors import BadInput, Cancelled

WRONG_DEG = 5.0
"""A pixel further than this from the truth is wrong; grains are told apart by the same angle."""

UNIT_TOLERANCE = 1e-3

Report = Callable[[float, str], None]
"""Called with the fraction done (0 … 1) and the stage that begins."""
IsCancelled = Callable[[], bool]
OutOfTime = Callable[[], bool]
"""Asked before each checkpoint of a sampler, and only once the map exists: where it is true, the samples so far do."""


def never() -> bool:
    """An `IsCancelled` and `OutOfTime` for callers that never cancel and do not hurry."""
    return False


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """Measured points in the order of measurement.

    Attributes:
        position_px: (N, 2) int32 row, column.
        orientation: (N, 4) float32 unit quaternions, crystal → sample; ignored where not indexed.
        indexed: (N,) bool.
    """

    position_px: NDArray[np.int32]
    orientation: NDArray[np.float32]
    indexed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.position_px)

    def select(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> SparsePoints:
        """The points that a numpy index picks."""
        return SparsePoints(self.position_px[index], self.orientation[index], self.indexed[index])


@dataclass(frozen=True, eq=False)
class RegisteredLight:
    """PL in the EBSD frame, in the units of `model.light.predict_light`.

    Attributes:
        features: (5, h, w) float32: m, C4, S4, C2, S2; NaN where PL does not reach.
        sigma: (5, h, w) float32 noise level of each feature; infinite where PL is not trusted.
        residual_px: estimated rms misregistration left.
    """

    features: NDArray[np.float32]
    sigma: NDArray[np.float32]
    residual_px: float = 0.0


@dataclass(frozen=True, eq=False)
class PriorSection:
    """A neighbouring section in the frame of this one, reconstructed earlier: what to expect, never measured here.

    Attributes:
        orientation: (h, w, 4) float32 unit quaternions, crystal → sample.
        known: (h, w) bool, where it says anything.
        spacing_px: distance between the two sections in steps of the scan grid.
    """

    orientation: NDArray[np.float32]
    known: NDArray[np.bool_]
    spacing_px: float


@dataclass(frozen=True, eq=False)
class Problem:
    """One phase of a section to reconstruct.

    Attributes:
        shape: rows, columns of the scan grid.
        laue_group: symmetry of the phase, e.g. `6/mmm`.
        light: registered PL, or None.
        light_missing: why there is no `light`, as a sentence.
        prior: a neighbouring section, or None.
    """

    shape: tuple[int, int]
    laue_group: str
    points: SparsePoints
    light: RegisteredLight | None = None
    light_missing: str = "There is no PL of this section."
    prior: PriorSection | None = None


@dataclass(frozen=True)
class Options:
    """How to reconstruct.

    Attributes:
        members: posterior samples, where the method draws such; 0 draws none.
        steps: sampler steps of each; None is the method's default.
        seed: of every random decision.
        out_of_time: whether to stop drawing samples and answer with those that there are.
        denoised: whether to take the noise out of map and PL as well, where the method can.
    """

    members: int = 0
    steps: int | None = None
    seed: int = 0
    out_of_time: OutOfTime = never
    denoised: bool = True


@dataclass(frozen=True, eq=False)
class Candidates:
    """What each pixel may belong to.

    Attributes:
        point: (h, w, K) int32 measured points, as indices into `Problem.points`, heaviest first; −1 is none.
        weight: (h, w, K) float32 probabilities.
        free: (h, w) float32 probability of belonging to none of them: a grain never hit.
    """

    point: NDArray[np.int32]
    weight: NDArray[np.float32]
    free: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Posterior:
    """One phase of a section as a reconstructor sees it.

    Attributes:
        orientation: (h, w, 4) float32 unit quaternions; measured pixels keep their measured orientation.
        expected_error_deg: (h, w) float32.
        bound90_deg: (h, w) float32 angle that the error stays below with probability 0.9.
        scatter_deg: (h, w) float32 rms error where the map shows the right grain, if the method knows.
        p_wrong: (h, w) float32 probability of being off by more than `WRONG_DEG`.
        boundary: (h, w) float32 probability of a grain boundary towards the right or lower neighbour.
        grain: (h, w) int32 labels from 1; 0 where nothing is known.
        candidates: what the pixels may belong to, for acquisition, where the method knows.
        samples: (n, h, w, 4) float32 maps drawn from the joint posterior, or None.
        denoised: (h, w, 4) float32 map with the noise taken out of measured orientations too, or None.
        light: (5, h, w) float32 PL features with noise and blemishes taken out, or None.
        light_used: whether PL took part.
        prior_used: whether the prior section took part.
        degraded: sentences on what was left out or replaced.
    """

    orientation: NDArray[np.float32]
    expected_error_deg: NDArray[np.float32]
    p_wrong: NDArray[np.float32]
    boundary: NDArray[np.float32]
    grain: NDArray[np.int32]
    bound90_deg: NDArray[np.float32] | None = None
    scatter_deg: NDArray[np.float32] | None = None
    candidates: Candidates | None = None
    samples: NDArray[np.float32] | None = None
    denoised: NDArray[np.float32] | None = None
    light: NDArray[np.float32] | None = None
    light_used: bool = False
    prior_used: bool = False
    degraded: tuple[str, ...] = ()


class Reconstructor(Protocol):
    """A method: deterministic for a problem and options, seed included."""

    @property
    def name(self) -> str:
        """What requests call the method."""
        ...

    def __call__(self, problem: Problem, options: Options, report: Report, cancelled: IsCancelled) -> Posterior:
        """Reconstruct, reporting stages and looking at `cancelled` between them.

        Raises:
            BadInput: points that contradict the grid or each other's columns.
            Cancelled: `cancelled` said so.
        """
        ...


def no_report(fraction: float, stage: str) -> None:
    """A `Report` for callers that need none."""
    del fraction, stage


def checkpoint(report: Report, cancelled: IsCancelled, fraction: float, stage: str) -> None:
    """Report that `stage` begins, unless the caller withdrew.

    Raises:
        Cancelled: the caller withdrew.
    """
    if cancelled():
        raise Cancelled(f"The reconstruction was cancelled before the stage '{stage}'.")
    report(fraction, stage)


def check(problem: Problem) -> None:
    """Refuse what no method could use.

    Raises:
        BadInput: columns of different length, positions off the grid, quaternions that are not unit or not finite,
            or PL or a prior section of another shape than the grid.
    """
    points = problem.points
    lengths = {len(points.position_px), len(points.orientation), len(points.indexed)}
    if len(lengths) > 1:
        raise BadInput(f"The columns of the measured points differ in length: {sorted(lengths)}.", field="points")
    check_positions(problem.shape, points.position_px)
    check_orientations(points.orientation[points.indexed])
    if problem.light is not None:
        _check_shape(problem.shape, problem.light.features.shape[1:], "registered PL", "light")
    if problem.prior is not None:
        _check_shape(problem.shape, problem.prior.orientation.shape[:2], "prior section", "prior")


def _check_shape(grid: tuple[int, int], have: tuple[int, ...], what: str, field: str) -> None:
    if have != grid:
        raise BadInput(f"The {what} has {have[0]}×{have[1]} pixels, the grid {grid}.", field=field, value=have)


def check_positions(shape: tuple[int, ...], position_px: NDArray[np.int32]) -> None:
    """Refuse pixels off the grid.

    Raises:
        BadInput: naming the first of them.
    """
    outside = ((position_px < 0) | (position_px >= shape[:2])).any(axis=1)
    if outside.any():
        where = tuple(int(v) for v in position_px[outside.argmax()])
        raise BadInput(f"Pixel {where} is off the {shape[0]}×{shape[1]} grid.", field="position_px", value=where)


def check_orientations(
    orientation: NDArray[np.float32], who: str = "An indexed point has", field: str = "orientation"
) -> None:
    """Refuse quaternions (N, 4) that are no rotations.

    Raises:
        BadInput: naming the first that is not finite or not of unit length; the sentence begins with `who`.
    """
    norm = np.linalg.norm(orientation.astype(np.float64), axis=-1)
    faulty = ~(np.abs(norm - 1) < UNIT_TOLERANCE)
    if faulty.any():
        length = f"{norm[faulty.argmax()]:.4g}"
        raise BadInput(f"{who} a quaternion of norm {length}, not 1.", field=field, value=length)


NOTHING_INDEXED = "No measured point is indexed: the map holds no orientation and every pixel counts as wrong."
UNKNOWN_ERROR_DEG = 90.0
LARGEST_ERROR_DEG = 180.0
"""Bound where nothing is known, whatever the symmetry."""


def nothing_known(shape: tuple[int, int]) -> Posterior:
    """The declared result where no point carries an orientation: identity everywhere, wrong everywhere, no grain."""
    identity = np.zeros((*shape, 4), dtype=np.float32)
    identity[..., 0] = 1
    return Posterior(
        orientation=identity,
        expected_error_deg=np.full(shape, UNKNOWN_ERROR_DEG, dtype=np.float32),
        bound90_deg=np.full(shape, LARGEST_ERROR_DEG, dtype=np.float32),
        p_wrong=np.ones(shape, dtype=np.float32),
        boundary=np.zeros(shape, dtype=np.float32),
        grain=np.zeros(shape, dtype=np.int32),
        degraded=(NOTHING_INDEXED,),
    )


def bound_of(posterior: Posterior) -> NDArray[np.float32]:
    """(h, w) the 90 % bound of a posterior; where its method gave none, an angle that no error exceeds."""
    if posterior.bound90_deg is not None:
        return posterior.bound90_deg
    return np.full(posterior.p_wrong.shape, LARGEST_ERROR_DEG, np.float32)


def scatter_of(posterior: Posterior) -> NDArray[np.float32]:
    """(h, w) rms degrees inside grains; `WRONG_DEG` where the method knows of none."""
    if posterior.scatter_deg is not None:
        return posterior.scatter_deg
    return np.full(posterior.p_wrong.shape, WRONG_DEG, np.float32)
