"""Whatever a caller sends is answered, by a map or by a sentence, and the service goes on serving."""

import numpy as np
import pytest

from grainloop.model.service.sections import BYTES_PER_PIXEL
from grainloop.protocols.errors import ErrorCode, RemoteError
from grainloop.protocols.messages import PriorMap
from grainloop.protocols.values import LightImages, LightKind, PointBlock
from tests.model.service.fakes import SOON_S
from tests.model.service.runs import asking, block, connection, opening, section, serving

IDENTITY = (1.0, 0.0, 0.0, 0.0)
OTHER = (np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0)
ANGLES = tuple(float(angle) for angle in range(0, 180, 20))


def light(level):
    images = np.full((len(ANGLES), 24, 24), level, np.float32)
    return LightImages(kind=LightKind.ROTATION_STACK, angles_deg=ANGLES, images=images, pixel_um=1.0)


def prior(shape=(24, 24), phase=1, quaternion=IDENTITY):
    orientation = np.broadcast_to(np.array(quaternion, np.float32), (*shape, 4)).copy()
    return PriorMap(orientation=orientation, phase_id=np.full(shape, phase, np.uint8), spacing_um=2.0)


def grid():
    return section()[1]


async def answered(request, opened=None, **options):
    """The answer of a service that afterwards still serves."""
    async with serving(**options) as endpoint, connection(endpoint) as model:
        await model.request(opened or opening(), deadline_s=SOON_S)
        try:
            return await model.request(request, deadline_s=SOON_S)
        finally:
            assert (await model.request(asking(grid()), deadline_s=SOON_S)).predicted_wrong < 1


async def refused(request, **options):
    with pytest.raises(RemoteError) as error:
        await answered(request, **options)
    return error.value


@pytest.mark.parametrize(
    "points", [PointBlock.empty(), block([(1, 1), (5, 5)], [IDENTITY] * 2, indexed=False)], ids=["none", "not indexed"]
)
async def test_without_an_orientation_nothing_is_claimed(points):
    found = await answered(asking(points, n_samples=4, want_denoised=True, prior=prior()))
    assert (found.phase_id == 0).all()
    assert (found.p_wrong == 1).all()
    assert (found.bound90_deg == 180).all()
    assert (found.samples, found.weights_sha256) == (0, None)
    assert len(found.degraded) == 2
    assert "no orientation is measured here that could bear it out" in found.degraded[1]


async def test_one_point_is_a_map_of_one_orientation():
    found = await answered(asking(block([(3, 4)], [OTHER]), propose=3))
    assert found.orientation == pytest.approx(np.broadcast_to(np.float32(OTHER), (24, 24, 4)), abs=1e-6)
    assert (found.phase_id == 1).all()
    assert np.isfinite(found.p_wrong).all()
    assert np.isfinite(found.bound90_deg).all()
    assert len(found.proposals.gain) == 3


async def test_measurements_of_a_pixel_that_disagree_are_told():
    points = PointBlock.concatenate([grid(), block([(0, 0), (0, 0)], [IDENTITY, OTHER])])
    found = await answered(asking(points))
    assert any("measured more than once" in note for note in found.degraded)
    assert found.orientation[0, 0] == pytest.approx(np.float32(OTHER), abs=1e-6)


@pytest.mark.parametrize(
    ("images", "words"),
    [(None, "There is no PL"), (0.0, "PL is not used"), (0.5, "PL is not used"), (np.nan, "no finite value")],
    ids=["missing", "dark", "flat", "nan"],
)
async def test_light_that_shows_nothing_plays_no_part(images, words):
    opened = opening(light=None if images is None else light(images))
    found = await answered(asking(grid(), want_light=True, want_denoised=True), opened)
    assert not found.light.used
    assert any(words in note for note in found.light.notes)
    assert found.predicted_wrong < 1


async def test_a_prior_that_says_nothing_is_told():
    found = await answered(asking(grid(), prior=prior(phase=0, quaternion=(np.nan,) * 4)))
    assert "The prior map is not used: none of its pixels has a phase." in found.degraded


@pytest.mark.parametrize(
    ("fields", "words", "field"),
    [
        ({"prior": prior((24, 23))}, "The prior map has 24×23 pixels, the grid 24×24.", "prior"),
        ({"prior": prior(phase=7)}, "The prior map shows phase 7, which section 's' does not", "prior.phase_id"),
        (
            {"prior": prior(quaternion=(np.nan,) * 4)},
            "The prior map holds a quaternion of norm nan",
            "prior.orientation",
        ),
        ({"points": block([(0, 0)], [(np.nan, 0, 0, 0)])}, "has a quaternion of norm nan, not 1.", "orientation"),
    ],
    ids=["shape", "phase", "quaternion", "point"],
)
async def test_what_cannot_be_used_is_named(fields, words, field):
    error = await refused(asking(**{"points": grid()} | fields))
    assert error.code is ErrorCode.BAD_INPUT
    assert words in str(error)
    assert error.field == field


async def test_more_samples_than_any_request_may_have_are_refused():
    error = await refused(asking(grid()).model_copy(update={"n_samples": 257}))
    assert error.code is ErrorCode.BAD_MESSAGE
    assert "n_samples should be less than or equal to 256, got 257" in str(error)


async def test_more_samples_than_the_memory_holds_are_refused():
    error = await refused(asking(grid(), n_samples=200), memory_bytes=24 * 24 * (BYTES_PER_PIXEL + 100))
    assert (error.code, error.field) == (ErrorCode.OUT_OF_LIMITS, "n_samples")
    assert "with 200 posterior samples needs" in str(error)


async def test_a_section_too_large_is_refused_and_another_one_served():
    async with serving(memory_bytes=2**30) as endpoint, connection(endpoint) as model:
        with pytest.raises(
            RemoteError, match="of 5000×5000 px needs 14 GiB of memory; the model service has 1 GiB"
        ) as error:
            await model.request(opening((5_000, 5_000), key="huge"), deadline_s=SOON_S)
        assert (error.value.code, error.value.field) == (ErrorCode.OUT_OF_LIMITS, "grid.shape_px")
        await model.request(opening(), deadline_s=SOON_S)
        assert (await model.request(asking(grid()), deadline_s=SOON_S)).predicted_wrong < 1
