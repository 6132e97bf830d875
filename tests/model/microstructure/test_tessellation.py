"""Tessellations against brute force, and the shapes that they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.model.microstructure.tessellation import Cells, pack_cells, pack_plane, random_axes, stretch_matrix


def pixels(shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.stack([columns, rows, np.zeros(shape)], axis=-1).astype(float)


def brute_force(cells: Cells, points: np.ndarray) -> np.ndarray:
    away = (points[..., None, :] - cells.centre) @ cells.stretch.T
    return np.argmin(np.sum(away**2, axis=-1) - cells.radius**2, axis=-1)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    diameter=st.floats(4, 40),
    spread=st.floats(0, 0.8),
    aspect=st.floats(1, 6),
    shape=st.tuples(st.integers(4, 37), st.integers(4, 37)),
    regular=st.booleans(),
)
def test_pixels_belong_to_the_cell_of_least_power_distance(
    seed: int, diameter: float, spread: float, aspect: float, shape: tuple[int, int], regular: bool
) -> None:
    rng = np.random.default_rng(seed)
    stretch = stretch_matrix(random_axes(rng), (aspect, 1.0, 1.0))
    cells = pack_cells(rng, shape, 0.0, diameter, spread, stretch, regular)
    points = pixels(shape) + rng.normal(0, 2, (*shape, 3))
    assert np.array_equal(cells.at(points), brute_force(cells, points))


@pytest.mark.parametrize("regular", [True, False])
@pytest.mark.parametrize("diameter", [8.0, 14.0])
def test_profiles_have_the_diameter_asked_for(diameter: float, regular: bool) -> None:
    rng = np.random.default_rng(5)
    means = []
    for _ in range(6):
        cells = pack_cells(rng, (200, 200), 0.0, diameter, 0.25, np.eye(3), regular)
        area = np.bincount(cells.at(pixels((200, 200))).ravel())
        means.append(np.mean(2 * np.sqrt(area[area >= 5] / np.pi)))
    assert np.mean(means) == pytest.approx(diameter, rel=0.15)


def test_cells_packed_in_the_plane_have_the_diameter_and_more_even_sizes() -> None:
    def log_sizes(pack: str) -> np.ndarray:
        rng, found = np.random.default_rng(8), []
        for _ in range(6):
            if pack == "plane":
                cells = pack_plane(rng, (200, 200), 14.0, 0.1, np.eye(3))
            else:
                cells = pack_cells(rng, (200, 200), 0.0, 14.0, 0.1, np.eye(3))
            area = np.bincount(cells.at(pixels((200, 200))).ravel())
            found.append(np.log(2 * np.sqrt(area[area >= 5] / np.pi)))
        return np.concatenate(found)

    assert np.exp(log_sizes("plane")).mean() == pytest.approx(14.0, rel=0.15)
    assert log_sizes("plane").std() < 0.75 * log_sizes("volume").std()


def test_spread_widens_the_sizes_and_packing_evens_them() -> None:
    def log_spread(spread: float, regular: bool) -> float:
        rng = np.random.default_rng(6)
        found = []
        for _ in range(6):
            cells = pack_plane(rng, (160, 160), 12.0, spread, np.eye(3), regular)
            area = np.bincount(cells.at(pixels((160, 160))).ravel())
            found.append(np.std(np.log(area[area >= 5])))
        return float(np.mean(found))

    assert log_spread(0.05, True) < 0.9 * log_spread(0.05, False)
    assert log_spread(0.05, True) < 0.9 * log_spread(0.5, True)


def test_stretch_keeps_volume_and_elongates_along_the_first_axis() -> None:
    stretch = stretch_matrix(np.eye(3), (4.0, 1.0, 1.0))
    assert np.linalg.det(stretch) == pytest.approx(1.0)
    cells = pack_cells(np.random.default_rng(7), (200, 200), 0.0, 16.0, 0.2, stretch)
    label = cells.at(pixels((200, 200)))
    crossings_along_x = np.mean(label[:, 1:] != label[:, :-1])
    crossings_along_y = np.mean(label[1:] != label[:-1])
    assert crossings_along_y > 2.5 * crossings_along_x
