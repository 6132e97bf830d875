"""Learning how the doubt of a section is to be corrected, from runs on specimens whose truth is known.

A lesson is one moment of a run: how doubtful its pixels were and how many of them were wrong. The correction makes the
expected share of wrong pixels the true one, relatively, over all lessons. Playing the runs is the caller's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import expit, logit

from grainloop.model.estimate.share import SHARPEST, TERMS, Circumstances, Line, ShareCorrection

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]

LEVELS = np.linspace(logit(SHARPEST), -logit(SHARPEST), 93)
"""Log-odds at which the doubt of a lesson is kept."""
LEAST_SHARE = 1e-3
"""Added to shares of wrong pixels before they are compared: smaller ones cannot be told apart on small maps."""
APART = 0.25
"""What measured and other pixels each count, against both together."""
CAUTION = 0.2
"""Weight on corrections that differ from none, as if every hundredth lesson asked for that."""
LARGE = 0.5
"""Natural logarithm of a ratio beyond which a lesson counts less than its square: it may be an exception."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """One moment of a run.

    Attributes:
        here: what the section had shown.
        inferred: (len(LEVELS),) share of all pixels that were not measured, by the log-odds claimed.
        measured: the same of those that were.
        inferred_wrong: share of all pixels that were not measured and are wrong.
        measured_wrong: that were measured and are wrong.
    """

    here: Circumstances
    inferred: Floats
    measured: Floats
    inferred_wrong: float
    measured_wrong: float


def lesson(p_wrong: Floats, wrong: Mask, measured: Mask, here: Circumstances) -> Lesson:
    """The lesson of pixels (n,): the probabilities claimed, which are wrong, and which were measured."""
    inferred, known = (_levels(p_wrong[own]) / len(wrong) for own in (~measured, measured))
    return Lesson(here, inferred, known, float(np.mean(wrong & ~measured)), float(np.mean(wrong & measured)))


def _levels(p_wrong: Floats) -> Floats:
    """(len(LEVELS),) how many probabilities are nearest to each level."""
    claimed = logit(np.clip(np.asarray(p_wrong, np.float64), SHARPEST, 1 - SHARPEST))
    nearest = np.round((claimed - LEVELS[0]) / (LEVELS[1] - LEVELS[0])).astype(np.intp)
    return np.bincount(nearest, minlength=len(LEVELS)).astype(np.float64)


def learn(lessons: Sequence[Lesson]) -> ShareCorrection:
    """The correction under which the logarithms of expected over true shares are smallest.

    Raises:
        ValueError: there is no lesson.
    """
    if not lessons:
        raise ValueError("a correction needs lessons")
    columns = np.array([one.here.columns() for one in lessons])
    doubt = [np.array([one.inferred for one in lessons]), np.array([one.measured for one in lessons])]
    true = np.array([[one.inferred_wrong for one in lessons], [one.measured_wrong for one in lessons]])
    none = np.zeros(2 * (TERMS + 1))

    def misses(x: Floats) -> Floats:
        told = np.array([_expected(own, columns, claimed) for own, claimed in zip(np.split(x, 2), doubt, strict=True)])
        both, apart = _ratio(told.sum(axis=0), true.sum(axis=0)), APART * _ratio(told, true)
        return np.concatenate([both, apart.ravel(), CAUTION * np.sqrt(len(lessons) / 100) * x])

    found = np.split(least_squares(misses, none, loss="soft_l1", f_scale=LARGE).x, 2)
    return ShareCorrection(*(Line(tuple(own[:-1].round(4).tolist()), round(1 + float(own[-1]), 4)) for own in found))


def _expected(x: Floats, columns: Floats, doubt: Floats) -> Floats:
    """(n,) share of wrong pixels for shifts and what the slope is above 1."""
    return (doubt * expit((columns @ x[:-1])[:, None] + (1 + x[-1]) * LEVELS)).sum(axis=1)


def _ratio(told: Floats, true: Floats) -> Floats:
    return np.log((told + LEAST_SHARE) / (true + LEAST_SHARE))
