"""Specimens: what every one promises, and what each recipe shows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.model.crystal import (
    UnknownPointGroup,
    disorientation_deg,
    neighbour_disorientation_deg,
    rotate_vectors,
)
from grainloop.model.microstructure import (
    RECIPES,
    TRAINING_WEIGHTS,
    MicrostructureError,
    Specimen,
    make_specimen,
    make_stack,
    mixture,
)
from grainloop.model.microstructure.recipe import (
    BASAL,
    DEFORMED,
    EQUIAXED,
    LATH,
    RANDOM,
    Defects,
    Grains,
    Recipe,
    Strain,
    Twins,
)
from grainloop.model.microstructure.variants import hcp_twins
from grainloop.model.microstructure.volume import MAIN_PHASE, PORE

UNSTRAINED = Strain(gradient_deg=(1e-6, 1e-6), subgrains=0.0)
FLAWLESS = Defects(present=0.0)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(sorted(RECIPES)),
    group=st.sampled_from(["6/mmm", "m-3m"]),
    shape=st.tuples(st.integers(4, 70), st.integers(4, 70)),
)
def test_every_specimen_is_whole(seed: int, name: str, group: str, shape: tuple[int, int]) -> None:
    specimen = make_specimen(np.random.default_rng(seed), shape, RECIPES[name], group)
    assert specimen.orientation.shape == (*shape, 4)
    assert specimen.orientation.dtype == np.float32
    assert specimen.label.dtype == np.int32
    assert specimen.label.shape == specimen.valid.shape == specimen.phase.shape == shape
    assert np.abs(np.linalg.norm(specimen.orientation, axis=-1) - 1).max() < 1e-5
    assert np.array_equal(specimen.label == -1, specimen.phase == PORE)
    assert not np.any(specimen.valid & (specimen.phase != MAIN_PHASE))
    assert specimen.valid.mean() >= 0.1


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_same_seed_gives_the_same_specimen_and_another_seed_another(name: str) -> None:
    first, again, other = (make_specimen(np.random.default_rng(s), (48, 48), RECIPES[name]) for s in (3, 3, 4))
    assert np.array_equal(first.orientation, again.orientation)
    assert np.array_equal(first.label, again.label)
    assert not np.array_equal(first.orientation, other.orientation)


@pytest.mark.parametrize("system", ["10-12", "11-22", "10-11", "11-21"])
def test_twins_lie_on_their_plane_and_have_their_angle(system: str) -> None:
    twins = Twins(grains=(1.0, 1.0), systems=((system, 1.0),), thickness_px=(4.0, 5.0), scatter_deg=(0.0, 0.0))
    grains = Grains(diameter_px=(50.0, 60.0), waviness=(0.0, 0.0), roughness_px=(0.0, 0.0), planar=0.0)
    recipe = Recipe("test", grains, ((1.0, RANDOM),), twins, None, UNSTRAINED, FLAWLESS, (1.593, 1.593))
    expected = {"10-12": 85.2, "11-22": 64.2, "10-11": 57.1, "11-21": 34.9}[system]
    specimen = make_specimen(np.random.default_rng(11), (200, 200), recipe)
    right, down = neighbour_disorientation_deg(specimen.orientation, "6/mmm")
    angles = np.concatenate([right[right > 1], down[down > 1]])
    assert np.mean(np.abs(angles - expected) < 0.3) > 0.3, "few boundaries have the angle of the twin"
    assert trace_error_deg(specimen, system) < 4  # about 13° if lamellae lay anywhere


def trace_error_deg(specimen: Specimen, system: str) -> float:
    """Median angle between the long direction of a lamella in the map and n × z, n a K1 normal of its own crystal."""
    label, orientation = specimen.label, specimen.orientation
    habit = hcp_twins(system, 1.593).habit
    errors = []
    for each in np.unique(label):
        rows, columns = np.nonzero(label == each)
        if len(rows) < 40:
            continue
        spread, directions = np.linalg.eigh(np.cov(np.stack([columns, rows]).astype(float)))
        if spread[1] < 30 * spread[0]:
            continue
        normals = rotate_vectors(orientation[rows[0], columns[0]], habit)
        trace = np.cross(normals, [0.0, 0, 1])[:, :2]
        trace = trace[np.linalg.norm(trace, axis=1) > 0.3]
        cosine = np.abs(trace @ directions[:, 1]) / np.linalg.norm(trace, axis=1)
        errors.append(np.degrees(np.arccos(np.minimum(cosine.max(), 1))))
    assert len(errors) >= 8, f"only {len(errors)} clear lamellae"
    return float(np.median(errors))


def test_annealing_twins_of_cubic_crystals_are_sigma_3() -> None:
    recipe = replace(
        RECIPES["twinned"],
        strain=UNSTRAINED,
        defects=FLAWLESS,
        twins=Twins(grains=(1.0, 1.0), scatter_deg=(0.0, 0.0)),
    )
    specimen = make_specimen(np.random.default_rng(5), (160, 160), recipe, "m-3m")
    right, _ = neighbour_disorientation_deg(specimen.orientation, "m-3m")
    assert np.mean(np.abs(right[right > 1] - 60) < 0.2) > 0.3


def test_laths_of_one_parent_are_burgers_related() -> None:
    laths = replace(
        LATH.laths, isolated=0.0, basketweave=1.0, parents=(1.0, 1.0), scatter_deg=(0.0, 0.0), retained=(0.0, 0.0)
    )
    recipe = replace(LATH, laths=laths, strain=UNSTRAINED, defects=FLAWLESS)
    recipe = replace(recipe, grains=replace(recipe.grains, diameter_px=(400.0, 400.0)))
    specimen = make_specimen(np.random.default_rng(2), (96, 96), recipe)
    right, down = neighbour_disorientation_deg(specimen.orientation, "6/mmm")
    angles = np.concatenate([right[right > 1], down[down > 1]])
    known = np.array([10.53, 60.0, 60.83, 63.26, 90.0])
    assert np.mean(np.min(np.abs(angles[:, None] - known), axis=1) < 0.1) > 0.9


def test_deformed_grains_turn_more_within_than_equiaxed_ones() -> None:
    def within(recipe: Recipe) -> float:
        turns = []
        for seed in range(8):
            specimen = make_specimen(np.random.default_rng(seed), (96, 96), recipe)
            label = specimen.label
            same = (label[:, 1:] == label[:, :-1]) & specimen.valid[:, 1:] & specimen.valid[:, :-1]
            turns.append(np.mean(neighbour_disorientation_deg(specimen.orientation, "6/mmm")[0][same]))
        return float(np.mean(turns))

    assert within(DEFORMED) > 2 * within(EQUIAXED)


def test_gradient_has_the_size_asked_for() -> None:
    grains = Grains(diameter_px=(60.0, 60.0), planar=0.0)
    strain = Strain(gradient_deg=(3.0, 3.0), knot_grains=(0.2, 0.2), subgrains=0.0)
    recipe = Recipe("test", grains, ((1.0, BASAL),), strain=strain, defects=FLAWLESS)
    powers = []
    for seed in range(8):
        specimen = make_specimen(np.random.default_rng(seed), (128, 128), recipe)
        for label in np.flatnonzero(np.bincount(specimen.label.ravel()) > 800):
            inside = specimen.orientation[specimen.label == label].astype(float)
            mean = np.linalg.eigh(inside.T @ inside)[1][:, -1]
            powers.append(np.mean(np.square(disorientation_deg(inside, mean, "6/mmm"))))
    assert len(powers) > 20
    # The amplitude varies from grain to grain with a log-normal spread of 0.4, and a mean was taken out of each grain.
    assert np.exp(np.mean(np.log(powers)) / 2) == pytest.approx(3.0, rel=0.2)


def test_stack_sections_agree_more_the_closer_they_are() -> None:
    def agreement(spacing: float) -> float:
        shares = []
        for seed in range(5):
            top, below = make_stack(np.random.default_rng(seed), 2, (64, 64), spacing, EQUIAXED)
            shares.append(np.mean(top.label == below.label))
        return float(np.mean(shares))

    shares = [agreement(spacing) for spacing in (0.0, 0.05, 0.3, 1.0)]
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert shares[1] > 0.85
    assert shares[3] < 0.6


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_grain_keeps_its_orientation_through_the_stack(name: str) -> None:
    recipe = replace(RECIPES[name], strain=Strain(gradient_deg=(0.2, 0.2), subgrains=0.0))
    if recipe.laths is not None:  # the laths of a colony share its label, but not its exact orientation
        recipe = replace(recipe, laths=replace(recipe.laths, scatter_deg=(0.0, 0.0)))
    top, below = make_stack(np.random.default_rng(9), 2, (64, 64), 0.01, recipe)
    same = (top.label == below.label) & top.valid & below.valid
    assert same.sum() > 0.6 * top.valid.sum()
    assert np.percentile(disorientation_deg(top.orientation[same], below.orientation[same], "6/mmm"), 90) < 0.1


def test_mixture_follows_its_weights() -> None:
    rng = np.random.default_rng(8)
    names = [mixture(rng).name for _ in range(2000)]
    for name, weight in TRAINING_WEIGHTS.items():
        assert np.mean([n == name for n in names]) == pytest.approx(weight, abs=0.04)
    assert {mixture(rng, {"lath": 1.0}).name for _ in range(20)} == {"lath"}


@pytest.mark.parametrize("weights", [{}, {"equiaxed": -1.0, "lath": 2.0}, {"lath": 0.0}, {"lath": float("nan")}])
def test_impossible_weights_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(MicrostructureError, match="weights"):
        mixture(np.random.default_rng(0), weights)


def test_bad_requests_are_refused_by_name() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(MicrostructureError, match="4×4"):
        make_specimen(rng, (3, 64), EQUIAXED)
    with pytest.raises(MicrostructureError, match="-3m"):
        make_specimen(rng, (16, 16), EQUIAXED, "-3m")
    with pytest.raises(UnknownPointGroup, match="7/mmm"):
        make_specimen(rng, (16, 16), EQUIAXED, "7/mmm")
    with pytest.raises(MicrostructureError, match="spacing"):
        make_stack(rng, 2, (16, 16), -0.1, EQUIAXED)
    with pytest.raises(MicrostructureError, match="section"):
        make_stack(rng, 0, (16, 16), 0.1, EQUIAXED)
    with pytest.raises(MicrostructureError, match="no-such"):
        mixture(rng, {"no-such": 1.0})
    barren = replace(EQUIAXED, name="barren", defects=Defects(present=1.0, phase_grains=(1.0, 1.0)))
    with pytest.raises(MicrostructureError, match="barren"):
        make_specimen(rng, (16, 16), barren)
