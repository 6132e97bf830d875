"""The automatic check of the frame against polarized light: which of eight azimuth frames explains what PL saw.

The caller predicts PL features of the measured points for each candidate; this module scores the predictions and
refuses to guess. It knows nothing of optics beyond the two harmonics of `azimuth_features`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.errors import CrystalError, ShapeMismatch
from grainloop.model.crystal.frames import CANDIDATE_FRAMES, AzimuthFrame
from grainloop.model.crystal.quaternions import as_floats

MIN_POINTS = 12
KEPT_SHARE = 0.85  # of the points; the worst are taken for dust and mis-indexing
TRIMMING_STEPS = 6
HARMONICS: tuple[tuple[int, ...], ...] = ((0, 1), (2, 3))
"""Columns of `azimuth_features` that share a gain: (C4, S4) and (C2, S2)."""

Rows = NDArray[np.float64]


class Refusal(StrEnum):
    """Why no frame was chosen."""

    TOO_FEW_POINTS = "too few points"
    NO_CONTRAST = "no contrast"
    UNEXPLAINED = "not explained"
    CLOSE = "two frames are close"


@dataclass(frozen=True)
class FrameCheck:
    """Outcome of `check_frame`.

    Attributes:
        candidates: the frames that were scored.
        explained: per candidate the share of the observed variance that it explains, averaged over the harmonics.
        best, runner_up: the two frames of the highest scores.
        margin: difference of their scores.
        required_margin: what the margin had to reach.
        points: rows used; independent: distinguishable predictions among them, roughly the number of grains.
    """

    candidates: tuple[AzimuthFrame, ...]
    explained: tuple[float, ...]
    best: AzimuthFrame
    runner_up: AzimuthFrame
    margin: float
    required_margin: float
    points: int
    independent: int


class AmbiguousFrame(CrystalError):
    """The points do not decide on a frame; `reason` says why, `check` holds the scores where there are any."""

    def __init__(self, reason: Refusal, message: str, check: FrameCheck | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.check = check


def azimuth_features(c: ArrayLike, frame: AzimuthFrame = CANDIDATE_FRAMES[0]) -> Rows:
    """(N, 4) PL features C4, S4, C2, S2 of c-axes (N, 3) seen from `frame`.

    z = sin²θ e^{2iφ}: (C2, S2) = z and (C4, S4) = z², the polynomial of crossed polars with an offset analyser.
    """
    x, y, _ = np.moveaxis(as_floats(c, 3).astype(np.float64), -1, 0)
    z = (x + 1j * y) ** 2
    turned = (np.conj(z) if frame.mirror else z) * np.exp(2j * np.radians(frame.turn_deg))
    squared = turned**2
    return np.stack([squared.real, squared.imag, turned.real, turned.imag], axis=-1)


def check_frame(
    predict: Callable[[AzimuthFrame], ArrayLike],
    observed: ArrayLike,
    *,
    harmonics: Sequence[Sequence[int]] = HARMONICS,
    candidates: Sequence[AzimuthFrame] = CANDIDATE_FRAMES,
    independent: int | None = None,
    min_margin: float = 0.05,
    min_explained: float = 0.1,
) -> FrameCheck:
    """The frame whose predicted features explain the observed ones best, if the points decide it.

    Per harmonic a gain ≥ 0 and an offset per feature are free (a free mixing of features would make all frames equal);
    rows with NaN and the 15 % that fit worst are left out. The winner needs a lead of `min_margin` and of
    4/independent, about three standard deviations of a chance correlation.

    Args:
        predict: (N, F) features of the measured points seen from a frame, such as `azimuth_features` of their c-axes.
        observed: (N, F) features that PL saw at these points.
        harmonics: columns that share a gain.
        candidates: at least two frames.
        independent: number of independent points (grains); default: distinguishable rows of the prediction.
        min_margin: smallest lead of the winner in explained variance.
        min_explained: smallest explained variance of the winner.

    Raises:
        AmbiguousFrame: too few points, no contrast, nothing explained, or two frames too close.
        ShapeMismatch: predicted and observed features differ in shape.
    """
    seen = np.asarray(observed, dtype=np.float64)
    predicted = [_same_shape(predict(frame), seen) for frame in candidates]
    finite = np.isfinite(seen).all(axis=1) & np.all([np.isfinite(rows).all(axis=1) for rows in predicted], axis=0)
    seen, predicted = seen[finite], [rows[finite] for rows in predicted]
    if len(seen) < MIN_POINTS:
        raise AmbiguousFrame(
            Refusal.TOO_FEW_POINTS, f"{len(seen)} usable points do not decide a frame; {MIN_POINTS} are needed"
        )
    if _flat(seen) or all(_flat(rows) for rows in predicted):
        raise AmbiguousFrame(
            Refusal.NO_CONTRAST, f"the PL features of {len(seen)} points, seen or predicted, are constant"
        )
    scores = [float(np.mean([_explained(rows[:, list(h)], seen[:, list(h)]) for h in harmonics])) for rows in predicted]
    count = independent or distinguishable_rows(predicted[0])
    check = _ranked(tuple(candidates), scores, max(min_margin, 4 / count), len(seen), count)
    _refuse_unless_decided(check, max(scores), min_explained)
    return check


def _same_shape(features: ArrayLike, seen: Rows) -> Rows:
    rows = np.asarray(features, dtype=np.float64)
    if rows.shape != seen.shape or rows.ndim != 2:
        raise ShapeMismatch(f"predicted features of shape {rows.shape} for observed ones of {seen.shape}")
    return rows


def _flat(rows: Rows) -> bool:
    return bool(np.all(np.ptp(rows, axis=0) <= 1e-9 * np.maximum(1e-12, np.abs(rows).max())))


def _explained(predicted: Rows, seen: Rows) -> float:
    """Share of the variance of `seen` explained by gain·predicted + offsets, one gain ≥ 0, without the worst rows.

    Least trimmed squares (Rousseeuw & Van Driessen, Data Min. Knowl. Disc. 12, 2006): dust and mis-indexed points would
    otherwise drown the weak second harmonic. Starts from the rows nearest to the median.
    """
    from_centre = np.sum((seen - np.median(seen, axis=0)) ** 2, axis=1)
    kept = from_centre <= np.quantile(from_centre, KEPT_SHARE)
    for _ in range(TRIMMING_STEPS):
        _, residual = _fit(predicted, seen, kept)
        kept = residual <= np.quantile(residual, KEPT_SHARE)
    return _fit(predicted, seen, kept)[0]


def _fit(predicted: Rows, seen: Rows, kept: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    """Explained share over the `kept` rows, and the squared residual of every row."""
    p, o = predicted - predicted[kept].mean(axis=0), seen - seen[kept].mean(axis=0)
    product, energy, total = (float(np.sum(a[kept] * b[kept])) for a, b in ((p, o), (p, p), (o, o)))
    gain = max(product / energy, 0.0) if energy > 0 else 0.0
    return (gain * product / total if total > 0 else 0.0), np.sum((o - gain * p) ** 2, axis=1)


def distinguishable_rows(predicted: Rows) -> int:
    """How many cells of a grid of half the overall standard deviation the rows fall into: a count of grains."""
    cell = 0.5 * np.sqrt(np.mean(np.var(predicted, axis=0)))
    return len(np.unique(np.round(predicted / cell), axis=0)) if cell > 0 else 1


def _ranked(
    candidates: tuple[AzimuthFrame, ...], scores: list[float], required: float, points: int, independent: int
) -> FrameCheck:
    first, second = np.argsort(scores, kind="stable")[::-1][:2]
    return FrameCheck(
        candidates=candidates,
        explained=tuple(scores),
        best=candidates[first],
        runner_up=candidates[second],
        margin=scores[first] - scores[second],
        required_margin=required,
        points=points,
        independent=independent,
    )


def _refuse_unless_decided(check: FrameCheck, highest: float, min_explained: float) -> None:
    if highest < min_explained:
        message = (
            f"the best frame ({check.best.name}) explains {highest:.0%} of the PL contrast; {min_explained:.0%} needed"
        )
        raise AmbiguousFrame(Refusal.UNEXPLAINED, message, check)
    if check.margin < check.required_margin:
        message = (
            f"frames {check.best.name} and {check.runner_up.name} explain the PL contrast within {check.margin:.1%}"
            f" of each other; {check.required_margin:.1%} needed at {check.independent} independent points"
        )
        raise AmbiguousFrame(Refusal.CLOSE, message, check)
