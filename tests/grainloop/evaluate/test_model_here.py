"""A model in this process: by name, by `classical`, by a folder of weights or a file of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grainloop.evaluate.model_here import ModelHere, model_named
from grainloop.model.service.methods import TRAINED, methods, weights_sha256
from grainloop.model.weights import FOLDER, weights_files
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import DescribeModel
from grainloop.protocols.values import Phase
from tests.controller.virtual_time import run

TITANIUM = (Phase(phase_id=1, name="Ti", point_group="6/mmm"),)


@pytest.mark.parametrize(("name", "method"), [(None, TRAINED), ("nn", "nn"), ("classical", "pl_candidates")], ids=str)
def test_methods_go_by_name(name: str | None, method: str) -> None:
    assert model_named(name, TITANIUM) is methods()[method]


def test_weights_go_by_their_folder_or_file(tmp_path: Path) -> None:
    shipped = weights_files()["6/mmm"]
    shutil.copy(shipped.path, tmp_path / "best.safetensors")
    for place in (FOLDER, tmp_path, tmp_path / "best.safetensors"):
        method = model_named(str(place), TITANIUM)
        assert (method.name, weights_sha256(method, "6/mmm")) == ("joint", shipped.sha256)
        described = run(ModelHere(method, TITANIUM).request(DescribeModel(), deadline_s=1))
        assert described.weights_sha256 == (("6/mmm", shipped.sha256),)


def test_weights_of_another_group_are_refused() -> None:
    cubic = (Phase(phase_id=1, name="Ni", point_group="m-3m"),)
    with pytest.raises(BadInput, match="The weights cannot be used"):
        model_named(str(weights_files()["6/mmm"].path), cubic)
