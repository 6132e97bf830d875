"""On the two real maps that ship: errors beside those of nearest neighbour, and predicted beside true shares."""

from functools import cache

import numpy as np
import pytest

from grainloop.instrument_sim import specimens
from grainloop.instrument_sim.config import DetectorConfig, DriftConfig, SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.model.crystal import boundary_map, disorientation_deg
from grainloop.model.estimate.scores import auroc
from grainloop.model.light import align, fit_stack
from grainloop.model.reconstruct import METHODS, Options, Problem, RegisteredLight, SparsePoints, never, no_report
from tests.model.reconstruct.problems import grid_pixels

ANGLES = tuple(float(a) for a in range(0, 180, 10))
GRIDS = (0.021, 0.0625, 0.25)


@cache
def specimen(name):
    return specimens.load(name)


def sparse(name, share):
    truth = specimen(name)
    position = grid_pixels(truth.shape_px, share).astype(np.int32)
    return SparsePoints(position, truth.orientation[tuple(position.T)], truth.indexed[tuple(position.T)])


@cache
def solved(name, share, method, light):
    given = Problem(specimen(name).shape_px, "6/mmm", sparse(name, share), light_of(name, share) if light else None)
    return METHODS[method](given, Options(seed=0), no_report, never)


@cache
def light_of(name, share):
    """PL with every default nuisance, registered by the points."""
    perfect = SimConfig(detector=DetectorConfig.none(), drift=DriftConfig.none())
    instrument = SimulatedInstrument(specimen(name), perfect, seed=3)
    points, caps = sparse(name, share), instrument.capabilities
    found = align(
        fit_stack(instrument.light(0, ANGLES), ANGLES),
        points.position_px[points.indexed],
        points.orientation[points.indexed],
        caps.grid.shape_px,
        pixel_um=caps.light.pixel_um,
        step_um=caps.grid.step_um,
    )
    return RegisteredLight(found.registered, found.sigma_of_channels(), found.residual_px)


def errors(name, share, method, light=False):
    """Whether each indexed pixel is wrong, and what was predicted."""
    truth, found = specimen(name), solved(name, share, method, light)
    wrong = disorientation_deg(found.orientation, truth.orientation, "6/mmm")[truth.indexed] > 5
    return wrong, found.p_wrong[truth.indexed]


def points_wrong(name, share, method, light):
    """Whether each indexed pixel is off by more than 5° from the point on which most of its weight lies."""
    truth, found = specimen(name), solved(name, share, method, light)
    likeliest = sparse(name, share).orientation[found.candidates.point[..., 0]]
    return disorientation_deg(likeliest, truth.orientation, "6/mmm")[truth.indexed] > 5


@pytest.mark.parametrize("share", GRIDS)
@pytest.mark.parametrize("name", specimens.FILES)
def test_candidates_without_light_never_lose_to_nearest_neighbour(name, share):
    assert errors(name, share, "pl_candidates")[0].mean() <= errors(name, share, "nn")[0].mean()


@pytest.mark.parametrize(
    ("method", "share", "light"),
    [*((m, s, False) for m in ("nn", "pl_candidates") for s in GRIDS), ("pl_candidates", GRIDS[1], True)],
)
@pytest.mark.parametrize("name", specimens.FILES)
def test_the_predicted_share_of_wrong_pixels_is_near_the_true_one(name, method, share, light):
    """P(wrong) of weighed candidates tells which point's grain is right, not how well orientations bend inside it."""
    wrong, predicted = errors(name, share, method, light)
    if method == "pl_candidates":
        wrong = points_wrong(name, share, method, light)
    assert 0.75 * wrong.mean() < predicted.mean() < max(1.6 * wrong.mean(), wrong.mean() + 0.075)
    assert auroc(predicted, wrong) > 0.65


@pytest.mark.parametrize("name", specimens.FILES)
def test_the_predicted_length_of_boundaries_is_near_the_true_one(name):
    truth, found = specimen(name), solved(name, GRIDS[1], "pl_candidates", light=True)
    drawn = boundary_map(truth.orientation, "6/mmm", valid=truth.indexed)
    assert found.boundary.mean() == pytest.approx(drawn.mean(), rel=0.3)
    assert auroc(found.boundary.ravel(), drawn.ravel()) > 0.85


@pytest.mark.parametrize("name", specimens.FILES)
def test_registered_light_beats_both_other_methods_at_six_percent(name):
    candidates = errors(name, GRIDS[1], "pl_candidates", light=True)
    watershed = errors(name, GRIDS[1], "pl_watershed", light=True)
    assert candidates[0].mean() < 0.75 * watershed[0].mean()
    assert watershed[0].mean() < errors(name, GRIDS[1], "nn")[0].mean()
    assert auroc(candidates[1], candidates[0]) > 0.8


@pytest.mark.parametrize("name", specimens.FILES)
def test_light_that_shows_something_else_costs_little(name):
    """PL of another section, with its noise level taken at its word: what a failed registration may hand over."""
    share, light = GRIDS[1], light_of(name, GRIDS[1])
    wrong_light = RegisteredLight(light.features[:, ::-1, ::-1].copy(), light.sigma, light.residual_px)
    given = Problem(specimen(name).shape_px, "6/mmm", sparse(name, share), wrong_light)
    found = METHODS["pl_candidates"](given, Options(), no_report, never)
    truth = specimen(name)
    wrong = disorientation_deg(found.orientation, truth.orientation, "6/mmm")[truth.indexed] > 5
    assert wrong.mean() < 1.05 * errors(name, share, "pl_candidates")[0].mean()
