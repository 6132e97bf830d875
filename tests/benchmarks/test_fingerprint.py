"""The fingerprint of the gate: blind to the free branch, and to nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.fingerprint import gate_sha256, tensors_sha256
from grainloop.model.diffusion.checkpoints.averaged import FREE_BRANCH
from grainloop.model.weights import weights_files

HEAD, FREE = "head.weight", f"{FREE_BRANCH}enter.weight"


def written(path: Path, **changes: np.ndarray) -> str:
    tensors = {HEAD: np.arange(4, dtype=np.float16), FREE: np.ones((2, 2), np.float16)} | changes
    save_file(tensors, path)
    return tensors_sha256(path, FREE_BRANCH)


def test_the_free_branch_may_change(tmp_path: Path) -> None:
    first = written(tmp_path / "first")
    assert written(tmp_path / "other", **{FREE: np.zeros((2, 2), np.float16)}) == first
    assert written(tmp_path / "larger", **{f"{FREE_BRANCH}leave.bias": np.zeros(3, np.float16)}) == first


def test_a_zero_may_lose_its_sign(tmp_path: Path) -> None:
    zeros = np.zeros(4, np.float16)
    assert written(tmp_path / "first", **{HEAD: zeros}) == written(tmp_path / "other", **{HEAD: -zeros})


@pytest.mark.parametrize(
    "changes",
    [
        {HEAD: np.array([0, 1, 2, 4], np.float16)},
        {HEAD: np.arange(4, dtype=np.float32)},
        {HEAD: np.arange(4, dtype=np.float16).reshape(2, 2)},
        {"head.bias": np.zeros(1, np.float16)},
    ],
)
def test_nothing_else_may(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    assert written(tmp_path / "first") != written(tmp_path / "other", **changes)


def test_every_file_that_ships_has_one() -> None:
    found = gate_sha256()
    assert found.keys() == weights_files().keys()
    assert len(set(found.values())) == len(found)
