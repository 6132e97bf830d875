"""Weights that cannot be used are named in the answer, and the classical method takes over."""

import hashlib
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError
from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.model.diffusion.inference.method import JointGate
from grainloop.model.reconstruct import PLCandidates
from grainloop.model.service.methods import methods, weights_sha256
from tests.model.service.fakes import SOON_S
from tests.model.service.runs import asking, connection, opening, section, serving


def tensors(path, group):
    save_file({"weight": torch.zeros(3)}, path, metadata={"point_group": group})


WRITTEN = {
    "another group": (lambda path: tensors(path, "m-3m"), None, "is for Laue group m-3m, not 6/mmm"),
    "another network": (lambda path: tensors(path, "6/mmm"), None, "belongs to another network"),
    "altered": (lambda path: tensors(path, "6/mmm"), "0" * 64, "is not the one expected"),
    "no tensors": (lambda path: path.write_bytes(b"\x07junk" * 100), None, "cannot be read"),
    "missing": (lambda path: None, "0" * 64, "cannot be read"),
    "no index": (lambda path: None, "not JSON", "The index of trained models"),
}


@pytest.fixture(params=WRITTEN)
def faulty(request, tmp_path, monkeypatch):
    """The words that name the fault; the method 'faulty' has the weights."""
    write, sha256, words = WRITTEN[request.param]
    path = tmp_path / "weights.safetensors"
    write(path)
    if sha256 == "not JSON":
        index = '{"6/mmm": ['
    else:
        entry = {"file": path.name, "sha256": sha256 or hashlib.sha256(path.read_bytes()).hexdigest()}
        index = json.dumps({"6/mmm": entry})
    (tmp_path / "index.json").write_text(index)
    method = JointGate(lambda group: load_shipped(group, tmp_path), PLCandidates(), "faulty")
    monkeypatch.setitem(methods(), "faulty", method)
    return words


async def test_faulty_weights_are_named_and_the_classical_method_takes_over(faulty):
    _, points = section()
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        found, classical = [
            await model.request(asking(points, method=name), deadline_s=SOON_S) for name in ("faulty", "pl_candidates")
        ]
        assert (await model.request(asking(points), deadline_s=SOON_S)).predicted_wrong < 1
    assert any(faulty in note and "pl_candidates is used" in note for note in found.degraded)
    assert found.weights_sha256 is None
    assert (found.orientation == classical.orientation).all()


def weights_of(group):
    if group != "6/mmm":
        raise CheckpointError("none")
    return SimpleNamespace(sha256="f" * 64)


def test_the_weights_behind_a_method_are_named():
    trained = JointGate(weights_of, PLCandidates())
    assert weights_sha256(trained, "6/mmm") == weights_sha256(trained, "622") == "f" * 64
    assert weights_sha256(trained, "m-3m") is None
    assert weights_sha256(methods()["nn"], "6/mmm") is None


def test_a_damaged_index_stops_no_service(tmp_path):
    """In a process of its own, since what weights ship is looked up once."""
    (tmp_path / "index.json").write_text('{"6/mmm": {"file": 3}}')
    code = (
        "import pathlib, sys, grainloop.model.weights as w\n"
        "real = w.weights_files\n"
        "w.weights_files = lambda folder=pathlib.Path(sys.argv[1]): real(pathlib.Path(sys.argv[1]))\n"
        "from grainloop.model.service.methods import default_method, shipped_weights\n"
        "print(default_method(), shipped_weights())\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "joint ()"
