"""By what shipped weights something was measured, so that it is measured again when they change, and only then.

The free branch is a network of its own which the gate does not ask: maps, their doubts and proposals are the gate's
alone. What is measured of them stays valid when only that branch is trained on.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from safetensors import safe_open

from grainloop.model.diffusion.checkpoints.averaged import FREE_BRANCH
from grainloop.model.weights import weights_files


def gate_sha256() -> dict[str, str]:
    """Laue group → SHA-256 of all shipped tensors that the gate is made of."""
    return {group: tensors_sha256(file.path, FREE_BRANCH) for group, file in weights_files().items()}


@cache
def tensors_sha256(path: Path, without: str) -> str:
    """SHA-256 of the names, types, shapes and values of the tensors of a file whose name does not begin so.

    Zeros count as equal whatever their sign: an average that is updated towards itself can lose it.
    """
    digest = hashlib.sha256()
    with safe_open(path, "np") as file:
        for name in sorted(name for name in file.keys() if not name.startswith(without)):  # noqa: SIM118
            value = np.ascontiguousarray(file.get_tensor(name))
            digest.update(f"{name} {value.dtype} {value.shape}\n".encode())
            digest.update((value + value.dtype.type(0)).tobytes())
    return digest.hexdigest()
