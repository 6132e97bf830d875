"""Blemishes of a PL image: dust, scratches, stain and tile steps.

They replace or bias the features over connected areas, unlike noise. Some of them a pipeline would see and distrust.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import cached
from grainloop.model.microstructure.fields import smooth_image
from grainloop.model.microstructure.recipe import draw, draw_log

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Blemishes:
    """What lies on an image.

    Attributes:
        cover: (h, w) 0 … 1 opacity.
        colour: (5,) or (5, h, w) features that show instead.
        distrust: (h, w) factor ≥ 1 by which the pipeline raises its noise there; 1 where it saw nothing.
    """

    cover: Floats
    colour: Floats
    distrust: Floats

    def spoil(self, image: Floats) -> Floats:
        """The image (5, h, w) with the blemishes on it."""
        return (image + self.cover * (self.colour - image)).astype(np.float32, copy=False)


def draw_blemishes(
    rng: np.random.Generator, shape: tuple[int, int], dust: float, scratched: float, stained: float
) -> Blemishes:
    """`dust` specks per 1000 px; scratches and a stain with the probabilities `scratched` and `stained`."""
    cover = np.zeros(shape, np.float32)
    n = int(rng.poisson(dust * shape[0] * shape[1] / 1000))
    places = rng.random((n, 2)) * np.array(shape)
    _spots(cover, places, np.exp(rng.normal(0.6, 0.5, n)), rng.uniform(0.4, 1.0, n))
    if rng.random() < scratched:
        _draw_scratches(rng, cover)
    colour = rng.normal(0, 0.5, (5, 1, 1)).astype(np.float32)
    colour[0] = abs(colour[0])
    if rng.random() < stained:
        film, film_colour = _stain(rng, shape)
        colour = np.where(cover > film, colour, film_colour).astype(np.float32)
        cover = np.maximum(cover, film)
    noticed = rng.random() < 0.6
    factor = 1 + cover * (draw_log(rng, (2.0, 20.0)) if noticed else 0.0)
    return Blemishes(cover, np.broadcast_to(colour, (5, *shape)), factor.astype(np.float32))


def tile_steps(rng: np.random.Generator, shape: tuple[int, int], channels: int, rms: float) -> Floats:
    """(channels, h, w) constant offsets of stitched tiles; most crops hold one seam or none."""
    size = draw_log(rng, (40.0, 400.0))
    row = ((np.arange(shape[0]) + rng.uniform(0, size)) // size).astype(np.int64)
    column = ((np.arange(shape[1]) + rng.uniform(0, size)) // size).astype(np.int64)
    level = np.float32(rms) * rng.standard_normal((channels, row[-1] + 1, column[-1] + 1), dtype=np.float32)
    return level.take(row, axis=1).take(column, axis=2)


def _draw_scratches(rng: np.random.Generator, cover: Floats) -> None:
    n = int(rng.integers(1, 5))
    angle = rng.uniform(0, np.pi) + 0.1 * rng.standard_normal(n)
    through = rng.random((n, 2)) * np.array(cover.shape)
    _lines(cover, through, np.cos(angle), np.sin(angle), rng.uniform(0.4, 1.5, n), rng.uniform(0.2, 0.8, n))


def _stain(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Opacity and colour of a patch of film: a smooth field above a level, coloured by other smooth fields."""
    fields = smooth_image(rng, shape, draw_log(rng, (6.0, 30.0)), 6)
    opacity = draw(rng, (0.2, 0.9)) * np.clip((fields[0] - draw(rng, (0.3, 1.5))) * 3, 0, 1)
    return opacity.astype(np.float32), (0.4 * fields[1:]).astype(np.float32)


@cached
def _spots(cover: Any, places: Any, radius: Any, opacity: Any) -> None:  # pragma: no cover - compiled
    h, w = cover.shape
    for k in range(radius.size):
        r = radius[k]
        for i in range(max(0, int(places[k, 0] - r - 1)), min(h, int(places[k, 0] + r + 2))):
            for j in range(max(0, int(places[k, 1] - r - 1)), min(w, int(places[k, 1] + r + 2))):
                away = np.sqrt((i - places[k, 0]) ** 2 + (j - places[k, 1]) ** 2)
                cover[i, j] = max(cover[i, j], opacity[k] * min(max(r - away + 0.5, 0.0), 1.0))


@cached
def _lines(cover: Any, through: Any, dy: Any, dx: Any, width: Any, opacity: Any) -> None:  # pragma: no cover - compiled
    for k in range(dy.size):
        for i in range(cover.shape[0]):
            for j in range(cover.shape[1]):
                away = abs((i - through[k, 0]) * dx[k] - (j - through[k, 1]) * dy[k])
                cover[i, j] = max(cover[i, j], opacity[k] * min(max(width[k] / 2 - away + 0.5, 0.0), 1.0))
