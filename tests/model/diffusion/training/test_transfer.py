"""A denoiser for another Laue group begins with all that does not depend on the crystal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from grainloop.model.diffusion.checkpoints.averaged import FREE_BRANCH
from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.model.diffusion.network import candidates as cand
from grainloop.model.diffusion.network.denoiser import Conditions, Denoised, Denoiser
from grainloop.model.diffusion.network.state import SIGMA_MAX, StateSpace, state_space
from grainloop.model.diffusion.training.trainer import TrainConfig, Trainer, build_denoiser
from grainloop.model.diffusion.training.transfer import transferred
from grainloop.model.weights import weights_files
from tests.model.diffusion.conftest import SEED

SHAPE = (16, 32)
POINTS = 7


def said(denoiser: Denoiser, space: StateSpace) -> Denoised:
    """What a denoiser says of the same candidates in any group: nothing known of the state, points at the origin."""
    rng = np.random.default_rng(SEED)
    state = torch.zeros(1, space.channels, *SHAPE)
    points, light = torch.zeros(1, POINTS, space.ebsd_channels), torch.zeros(1, POINTS, space.light_channels)
    known = torch.from_numpy(rng.random((1, cand.COUNT, *SHAPE)) < 0.8)
    index = torch.from_numpy(rng.integers(POINTS, size=known.shape)) * known
    rest = [(cand.COUNT + 1, *SHAPE), (cand.COUNT, cand.FEATURES, *SHAPE), (cand.CONTEXT, *SHAPE)]
    prior, features, context = (torch.from_numpy(rng.normal(size=(1, *s)).astype(np.float32)) for s in rest)
    features *= known[:, :, None]
    level = torch.full_like(state, SIGMA_MAX)
    with torch.inference_mode():
        return denoiser(Conditions(state, level, points, light, index, known, prior, features, context))


def test_without_light_the_gate_of_a_cubic_beginning_is_the_hexagonal_one() -> None:
    hexagonal, cubic = load_shipped("6/mmm"), state_space("m-3m")
    target = build_denoiser(cubic)
    before = said(target, cubic)
    target.load_state_dict(transferred(hexagonal.denoiser.state_dict(), hexagonal.space, target, cubic))
    expected, found = said(hexagonal.denoiser, hexagonal.space), said(target, cubic)
    for name in ("weights", "free_weight", "boundary", "wrong"):
        new, known = getattr(found, name), getattr(expected, name)
        assert torch.allclose(new, known, atol=1e-4, rtol=1e-3), name  # σ_max is large, not infinite
    assert not torch.allclose(before.weights, expected.weights, atol=1e-2)


def test_to_the_same_group_all_but_the_ebsd_channels_is_lent() -> None:
    trained = load_shipped("6/mmm")
    target = build_denoiser(trained.space)
    lent = transferred(trained.denoiser.state_dict(), trained.space, target, trained.space)
    source = {name: of for name, of in trained.denoiser.state_dict().items() if not name.startswith(FREE_BRANCH)}
    ebsd = trained.space.ebsd_channels
    assert torch.equal(lent["stem.weight"][:, ebsd:], source["stem.weight"][:, ebsd:])
    assert torch.equal(lent["stem.weight"][:, :ebsd], target.state_dict()["stem.weight"][:, :ebsd])
    same = [name for name in source if torch.equal(lent[name], source[name])]
    assert set(source) - set(same) - {"sigma_data"} == {"stem.weight", "head.weight", "head.bias"}


def test_a_cubic_training_begins_from_hexagonal_weights_and_counts_anew() -> None:
    trainer = Trainer(TrainConfig(point_group="m-3m"))
    entry = weights_files()["6/mmm"]
    trainer.start_from(entry.path)
    stands = trainer.progress()
    assert (stands.step, stands.seconds, stands.cpu_seconds, stands.revisions) == (0, 0.0, 0.0, ())
    assert stands.origins[-1].sha256 == entry.sha256
    for name, value in trainer.average.state_dict().items():
        assert torch.equal(value, trainer.model.state_dict()[name]), name
    assert trainer.model.sigma_data.shape[1] == state_space("m-3m").channels


def test_tensors_of_another_network_lend_nothing(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError

    meta = {"point_group": "6/mmm"}
    save_file({"stem.weight": torch.zeros(3)}, tmp_path / "other.safetensors", metadata=meta)
    with pytest.raises(CheckpointError, match="belongs to another network"):
        Trainer(TrainConfig(point_group="m-3m")).start_from(tmp_path / "other.safetensors")
