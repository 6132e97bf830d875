"""Other ways to compute the network: PyTorch's compiler and bfloat16, ONNX Runtime, OpenVINO, against plain PyTorch.

The network is the stem, the backbone, what fuses them and the heads of the denoiser that ships, on the inputs of one
256 × 256 map. All ways take turns in one process on one thread, the fastest turn of each counts, and each is compared
with plain PyTorch in time and in what it says. Ways whose package is not installed are left out and named; they are no
dependency of the project (docs/decisions/0018-plain-pytorch-computes-the-network.md).

    pip install onnx onnxruntime openvino
    python -m benchmarks.computing.backends
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.model.diffusion.network.denoiser import Denoiser

RESULTS = Path(__file__).parents[1] / "results" / "backends.json"
EDGE_PX, ROUNDS, SEED = 256, 9, 3
WORTHWHILE = 1.5
"""Times faster than plain PyTorch that a way must be to be kept."""
Way = Callable[[Tensor], Tensor]


class Network(nn.Module):
    """The layers of a denoiser between its inputs and its heads, as one image-to-image network."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.stem, self.backbone = denoiser.stem, denoiser.backbone
        self.fuse, self.head = denoiser.fuse, denoiser.head

    def forward(self, table: Tensor) -> Tensor:
        """(1, inputs, h, w) → (1, outputs, h, w)."""
        stem = F.silu(self.stem(table))
        return self.head(F.silu(self.fuse(torch.cat([stem, self.backbone(stem)], 1))))


def plain(network: Network) -> Way:
    """PyTorch, float32, channels last, as the product computes it."""
    return network


def bfloat16(network: Network) -> Way:
    """PyTorch, convolutions in bfloat16."""

    def run(table: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return network(table).float()

    return run


def compiled(network: Network) -> Way:
    """PyTorch's compiler, which needs a C++ compiler on the machine that runs it."""
    return torch.compile(network)


def onnx_runtime(network: Network) -> Way:
    """ONNX Runtime, float32."""
    with tempfile.TemporaryDirectory() as folder:
        return _onnx_way(_exported(network, folder))


def onnx_int8(network: Network) -> Way:
    """ONNX Runtime, convolutions in 8-bit integers, their ranges learnt from one input like the one timed."""
    quantization: Any = importlib.import_module("onnxruntime.quantization")

    class Once(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._left = [{"table": torch.randn(1, network.stem.in_channels, EDGE_PX, EDGE_PX).numpy()}]

        def get_next(self) -> dict[str, Any] | None:
            return self._left.pop() if self._left else None

    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "int8.onnx")
        quantization.quantize_static(_exported(network, folder), target, Once(), per_channel=True)
        return _onnx_way(target)


def _exported(network: Network, folder: str) -> str:
    path = os.path.join(folder, "network.onnx")
    example = torch.zeros(1, network.stem.in_channels, EDGE_PX, EDGE_PX)
    torch.onnx.export(network, (example,), path, input_names=["table"], dynamo=False)
    return path


def _onnx_way(path: str) -> Way:
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda table: torch.from_numpy(session.run(None, {"table": table.contiguous().numpy()})[0])


def openvino(precision: str) -> Callable[[Network], Way]:
    """OpenVINO at a precision of its own."""

    def made(network: Network) -> Way:
        ov: Any = importlib.import_module("openvino")
        example = torch.zeros(1, network.stem.in_channels, EDGE_PX, EDGE_PX)
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1}
        ready = ov.compile_model(ov.convert_model(network, example_input=example), "CPU", settings)
        return lambda table: torch.from_numpy(np.asarray(ready(table.contiguous().numpy())[0], np.float32))

    return made


WAYS: dict[str, tuple[Callable[[Network], Way], tuple[str, ...]]] = {
    "PyTorch": (plain, ("torch",)),
    "PyTorch, bfloat16": (bfloat16, ("torch",)),
    "torch.compile": (compiled, ("torch",)),
    "ONNX Runtime": (onnx_runtime, ("onnx", "onnxruntime")),
    "ONNX Runtime, int8": (onnx_int8, ("onnx", "onnxruntime")),
    "OpenVINO, float32": (openvino("f32"), ("openvino",)),
    "OpenVINO, bfloat16": (openvino("bf16"), ("openvino",)),
}
"""Name → what makes the way, and the packages that it needs."""


@torch.inference_mode()
def main() -> dict[str, Any]:
    """Time all ways that are installed and write the table."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    network = Network(load_shipped("6/mmm").denoiser).eval()
    table = torch.randn(1, network.stem.in_channels, EDGE_PX, EDGE_PX).contiguous(memory_format=torch.channels_last)
    missing = {name for name, (_, needs) in WAYS.items() if not all(importlib.util.find_spec(one) for one in needs)}
    ways = {name: make(network) for name, (make, _) in WAYS.items() if name not in missing}
    said = {name: way(table) for name, way in ways.items()}
    seconds = {name: float("inf") for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way(table)
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    spread = float(said["PyTorch"].std())
    rows = {
        name: {
            "seconds": round(seconds[name], 4),
            "times_faster": round(seconds["PyTorch"] / seconds[name], 2),
            "rms_departure": round(float((said[name] - said["PyTorch"]).square().mean().sqrt()) / spread, 6),
            "packages": {package: version(package) for package in WAYS[name][1]},
        }
        for name in ways
    }
    result = {"edge_px": EDGE_PX, "rounds": ROUNDS, "rows": rows, "not_installed": sorted(missing)}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    for name, row in main()["rows"].items():
        kept = "kept" if row["times_faster"] >= WORTHWHILE else "not kept"
        print(
            f"{name:20} {row['seconds']:.3f} s  {row['times_faster']:.2f}×  departs {row['rms_departure']:.1e}  {kept}"
        )
