"""The answer of the network does not depend on how many threads there are."""

from __future__ import annotations

import pytest
import torch

from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.model.diffusion.inference.method import JointGate
from grainloop.model.reconstruct import Options, PLCandidates, Problem, never, no_report
from tests.model.reconstruct.problems import grid_pixels, measured, voronoi

SHAPE = (137, 167)
"""So large that torch shares the work out."""


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    """And whoever computes afterwards has as many as before."""
    truth, _ = voronoi(SHAPE, 200, 3)
    problem = Problem(SHAPE, "6/mmm", measured(truth, grid_pixels(SHAPE, 0.02)))
    method, before = JointGate(load_shipped, PLCandidates()), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = method(problem, Options(), no_report, never)
        torch.set_num_threads(threads)
        shared = method(problem, Options(), no_report, never)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert alone.p_wrong.tobytes() == shared.p_wrong.tobytes()
    assert alone.orientation.tobytes() == shared.orientation.tobytes()
