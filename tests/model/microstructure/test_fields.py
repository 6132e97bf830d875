"""Smooth fields: unit variance, smoothness, and one field through all sections of a volume."""

import numpy as np
import pytest

from grainloop.model.microstructure.fields import smooth_field, smooth_image


@pytest.mark.parametrize("depth_px", [0.0, 30.0])
def test_unit_variance(depth_px: float) -> None:
    rng = np.random.default_rng(1)
    values = [smooth_field(rng, (64, 48), 6.0, 3, depth_px).section((64, 48), depth_px / 2) for _ in range(40)]
    assert np.mean(np.square(values)) == pytest.approx(1.0, abs=0.05)
    assert np.mean(values) == pytest.approx(0.0, abs=0.05)


def test_neighbouring_pixels_are_close_and_distant_ones_independent() -> None:
    image = smooth_image(np.random.default_rng(2), (256, 256), 8.0, 1)[0]
    step = image[:, 1:] - image[:, :-1]
    assert np.sqrt(np.mean(step**2)) < 0.2
    assert abs(np.corrcoef(image[:, 40:].ravel(), image[:, :-40].ravel())[0, 1]) < 0.1


def test_sections_of_one_field_approach_each_other() -> None:
    field = smooth_field(np.random.default_rng(3), (32, 32), 10.0, 2, 50.0)
    top = field.section((32, 32), 0.0)
    differences = [np.abs(field.section((32, 32), depth) - top).mean() for depth in (0.0, 0.5, 2.0, 40.0)]
    assert differences[0] == 0
    assert differences == sorted(differences)
    assert differences[1] < 0.1 < 0.5 < differences[3]
