"""What a reconstruction costs: time, memory, growth with area, samples, and how near the network is to the machine.

The problem is the titanium map that ships, repeated to any size, 6.25 % of its points, registered PL. The map is what a
round of a run asks for, without the noise taken out, unless said otherwise. Times are the best of some rounds after one
to compile, as wall time and as processor time. Limits of the machine are measured in the same run. DPS, which is the
usual way to condition such a model, is measured over a few of its steps and extrapolated. Nothing is worth publishing
that was measured beside other work.

`python -m benchmarks.computing.reconstruct_speed --small` tries everything on small maps and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.posterior.classical import tiled
from grainloop.evaluate.sections.cropping import crop_problem
from grainloop.evaluate.sections.scenes import Setting, make_scene
from grainloop.instrument_sim import specimens
from grainloop.model.diffusion.checkpoints.shipped import Weights, load_shipped
from grainloop.model.diffusion.inference.method import gate_evaluation, reconstruct
from grainloop.model.diffusion.inference.reference import REFERENCE_METHODS
from grainloop.model.diffusion.network.conditions import SectionInput, gather_evidence, section_input
from grainloop.model.reconstruct import Options, Problem, RegisteredLight, SparsePoints, never, no_report

RESULTS = Path(__file__).parents[1] / "results" / "reconstruct_speed.json"
SHARE = 0.0625
GROUP = "6/mmm"
DPS_STEPS = 100


@dataclass(frozen=True)
class Sizes:
    """What is measured on which maps."""

    edge_px: int = 256
    edges_px: tuple[int, ...] = (128, 256, 512, 1024)
    members: int = 8
    steps: int = 3
    rounds: int = 3
    matrix: int = 2048
    threads: int = 2


MAP = Options(denoised=False)
"""What a round of a run asks for."""
SMALL = Sizes(edge_px=64, edges_px=(32, 64, 96), members=2, rounds=1, matrix=256)


def main(sizes: Sizes | None = None) -> dict[str, Any]:
    """Measure; without sizes of one's own also write `results/reconstruct_speed.json`."""
    chosen = sizes or Sizes()
    torch.set_num_threads(chosen.threads)
    weights, problem = load_shipped(GROUP), problem_of(chosen.edge_px)
    gate = timed(partial(solve, problem, MAP), chosen.rounds)
    result = {
        "weights_sha256": weights.sha256,
        "edge_px": chosen.edge_px,
        "share": SHARE,
        "threads": chosen.threads,
        "load_average": round(os.getloadavg()[0], 2),
        "gate_map": gate,
        "gate_map_denoised": timed(partial(solve, problem, Options()), chosen.rounds),
        "samples": samples(problem, chosen, gate),
        "peak_memory_mib": memory(problem, chosen),
        "area": growth(chosen),
        "machine": machine(weights, problem, chosen),
        "dps": dps(problem, gate),
    }
    if sizes is None:
        RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


@cache
def _tile() -> Problem:
    """The map that ships, as a problem."""
    return make_scene(specimens.load("ti64"), Setting(share=SHARE)).given.problems[1]


def problem_of(edge_px: int) -> Problem:
    """The map repeated and cut to a square of this edge."""
    rows, columns = (-(-edge_px // n) for n in _tile().shape)
    edge = slice(0, edge_px)
    return crop_problem(tiled(_tile(), rows, columns), (edge, edge))


def solve(problem: Problem, options: Options) -> None:
    """One reconstruction with everything that it says of itself."""
    reconstruct(load_shipped(GROUP), problem, options, no_report, never)


def timed(work: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Wall and processor seconds, each the best of some rounds after one to compile."""
    work()
    wall_s, cpu_s = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        wall_s.append(time.perf_counter() - wall)
        cpu_s.append(time.process_time() - cpu)
    return {"wall_s": round(min(wall_s), 4), "cpu_s": round(min(cpu_s), 4)}


def samples(problem: Problem, sizes: Sizes, gate: dict[str, float]) -> dict[str, Any]:
    """Samples by the gate, which is the default, and by the diffusion sampler; each with the map."""
    members = replace(MAP, members=sizes.members)
    kinds = {"gate": members, "diffusion": replace(members, steps=sizes.steps)}
    found: dict[str, Any] = {"members": sizes.members, "steps": sizes.steps}
    for name, options in kinds.items():
        row = timed(partial(solve, problem, options), sizes.rounds)
        found[name] = row | {"times_gate_map": round(row["wall_s"] / gate["wall_s"], 2)}
    return found


def memory(problem: Problem, sizes: Sizes) -> dict[str, float]:
    """Peak resident MiB of a process of its own: with all loaded, with a map, with samples of either kind."""
    kinds = {"loaded": (-1, 0), "gate_map": (0, 0), "gate_samples": (sizes.members, 0)}
    kinds["diffusion_samples"] = (sizes.members, sizes.steps)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        save_problem(problem, path)
        return {name: _peak_mib(path, *how) for name, how in kinds.items()}


def _peak_mib(path: Path, members: int, steps: int) -> float:
    command = [
        sys.executable,
        "-m",
        "benchmarks.computing.reconstruct_speed",
        "--peak",
        str(path),
        str(members),
        str(steps),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return float(done.stdout.splitlines()[-1])


def peak(path: Path, members: int, steps: int) -> float:
    """Peak resident MiB of this process after one reconstruction; after loading alone below 0 members."""
    problem = load_problem(path)
    load_shipped(GROUP)
    if members >= 0:
        solve(problem, replace(MAP, members=members, steps=steps or None))
    return round(_highest_kib() / 1024, 1)


def _highest_kib() -> int:
    """Not `ru_maxrss` where it can be helped: on Linux it starts from what the parent held when it forked."""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def save_problem(problem: Problem, path: Path) -> None:
    """Keep a problem for another process, so that its peak is not that of registration."""
    points, light = problem.points, problem.light
    assert light is not None
    np.savez(path, position=points.position_px, orientation=points.orientation, light=light.features, sigma=light.sigma)


def load_problem(path: Path) -> Problem:
    """The inverse of `save_problem`."""
    with np.load(path) as kept:
        position, orientation, light, sigma = (kept[name] for name in ("position", "orientation", "light", "sigma"))
    points = SparsePoints(position, orientation, np.ones(len(position), np.bool_))
    return Problem((light.shape[1], light.shape[2]), GROUP, points, RegisteredLight(light, sigma))


def growth(sizes: Sizes) -> dict[str, Any]:
    """Seconds over area, and the exponent k of seconds ∝ areaᵏ by least squares of the logarithms."""
    rows = {edge: timed(partial(solve, problem_of(edge), MAP), sizes.rounds) for edge in sizes.edges_px}
    area = np.log([edge**2 for edge in rows])
    fits = {f"exponent_{of}": np.polyfit(area, np.log([row[of] for row in rows.values()]), 1)[0] for of in _TIMES}
    micro = {edge: round(1e6 * row["wall_s"] / edge**2, 2) for edge, row in rows.items()}
    return {"edges_px": rows, "wall_us_per_pixel": micro} | {name: round(float(k), 3) for name, k in fits.items()}


_TIMES = ("wall_s", "cpu_s")


def machine(weights: Weights, problem: Problem, sizes: Sizes) -> dict[str, Any]:
    """Multiply-accumulates per second: of a large product, of a convolution, and of the network, in 10⁹."""
    limits = {"matrix_product": _product_rate(sizes), "convolution_3x3": _convolution_rate(sizes)}
    section = section_input(problem.shape, gather_evidence(problem, weights.space), weights.space)
    evaluation = timed(lambda: gate_evaluation(weights.denoiser, section), sizes.rounds)
    macs = multiply_accumulates(weights, section)
    rate = macs / evaluation["wall_s"] / 1e9
    return {
        "gmac_per_s": {name: round(limit, 2) for name, limit in limits.items()},
        "network": evaluation | {"gmac": round(macs / 1e9, 3), "gmac_per_s": round(rate, 2)},
        "network_over": {name: round(rate / limit, 3) for name, limit in limits.items()},
    }


def _product_rate(sizes: Sizes) -> float:
    first, second = (torch.randn(sizes.matrix, sizes.matrix) for _ in range(2))
    seconds = timed(lambda: first @ second, max(3, sizes.rounds))["wall_s"]
    return sizes.matrix**3 / max(seconds, 1e-4) / 1e9


@torch.inference_mode()
def _convolution_rate(sizes: Sizes) -> float:
    """A 3×3 convolution of 96 to 96 channels, channels last, on a map of a quarter of the area."""
    edge, channels = sizes.edge_px // 2, 96
    layer = nn.Conv2d(channels, channels, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(4, channels, edge, edge).to(memory_format=torch.channels_last)
    seconds = timed(lambda: layer(x), max(3, sizes.rounds))["wall_s"]
    return 4 * edge**2 * 9 * channels**2 / max(seconds, 1e-4) / 1e9


def multiply_accumulates(weights: Weights, section: SectionInput) -> int:
    """Of one evaluation: convolutions and matrix products as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        gate_evaluation(weights.denoiser, section)
    return counter.get_total_flops() // 2


def dps(problem: Problem, gate: dict[str, float]) -> dict[str, Any]:
    """Wall seconds of one DPS sample at its usual number of steps, from the difference of a few and twice as many."""
    few, many = (_dps_seconds(problem, steps) for steps in (2, 4))
    per_step = max(many - few, 0) / 2
    seconds = many + (DPS_STEPS - 4) * per_step
    ratio = seconds / gate["wall_s"]
    shown = {"seconds_per_step": round(per_step, 3), "seconds_per_map": round(seconds, 2)}
    return {"steps": DPS_STEPS, "measured_steps": [2, 4], **shown, "times_gate_map": round(ratio, 1)}


def _dps_seconds(problem: Problem, steps: int) -> float:
    method, options = REFERENCE_METHODS["dps"], Options(members=1, steps=steps)
    return timed(lambda: method(problem, options, no_report, never), 1)["wall_s"]


def _run() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="small maps; writes nothing")
    parser.add_argument("--peak", nargs=3, metavar=("PROBLEM", "MEMBERS", "STEPS"), help="peak memory of one")
    said = parser.parse_args()
    if said.peak:
        torch.set_num_threads(Sizes().threads)
        path, members, steps = said.peak
        print(peak(Path(path), int(members), int(steps)))
    else:
        print(json.dumps(main(SMALL if said.small else None), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    _run()
