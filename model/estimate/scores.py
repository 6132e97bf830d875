"""How well an uncertainty is: does it rank the wrong pixels, does its bound hold, do its samples hang together?

Everything here compares with a truth. Scores of maps alone are in `model.crystal.score`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.floating]


def auroc(score: Floats, wrong: NDArray[np.bool_]) -> float:
    """Probability that a wrong pixel has a higher `score` than a right one (Mann–Whitney); NaN without both kinds."""
    bad, good = int(wrong.sum()), int((~wrong).sum())
    if not bad or not good:
        return float("nan")
    return float((rankdata(score)[wrong].sum() - bad * (bad + 1) / 2) / (bad * good))


def coverage(error_deg: Floats, bound_deg: Floats) -> float:
    """Share of the pixels whose error stays below its bound."""
    return float(np.mean(error_deg <= bound_deg))


def ause(score: Floats, error_deg: Floats, points: int = 50) -> float:
    """Area under the sparsification error curve (Ilg et al. 2018), in degrees.

    The mean error of the pixels that are left when the most doubtful are taken out, less the same when the worst are
    taken out, averaged over the share taken out.
    """
    keep = np.linspace(1.0, 1 / points, points)
    by_doubt, by_error = (_mean_of_first(error_deg[np.argsort(key, kind="stable")], keep) for key in (score, error_deg))
    return float(np.mean(by_doubt - by_error))


def _mean_of_first(sorted_error: Floats, keep: Floats) -> Floats:
    count = np.maximum(1, np.round(keep * len(sorted_error))).astype(np.intp)
    return np.cumsum(sorted_error, dtype=np.float64)[count - 1] / count


def energy_score(samples: Floats, truth: Floats) -> float:
    """Energy score (Gneiting & Raftery 2007, equation 21), the smaller the better; proper for joint distributions.

    Args:
        samples: (n, m, d) n ≥ 2 samples of m vectors, such as the embeddings of the pixels of m patches.
        truth: (m, d).
    """
    count = len(samples)
    apart = np.linalg.norm(samples - truth, axis=-1).mean()
    pairs = [np.linalg.norm(samples[i] - samples[j], axis=-1).mean() for i in range(count) for j in range(i)]
    return float(apart - sum(pairs) / (count * (count - 1)))


def patches(maps: Floats, edge: int = 8) -> Floats:
    """(..., h, w, E) maps → (..., m, edge² E) vectors of the m whole patches of `edge` pixels."""
    *lead, h, w, channels = maps.shape
    rows, columns = h // edge, w // edge
    cut = maps[..., : rows * edge, : columns * edge, :].reshape(*lead, rows, edge, columns, edge, channels)
    return np.moveaxis(cut, -4, -3).reshape(*lead, rows * columns, edge * edge * channels)


def pair_brier(differ: NDArray[np.bool_], truly: NDArray[np.bool_]) -> float:
    """Brier score of the share of samples (n, ...) in which pairs differ, corrected for their finite number n ≥ 2."""
    share = differ.mean(axis=0)
    sampling = share * (1 - share) / (len(differ) - 1)
    return float(np.mean((share - truly) ** 2 - sampling))
