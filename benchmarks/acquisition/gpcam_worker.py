"""gpCAM as a process of its own: a line of JSON asks, a line answers, and arrays come and go as an .npz file.

It runs with the Python of an environment in which gpCAM is installed and imports nothing of grainloop; how to make that
environment is told in `gpcam_rival`. The channels of a measurement are independent Gaussian processes with one kernel,
a Matérn 3/2 of one length scale per direction (gpCAM's default), whose hyperparameters are trained by likelihood on a
subset of the points at the beginning and whenever the points have doubled.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from gpcam import GPOptimizer  # pyright: ignore[reportMissingImports]

CANDIDATES = 1024
"""Free pixels looked at in each round: gpCAM's time and memory grow with them, 16,000 take half a minute."""
ROUNDS = 4
"""Of a batch: after each, gpCAM is told what it expects at the points chosen, so that the next round goes elsewhere."""
APART = 0.5
"""Least distance between the picks of a round as a share of the mean spacing: without it, nearly all touch."""
MOST_TRAINED = 400
START = np.array([1.0, 10.0, 10.0])
"""Variance, and length scales in pixels."""
BOUNDS = np.array([[0.05, 10.0], [1.0, 200.0], [1.0, 200.0]])
NOISE = 1e-3
"""Variance of a channel, whose signal is of order 1; keeps matrices invertible."""
CHUNK = 2000


def steepness(x: np.ndarray, gp: Any) -> np.ndarray:
    """The acquisition function "gradient" for several channels: length of the gradient times standard deviation."""
    half = 0.5 * np.eye(2)
    sides = [gp.posterior_mean(x + way)["m(x)"] - gp.posterior_mean(x - way)["m(x)"] for way in half]
    return np.sqrt(sum((side**2).sum(axis=1) for side in sides) * deviation(x, gp) ** 2)


def deviation(x: np.ndarray, gp: Any) -> np.ndarray:
    """The acquisition function "variance", which is the same for all channels."""
    variance = np.asarray(gp.posterior_covariance(x, variance_only=True)["v(x)"])
    return np.sqrt(np.maximum(variance.reshape(len(x), -1)[:, 0], 0))


ACQUISITION = {"variance": deviation, "gradient": steepness}


class Worker:
    """A Gaussian process that is told points and asked for more."""

    def __init__(self) -> None:
        self.hyper: np.ndarray | None = None
        self.trained = 0
        self.middle = np.zeros(1)
        self.gp: Any = None

    def tell(self, x: np.ndarray, y: np.ndarray, seed: int) -> None:
        """Know the values y (n, channels) at x (n, 2), and nothing else."""
        self.middle = y.mean(axis=0)
        if self.hyper is None or len(x) >= 2 * self.trained:
            chosen = np.random.default_rng(seed).permutation(len(x))[:MOST_TRAINED]
            gp = _process(x[chosen], y[chosen] - self.middle, START)
            gp.train(hyperparameter_bounds=BOUNDS, method="local", n_restarts=1, max_iter=20)
            self.hyper, self.trained = np.asarray(gp.hyperparameters), len(x)
        self.gp = _process(x, y - self.middle, self.hyper)

    def ask(self, free: np.ndarray, count: int, spacing: float, acquisition: str, seed: int) -> np.ndarray:
        """At most `count` of the pixels `free` (n, 2)."""
        rng, picked = np.random.default_rng(seed), np.empty((0, 2))
        x, y = np.asarray(self.gp.x_data), np.asarray(self.gp.y_data)
        while len(picked) < count and len(free):
            looked = free[rng.permutation(len(free))[:CANDIDATES]]
            wanted = min(count - len(picked), -(-count // ROUNDS))
            ranked = self.gp.ask(list(looked), n=len(looked), acquisition_function=ACQUISITION[acquisition])["x"]
            new = _apart(np.asarray(ranked).reshape(-1, 2), picked, wanted, APART * spacing)
            picked = np.concatenate([picked, new])
            free = free[~(free[:, None] == new[None]).all(axis=2).any(axis=1)]
            if len(picked) < count:
                x, y = np.concatenate([x, new]), np.concatenate([y, self.gp.posterior_mean(new)["m(x)"]])
                self.gp = _process(x, y, self.gp.hyperparameters)
        return picked

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n, channels) expected values."""
        chunks = [self.gp.posterior_mean(x[i : i + CHUNK])["m(x)"] for i in range(0, len(x), CHUNK)]
        return np.concatenate(chunks) + self.middle


def _process(x: np.ndarray, y: np.ndarray, hyper: np.ndarray) -> Any:
    return GPOptimizer(x, y, init_hyperparameters=hyper, noise_variances=np.full(len(x), NOISE))


def _apart(ranked: np.ndarray, before: np.ndarray, count: int, least: float) -> np.ndarray:
    """The first `count` that keep a distance from each other and those before; nearer ones where there are too few."""
    while True:
        kept = list(before)
        for point in ranked:
            if len(kept) - len(before) == count:
                break
            if not kept or np.min(np.sum((np.array(kept) - point) ** 2, axis=1)) >= max(least, 0.5) ** 2:
                kept.append(point)
        new = np.array(kept[len(before) :]).reshape(-1, 2)
        if len(new) == min(count, len(ranked)) or least < 1:
            return new
        least *= 0.8


def main() -> None:
    """Answer until standard input ends."""
    warnings.simplefilter("ignore")
    worker, answers = Worker(), sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        path = Path(asked.pop("file"))
        with np.load(path) as arrays:
            given = {name: arrays[name] for name in arrays.files}
        found = getattr(worker, asked.pop("do"))(**given, **asked)
        if found is not None:
            np.savez(path, found=found)
        hyper = [] if worker.hyper is None else [float(value) for value in worker.hyper]
        answers.write(json.dumps({"hyperparameters": hyper}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
