"""Calibration of what a posterior claims: P(wrong), expected error and a 90 % bound, learnt on held-out specimens.

P(wrong) and the expected error are mapped by isotonic regression (Zadrozny & Elkan 2002); the bound is the mixture's
own quantile plus a correction for each level of doubt, so that it holds in 90 % of the pixels of every level: conformal
quantile regression (Romano et al. 2019) in Mondrian bins. Where the bound lies inside the grain, the correction is in
units of the scatter that the section's own points show there (normalised residuals, Papadopoulos et al. 2002), because
grains of one material are bent ten times as much as those of another. With and without PL the claims err differently
and each has its own maps. Values in, values out: what it is learnt from is decided by the caller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from grainloop.model.reconstruct.problem import LARGEST_ERROR_DEG, WRONG_DEG, Posterior, bound_of, scatter_of
from grainloop.model.reconstruct.readout import LEVEL
from grainloop.protocols.files import parse_json

Floats = NDArray[np.floating]

KNOTS = 48
"""Points of an isotonic map that are kept."""
BINS = 24
"""Levels of doubt, each with its own correction of the bound."""
INSIDE = 1 - LEVEL
"""Doubt up to which the bound lies inside the grain."""
PRECISION_DEG = 0.4
"""Noise of the measurement that a bound will be checked against, added to it in quadrature: what Hough-indexed EBSD
cannot tell apart inside a grain (0.3 to 1°, Humphreys 2001). The truth of synthetic specimens has none."""
WITH_LIGHT, WITHOUT_LIGHT = "with_light", "without_light"
SCHEME = 2
"""Of what the numbers mean; in 1 every correction of the bound was in degrees."""


class CalibrationError(ValueError):
    """A stored calibration that cannot be read."""


@dataclass(frozen=True)
class Claims:
    """What a posterior claims of pixels whose truth is known, flat over any number of maps.

    Attributes:
        p_wrong: (n,) probability of being off by more than 5°.
        expected_error_deg: (n,).
        bound90_deg: (n,) the mixture's own 90 % quantile.
        scatter_deg: (n,) rms error where the map shows the right grain.
        error_deg: (n,) the truth.
    """

    p_wrong: Floats
    expected_error_deg: Floats
    bound90_deg: Floats
    scatter_deg: Floats
    error_deg: Floats


@dataclass(frozen=True)
class Curve:
    """A piecewise linear map, constant beyond its ends."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __call__(self, values: Floats) -> NDArray[np.float32]:
        """The map of every value."""
        return np.interp(values, self.x, self.y).astype(np.float32)


@dataclass(frozen=True)
class Steps:
    """A piecewise constant map: `y[i]` from edge i − 1 up to edge i."""

    edges: tuple[float, ...]
    y: tuple[float, ...]

    def __call__(self, values: Floats) -> NDArray[np.float32]:
        """The map of every value."""
        return np.asarray(self.y, np.float32)[np.searchsorted(np.asarray(self.edges), values, side="right")]


@dataclass(frozen=True)
class Correction:
    """What to make of the claims of one kind of posterior.

    Attributes:
        p_wrong: claimed → calibrated probability.
        expected_error: claimed → calibrated expected error, in degrees.
        bound: claimed P(wrong) → what to add to the mixture's own quantile, in `bound_unit_deg`.
    """

    p_wrong: Curve
    expected_error: Curve
    bound: Steps


@dataclass(frozen=True)
class Calibration:
    """Corrections by whether PL took part."""

    with_light: Correction
    without_light: Correction

    def __call__(self, posterior: Posterior) -> Posterior:
        """The posterior with calibrated claims; its maps stay as they are."""
        own = self.with_light if posterior.light_used else self.without_light
        correction = own.bound(posterior.p_wrong) * bound_unit_deg(posterior.p_wrong, scatter_of(posterior))
        bound = np.hypot(np.maximum(bound_of(posterior) + correction, 0), PRECISION_DEG)
        return replace(
            posterior,
            p_wrong=own.p_wrong(posterior.p_wrong),
            expected_error_deg=own.expected_error(posterior.expected_error_deg),
            bound90_deg=np.minimum(bound, LARGEST_ERROR_DEG).astype(np.float32),
        )

    def to_json(self) -> str:
        """As text, for the metadata of a weights file."""
        return json.dumps({"scheme": SCHEME} | asdict(self))


def read_calibration(text: str) -> Calibration:
    """The inverse of `Calibration.to_json`.

    Raises:
        CalibrationError: it is something else.
    """
    try:
        found: Mapping[str, Any] = parse_json(text)
        if (scheme := found["scheme"]) != SCHEME:
            raise ValueError(f"it is of scheme {scheme}, not {SCHEME}; ship the weights again")
        return Calibration(_read_correction(found[WITH_LIGHT]), _read_correction(found[WITHOUT_LIGHT]))
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"The calibration of the weights cannot be read: {error}.") from error


def _read_correction(found: Mapping[str, Any]) -> Correction:
    p_wrong, error = (Curve(tuple(found[n]["x"]), tuple(found[n]["y"])) for n in ("p_wrong", "expected_error"))
    return Correction(p_wrong, error, Steps(tuple(found["bound"]["edges"]), tuple(found["bound"]["y"])))


def bound_unit_deg(doubt: Floats, scatter_deg: Floats) -> Floats:
    """What the correction of the bound is in: scatter inside the grain, degrees beyond."""
    return np.where(doubt < INSIDE, scatter_deg, 1.0)


def fit_correction(claims: Claims) -> Correction:
    """The correction that makes these claims true on average.

    Raises:
        ValueError: fewer than 1000 pixels.
    """
    if len(claims.error_deg) < 1000:
        raise ValueError(f"a calibration needs 1000 pixels or more, not {len(claims.error_deg)}")
    wrong = (claims.error_deg > WRONG_DEG).astype(float)
    excess = (claims.error_deg - claims.bound90_deg) / bound_unit_deg(claims.p_wrong, claims.scatter_deg)
    return Correction(
        _isotonic(claims.p_wrong, wrong),
        _isotonic(claims.expected_error_deg, claims.error_deg),
        _conformal(claims.p_wrong, excess),
    )


def _isotonic(claimed: Floats, true: Floats) -> Curve:
    """Isotonic regression at the means of `KNOTS` groups of equal size; groups, because single pixels are not free."""
    order = np.argsort(claimed, kind="stable")
    groups = [part for part in np.array_split(order, 8 * KNOTS) if len(part)]
    x = np.array([claimed[part].mean(dtype=np.float64) for part in groups])
    fitted = isotonic_regression([true[part].mean(dtype=np.float64) for part in groups], weights=[*map(len, groups)]).x
    kept = np.unique(np.linspace(0, len(x) - 1, KNOTS).round().astype(int))
    x, first = np.unique(x[kept], return_index=True)
    return Curve(tuple(x.round(6).tolist()), tuple(fitted[kept][first].round(6).tolist()))


def _conformal(doubt: Floats, excess: Floats) -> Steps:
    """The quantile of `excess` at ⌈(n + 1) 0.9⌉/n over `BINS` groups of equal size by doubt, cut at `INSIDE`."""
    edges = np.unique(np.append(np.quantile(doubt, np.linspace(0, 1, BINS + 1)[1:-1]).round(6), INSIDE))
    which = np.searchsorted(edges, doubt, side="right")
    return Steps(tuple(edges.tolist()), tuple(_upper(excess[which == i]) for i in range(len(edges) + 1)))


def _upper(values: Floats) -> float:
    if not len(values):
        return LARGEST_ERROR_DEG
    rank = min(len(values), int(np.ceil((len(values) + 1) * LEVEL)))
    return round(float(np.partition(values, rank - 1)[rank - 1]), 4)
