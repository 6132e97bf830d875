"""The isometric embedding of orientations: a vector without symmetry jumps whose small distances are angles.

For 622 (18 channels): e(R) = √54 (√(11/36) h2(c), h6(R)/6), with h2 the five l = 2 harmonics of the c-axis (xy, yz, zz,
xz, xx − yy) and h6 the thirteen real components (m = 0, then √2 Re, √2 Im for m = 1 … 6) of the rotated state
(|6, 6⟩ + |6, −6⟩)/√2.
For 432 (9 channels): e(R) = √60 √(3/20) h4(R), the l = 4 harmonics summed over the cube axes and scaled to unit length.
The weights make the map locally isometric; the scales √54 and √60 give a random orientation a mean square of 1 per
channel. Source: Hielscher & Lippert, J. Multivariate Anal. 185 (2021) 104764. Further groups are added to `_REGISTRY`.

What a network makes of an embedding is not one any more; `decode` returns the rotation whose embedding is near it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import degrees, sqrt
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from grainloop.model.crystal.errors import BadOrientation, UnsupportedSymmetry
from grainloop.model.crystal.quaternions import FloatArray, as_floats, check_orientations
from grainloop.model.crystal.symmetry import LaueGroup, laue_group

Loop = Callable[[FloatArray, FloatArray], None]


@dataclass(frozen=True)
class Embedding:
    """How one Laue group is embedded.

    Attributes:
        channels: length of the vector.
        scale: chord of a small rotation divided by its angle in rad.
        blocks: channels of the l-blocks in order, (5, 13) for 6/mmm. Each block turns rigidly with the sample.
        encode, decode: names of the compiled loops.
    """

    channels: int
    scale: float
    blocks: tuple[int, ...]
    encode: str
    decode: str


_REGISTRY: dict[str, Embedding] = {
    "6/mmm": Embedding(18, sqrt(54), (5, 13), "embed_hexagonal", "decode_hexagonal"),
    "m-3m": Embedding(9, sqrt(60), (9,), "embed_cubic", "decode_cubic"),
}


def embedding_of(group: LaueGroup | str) -> Embedding:
    """The registered embedding of `group`.

    Raises:
        UnknownPointGroup: see `laue_group`.
        UnsupportedSymmetry: no embedding is registered for the group.
    """
    name = laue_group(group).name
    if name not in _REGISTRY:
        raise UnsupportedSymmetry(f"no embedding for {name}; there is one for {', '.join(_REGISTRY)}")
    return _REGISTRY[name]


def embed(q: ArrayLike, group: LaueGroup | str) -> FloatArray:
    """Embedding (..., C) of orientations (..., 4), the same for all q·s; float32 in, float32 out.

    Raises:
        BadOrientation, ShapeMismatch: see `check_orientations`.
        UnknownPointGroup, UnsupportedSymmetry: see `embedding_of`.
    """
    spec, array = embedding_of(group), check_orientations(q)
    return _looped(_loop(spec.encode), array, spec.channels)


def decode(e: ArrayLike, group: LaueGroup | str) -> FloatArray:
    """An orientation (..., 4) whose embedding is near `e` (..., C), whatever the length of `e`.

    The inverse of `embed` up to symmetry, within 1e-5°. For 6/mmm in closed form: c is the principal axis of the l = 2
    part, the angle about c the phase of the l = 6 part. For m-3m a cube axis comes from the tensor power method. A
    vector that says nothing (zero) gives some rotation.

    Raises:
        ShapeMismatch: the last axis is not C.
        BadOrientation: a component is NaN or infinite.
        UnknownPointGroup, UnsupportedSymmetry: see `embedding_of`.
    """
    spec = embedding_of(group)
    array = as_floats(e, spec.channels)
    if not np.isfinite(array).all():
        raise BadOrientation("an embedding holds NaN or infinity")
    return _looped(_loop(spec.decode), array, 4)


def _loop(name: str) -> Loop:
    from grainloop.model.crystal import _embedding_kernels

    kernels: ModuleType = _embedding_kernels
    return getattr(kernels, name)


def _looped(loop: Loop, array: FloatArray, channels: int) -> FloatArray:
    rows = np.ascontiguousarray(array.reshape(-1, array.shape[-1]))
    out = np.empty((len(rows), channels), array.dtype)
    loop(rows, out)
    return out.reshape(*array.shape[:-1], channels)


def chord_for_degrees(angle_deg: ArrayLike, group: LaueGroup | str) -> FloatArray:
    """Distance in the embedding that a small rotation makes: 0.128 per degree for 6/mmm. Exact in the limit of 0°."""
    return np.radians(np.asarray(angle_deg, dtype=np.float64)) * embedding_of(group).scale


def degrees_per_chord(group: LaueGroup | str) -> float:
    """Degrees of a small rotation for a unit distance in the embedding; the inverse of `chord_for_degrees`."""
    return degrees(1 / embedding_of(group).scale)
