"""Inference-time scaling: what ways of spending more evaluations of the network make of the map and its samples.

Every strategy of `benchmarks.scaling_strategies` at every budget on synthetic specimens that neither training nor the
choice of weights saw, in pairs with one evaluation; the maps that ship are a check only. Claims are those of the
strategies themselves, before any calibration, because the one that ships was learnt for a single evaluation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.posterior.scaling_page import draw
from benchmarks.scaling_strategies.setting import Account, Setting, apply, prepare
from benchmarks.scaling_strategies.strategies import STRATEGIES
from grainloop.evaluate.sections.cropping import centre_window, crop_problem
from grainloop.evaluate.sections.real_maps import real_cases
from grainloop.model.crystal import disorientation_deg, embed
from grainloop.model.diffusion.checkpoints.shipped import Weights, load_shipped, load_weights
from grainloop.model.diffusion.network.state import state_space
from grainloop.model.diffusion.training.validation import Case, regular_grid, synthetic_case
from grainloop.model.estimate.scores import auroc, energy_score, pair_brier, patches
from grainloop.model.microstructure import draw_example
from grainloop.model.reconstruct import Posterior
from grainloop.model.reconstruct.problem import WRONG_DEG

RESULTS = Path(__file__).parents[1] / "results" / "scaling.json"
GROUP = "6/mmm"
BUDGETS = (1, 2, 4, 8, 16, 32, 64)
SPECIMENS, EDGE_PX = 24, 96
SHARES = (0.021, 0.0625)
SEED = 20_261_125
MOST_SAMPLES = 8
"""Samples that scores look at; the scores are corrected for their number."""
LEAST = 1e-3
"""Probabilities count as no smaller in the logarithmic loss."""

Row = dict[str, float]
Rows = dict[str, dict[int, list[Row]]]
"""Strategy → budget → figures of each specimen or map."""


def main(weights: Path | None = None) -> dict[str, Any]:
    """Measure with the weights that ship or those of a file, write the results and the figure, return the results."""
    trained = load_shipped(GROUP) if weights is None else load_weights(weights, GROUP)
    result: dict[str, Any] = {
        "weights": "shipped" if weights is None else weights.name,
        "weights_sha256": trained.sha256,
        "specimens": SPECIMENS,
        "shares": SHARES,
        "edge_px": EDGE_PX,
        "seconds_per_evaluation": seconds_per_evaluation(trained),
    }
    result["synthetic"] = summary(measured(trained, [specimen(number) for number in range(SPECIMENS)]))
    real = [[cropped(case)] for case in real_cases(GROUP)]
    found = [measured(trained, [cases]) for cases in real]
    result["real"] = {f"{c[0].name} @ {c[0].share:g}": summary(rows) for c, rows in zip(real, found, strict=True)}
    RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(result)
    return result


def specimen(number: int) -> list[Case]:
    """A specimen measured on each grid."""
    shape, space = (EDGE_PX, EDGE_PX), state_space(GROUP)
    drawn = draw_example(np.random.default_rng([SEED, number]), shape, GROUP)
    return [synthetic_case(drawn, regular_grid(shape, share), share, space) for share in SHARES]


def cropped(case: Case) -> Case:
    """The middle of a map, `EDGE_PX` wide and high."""
    window = centre_window(case.problem.shape, EDGE_PX)
    problem = crop_problem(case.problem, window)
    return Case(case.name, case.share, problem, case.truth[window], case.inside[window])


def measured(trained: Weights, specimens: Iterable[list[Case]]) -> Rows:
    """Figures of every strategy and budget, one row per specimen: the mean over its grids."""
    rows: Rows = {name: {budget: [] for budget in BUDGETS} for name in STRATEGIES}
    for number, cases in enumerate(specimens):
        settings = [prepare(trained, case.problem) for case in cases]
        for name in STRATEGIES:
            for budget in BUDGETS:
                found = [
                    run(name, setting, case, budget, number) for setting, case in zip(settings, cases, strict=True)
                ]
                rows[name][budget].append({key: float(np.mean([row[key] for row in found])) for key in found[0]})
        print(f"  specimen {number}: {rows['symmetry'][1][-1]['wrong_percent']:.2f} % wrong", flush=True)
    return rows


def run(name: str, setting: Setting, case: Case, budget: int, seed: int) -> Row:
    """One strategy on one problem."""
    found = apply(STRATEGIES[name], setting, budget, 1_000 * seed)
    return {"evaluations": float(found.evaluations)} | figures(found.posterior, case)


def figures(found: Posterior, case: Case) -> Row:
    """Of the map, its doubt and its samples; NaN where a figure is not defined."""
    inside = case.inside
    error = np.asarray(disorientation_deg(found.orientation[inside], case.truth[inside], GROUP))
    doubt, wrong = found.p_wrong[inside], error > WRONG_DEG
    return {
        "wrong_percent": 100 * float(wrong.mean()),
        "predicted_percent": 100 * float(doubt.mean(dtype=np.float64)),
        "error_mean_deg": float(error.mean(dtype=np.float64)),
        "auroc": auroc(doubt, wrong),
        "log_loss": log_loss(found, case),
        **of_samples(found.samples, case),
    }


def log_loss(found: Posterior, case: Case) -> float:
    """Mean −log probability of the truth: of the candidates within 5°, or of a grain never hit where there is none."""
    if found.candidates is None:
        return float("nan")
    point, weight, free = found.candidates.point, found.candidates.weight, found.candidates.free
    orientation = case.problem.points.orientation[np.maximum(point, 0)]
    angle = disorientation_deg(orientation, np.broadcast_to(case.truth[:, :, None], orientation.shape), GROUP)
    right = (angle <= WRONG_DEG) & (point >= 0)
    probability = np.where(right.any(axis=-1), np.where(right, weight, 0).sum(axis=-1), free)
    return float(-np.log(np.maximum(probability, LEAST))[case.inside].mean(dtype=np.float64))


def of_samples(samples: NDArray[np.float32] | None, case: Case) -> Row:
    """Energy score of patches of 8 × 8 px and Brier score of neighbours being of different grains."""
    if samples is None or len(samples) < 2:
        return {"energy_score": float("nan"), "pair_brier": float("nan")}
    samples = samples[:MOST_SAMPLES]
    maps = np.concatenate([samples, case.truth[None]])
    embedding = embed(maps, GROUP) * case.inside[..., None]
    cut = patches(embedding)
    differ = disorientation_deg(maps[:, :, 1:], maps[:, :, :-1], GROUP) > WRONG_DEG
    both = case.inside[:, 1:] & case.inside[:, :-1]
    return {
        "energy_score": energy_score(cut[:-1], cut[-1]),
        "pair_brier": pair_brier(differ[:-1, both], differ[-1, both]),
    }


def summary(rows: Rows) -> dict[str, dict[str, Any]]:
    """Means over specimens, their standard errors, and differences from one evaluation with 95 % intervals."""
    one = next(iter(rows.values()))[1]
    return {name: {str(budget): _compared(found, one) for budget, found in of.items()} for name, of in rows.items()}


def _compared(found: list[Row], one: list[Row]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in found[0]:
        values = np.array([row[key] for row in found])
        apart = values - [row[key] for row in one]
        out[key] = _rounded(values.mean())
        if len(found) > 1 and key != "evaluations":
            error = values.std(ddof=1) / np.sqrt(len(values)), apart.std(ddof=1) / np.sqrt(len(values))
            out[f"{key}_se"] = _rounded(error[0])
            out[f"{key}_gain"] = _rounded(apart.mean())
            out[f"{key}_gain_ci95"] = _rounded(error[1] * student.ppf(0.975, len(values) - 1))
    return out


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 5)


def seconds_per_evaluation(trained: Weights) -> Mapping[str, float]:
    """Processor seconds of preparing a section, of an evaluation by one thread, and of reading a map off it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    case = specimen(0)[1]
    apply(STRATEGIES["symmetry"], prepare(trained, case.problem), 1, 0)
    spent = [time.process_time()]
    setting = prepare(trained, case.problem)
    spent.append(time.process_time())
    for _ in range(5):
        setting.memory.clear()
        setting.first(Account(1))
    spent.append(time.process_time())
    apply(STRATEGIES["more steps"], setting, 1, 0)
    spent.append(time.process_time())
    torch.set_num_threads(threads)
    prepared, evaluated, read = np.diff(spent)
    return {"prepare": round(prepared, 4), "evaluate": round(evaluated / 5, 4), "read_out_and_samples": round(read, 4)}


if __name__ == "__main__":
    main()
