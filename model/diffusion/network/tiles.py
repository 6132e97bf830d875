"""One evaluation of the denoiser on a map of any size: padded to what the backbone accepts, in tiles where it is large.

A tile is evaluated with a halo of its surroundings, which is cut off again. The network looks no further than its
receptive field, and hardly beyond 32 px: with the halo used here tiles equal the whole map to about 1e-6 rms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields

import torch
from torch import Tensor

from grainloop.model.diffusion.network.backbone import pad_to_multiple
from grainloop.model.diffusion.network.denoiser import Conditions, Denoised, Denoiser

CORE_PX = 512
"""Edge of a tile without its halo; smaller maps are evaluated whole."""
HALO_PX = 48
TABLES = ("points", "points_light")
"""Fields of `Conditions` that are no maps."""
BetweenTiles = Callable[[int, int], None]
"""Called before each tile with its number and the number of tiles; may raise to cancel."""


def evaluate(
    denoiser: Denoiser,
    given: Conditions,
    core: int = CORE_PX,
    halo: int = HALO_PX,
    before: BetweenTiles | None = None,
    *,
    corrected: bool = True,
) -> Denoised:
    """What `denoiser` says of a map of any size; `core` and `halo` are multiples of what the backbone shrinks by.

    Whether the free branch is `corrected` is handed on to the denoiser.
    """
    h, w = given.x.shape[-2:]
    tiles = list(_tiles(h, w, core))
    out: Denoised | None = None
    for number, (rows, columns) in enumerate(tiles):
        if before:
            before(number, len(tiles))
        around = _grown(rows, halo, h), _grown(columns, halo, w)
        said = _evaluate_whole(denoiser, crop(given, *around), corrected)
        if len(tiles) == 1:
            return said
        out = out or _empty_like(said, h, w)
        _paste(out, said, (rows, columns), around)
    if out is None:
        raise ValueError(f"a map of {h}×{w} px has no pixel to evaluate")
    return out


def crop(given: Conditions, rows: slice, columns: slice) -> Conditions:
    """The conditions of a window; the points stay."""
    return Conditions(
        **{of.name: _cropped(getattr(given, of.name), of.name, rows, columns) for of in fields(Conditions)}
    )


def _cropped(value: Tensor, name: str, rows: slice, columns: slice) -> Tensor:
    return value if name in TABLES else value[..., rows, columns]


def _evaluate_whole(denoiser: Denoiser, given: Conditions, corrected: bool) -> Denoised:
    """Evaluate a map that needs no tiles: padded by replication to what the backbone accepts, then cropped."""
    h, w = given.x.shape[-2:]
    if h % denoiser.multiple == 0 and w % denoiser.multiple == 0:
        return denoiser(given, corrected=corrected)
    padded = {of.name: _padded(getattr(given, of.name), of.name, denoiser.multiple) for of in fields(Conditions)}
    said = denoiser(Conditions(**padded), corrected=corrected)
    return Denoised(**{of.name: getattr(said, of.name)[..., :h, :w] for of in fields(Denoised)})


def _padded(value: Tensor, name: str, multiple: int) -> Tensor:
    if name in TABLES:
        return value
    maps = value if value.is_floating_point() else value.to(torch.float64)
    return pad_to_multiple(maps.flatten(1, -3), multiple).unflatten(1, value.shape[1:-2]).to(value.dtype)


def _tiles(h: int, w: int, core: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, h, core):
        for left in range(0, w, core):
            yield slice(top, min(top + core, h)), slice(left, min(left + core, w))


def _grown(cut: slice, halo: int, size: int) -> slice:
    return slice(max(0, cut.start - halo), min(size, cut.stop + halo))


def _empty_like(said: Denoised, h: int, w: int) -> Denoised:
    values = {of.name: getattr(said, of.name) for of in fields(Denoised)}
    return Denoised(**{name: value.new_empty(*value.shape[:-2], h, w) for name, value in values.items()})


def _paste(out: Denoised, said: Denoised, inner: tuple[slice, slice], around: tuple[slice, slice]) -> None:
    cut = tuple(slice(i.start - a.start, i.stop - a.start) for i, a in zip(inner, around, strict=True))
    for of in fields(Denoised):
        getattr(out, of.name)[(..., *inner)] = getattr(said, of.name)[(..., *cut)]
