"""Sections held in memory: opened, used, dropped for others, closed."""

import numpy as np
import pytest

from grainloop.model.service.sections import BYTES_PER_LIGHT_PIXEL, BYTES_PER_PIXEL, Sections, prepare
from grainloop.protocols.errors import BadInput, OutOfLimits, UnknownSection
from grainloop.protocols.messages import OpenSection
from grainloop.protocols.values import Grid, LightImages, LightKind, Phase

ALPHA = Phase(phase_id=1, name="Ti alpha", point_group="6/mmm")
BETA = Phase(phase_id=2, name="Ti beta", point_group="m-3m")
OLIVINE = Phase(phase_id=3, name="Olivine", point_group="mmm")


def opening(key="s", shape=(10, 10), phases=(ALPHA,), light=None):
    return OpenSection(section_key=key, grid=Grid(shape_px=shape, step_um=1.0), phases=phases, light=light)


def stack(angles, shape=(12, 12), seed=0):
    images = np.random.default_rng(seed).random((len(angles), *shape)).astype(np.float32)
    return LightImages(kind=LightKind.ROTATION_STACK, angles_deg=tuple(angles), images=images, pixel_um=1.0)


def test_a_section_that_was_never_opened_is_unknown():
    with pytest.raises(UnknownSection, match="'nowhere'"):
        Sections().get("nowhere")


def test_the_section_not_used_for_longest_makes_room():
    held = Sections(memory_bytes=3 * 100 * BYTES_PER_PIXEL)
    for key in "abc":
        held.put(prepare(opening(key)))
    held.get("a")
    held.put(prepare(opening("d")))
    assert [key for key in "abcd" if _knows(held, key)] == ["a", "c", "d"]


def test_a_section_that_the_whole_memory_could_not_hold_is_refused():
    held = Sections(memory_bytes=2**30)
    told = r"'large' of 2000×2000 px needs 2\.24 GiB of memory; the model service has 1 GiB"
    with pytest.raises(OutOfLimits, match=told) as refused:
        held.require_room(opening("large", shape=(2000, 2000)))
    assert (refused.value.field, refused.value.value) == ("grid.shape_px", "(2000, 2000)")
    held.require_room(opening("fits", shape=(1000, 1000)))


def test_light_and_posterior_samples_need_room_too():
    request = opening(light=stack(range(0, 180, 20)))
    needed = 100 * BYTES_PER_PIXEL + 144 * BYTES_PER_LIGHT_PIXEL
    assert prepare(request).nbytes == needed
    Sections(needed).require_room(request)
    with pytest.raises(OutOfLimits, match="'s' of 10×10 px needs"):
        Sections(needed - 1).require_room(request)
    with pytest.raises(OutOfLimits, match="with 5 posterior samples needs") as refused:
        Sections(needed).require_room(request, samples=5)
    assert (refused.value.field, refused.value.value) == ("n_samples", "5")


def test_opening_again_replaces_and_closing_forgets():
    held = Sections()
    held.put(prepare(opening("a")))
    held.put(prepare(opening("a", shape=(5, 6))))
    assert held.get("a").shape == (5, 6)
    held.drop("a")
    held.drop("a")
    assert len(held) == 0


def _knows(held, key):
    try:
        held.get(key)
    except UnknownSection:
        return False
    return True


def test_images_are_not_held_once_their_features_are_fitted():
    section = prepare(opening(light=stack(range(0, 180, 20))))
    assert section.features is not None
    assert section.features.values.shape == (5, 12, 12)
    assert section.declared.light is None


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (opening(), "There is no PL"),
        (opening(phases=(BETA,), light=stack(range(0, 180, 20))), "shows PL contrast, for all are cubic"),
        (opening(phases=(OLIVINE,), light=stack(range(0, 180, 20))), "read of Laue groups 4/mmm, -3m, 6/mmm alone"),
        (opening(light=stack((0.0, 90.0))), "cannot be fitted from the stage angles 0°, 90°"),
    ],
)
def test_what_keeps_light_out_is_said_at_once(request_, words):
    section = prepare(request_)
    assert section.features is None
    assert words in section.notes[0]


def test_one_phase_with_a_unique_axis_is_enough_for_light():
    assert prepare(opening(phases=(BETA, ALPHA), light=stack(range(0, 180, 20)))).features is not None


def test_an_rgb_image_has_features_too():
    image = np.random.default_rng(0).random((3, 12, 12)).astype(np.float32)
    light = LightImages(kind=LightKind.RGB, angles_deg=(), images=image, pixel_um=1.0)
    section = prepare(opening(light=light))
    assert section.features is not None
    assert section.features.names == ("R", "G", "B")


def test_images_without_a_finite_value_are_no_light():
    dead = stack(range(0, 180, 20))
    dead = dead.model_copy(update={"images": np.full_like(dead.images, np.nan)})
    section = prepare(opening(light=dead))
    assert section.features is None
    assert "no finite value" in section.notes[0]


def test_an_unknown_point_group_is_refused_by_name():
    with pytest.raises(BadInput, match=r"'mystery': .*7/mmm"):
        prepare(opening(phases=(Phase(phase_id=1, name="mystery", point_group="7/mmm"),)))


def test_points_of_an_undeclared_phase_are_refused():
    section = prepare(opening())
    assert section.phase(1) == ALPHA
    with pytest.raises(BadInput, match="phase 7"):
        section.phase(7)
