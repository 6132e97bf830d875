"""Compiled loops of `disorientation` and `neighbours`.

Everything is computed in float64 and scaled by the lengths of the quaternions, so that float32 rounding of the input
does not turn into tenths of a degree near 0°.

Closed forms of max over s of |cos(ω/2)| for m = conj(a)·b = (w, x, y, z):
622: max over k of |w cos 30°k + z sin 30°k| and the same of (x, y); folding to the first octant leaves k = 0 and 1.
432: with |m| sorted, max(m1, (m1 + m2)/√2, (m1 + m2 + m3 + m4)/2)  (Mackenzie; Morawiec, Orientations and Rotations).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import inlined, kernel

Floats = NDArray[np.floating[Any]]
Four = tuple[Any, Any, Any, Any]

GENERIC, HEXAGONAL, CUBIC = 0, 1, 2

_COS_30 = np.sqrt(0.75)
_SQRT_HALF = np.sqrt(0.5)
_TINY = 1e-300


def _arcsine_series() -> tuple[float, ...]:
    """Power series of asin(√u)/√u on 0 ≤ u ≤ 1/2 from 18 Chebyshev nodes; within 1e-14, and it vectorises."""
    fit = np.polynomial.Chebyshev.interpolate(lambda u: np.arcsin(np.sqrt(u)) / np.sqrt(u), 17, domain=[0, 0.5])
    return tuple(float(c) for c in fit.convert(kind=np.polynomial.Polynomial).coef)


(_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8, _A9, _A10, _A11, _A12, _A13, _A14, _A15, _A16, _A17) = _arcsine_series()


@inlined
def _angle_deg(cosine: float) -> float:
    """Rotation angle ω in degrees from cos(ω/2) in 0 … 1: 4 asin √((1 − cos)/2)."""
    u = max(0.5 - 0.5 * cosine, 0.0)
    series = _A17
    series = series * u + _A16
    series = series * u + _A15
    series = series * u + _A14
    series = series * u + _A13
    series = series * u + _A12
    series = series * u + _A11
    series = series * u + _A10
    series = series * u + _A9
    series = series * u + _A8
    series = series * u + _A7
    series = series * u + _A6
    series = series * u + _A5
    series = series * u + _A4
    series = series * u + _A3
    series = series * u + _A2
    series = series * u + _A1
    series = series * u + _A0
    return 229.18311805232929 * np.sqrt(u) * series  # 4 · 180°/π


@inlined
def _octant(a: float, b: float) -> float:
    high, low = max(abs(a), abs(b)), min(abs(a), abs(b))
    return max(high, _COS_30 * high + 0.5 * low)


@inlined
def _hexagonal(w: float, x: float, y: float, z: float) -> float:
    return max(_octant(w, z), _octant(x, y))


@inlined
def _cubic(w: float, x: float, y: float, z: float) -> float:
    a, b, c, d = abs(w), abs(x), abs(y), abs(z)
    high_1, low_1 = max(a, b), min(a, b)
    high_2, low_2 = max(c, d), min(c, d)
    first = max(high_1, high_2)
    second = max(min(high_1, high_2), low_1, low_2)
    return max(first, _SQRT_HALF * (first + second), 0.5 * (a + b + c + d))


@inlined
def _generic(w: float, x: float, y: float, z: float, operators: Floats) -> float:
    best = 0.0
    for s in operators:
        best = max(best, abs(w * s[0] - x * s[1] - y * s[2] - z * s[3]))
    return best


@inlined
def _relative(a: Four, b: Four, i: int) -> Four:
    """conj(a)·b of entry i, scaled to unit length."""
    aw, ax, ay, az = a[0][i], a[1][i], a[2][i], a[3][i]
    bw, bx, by, bz = b[0][i], b[1][i], b[2][i], b[3][i]
    w = aw * bw + ax * bx + ay * by + az * bz
    x = aw * bx - ax * bw - ay * bz + az * by
    y = aw * by - ay * bw - az * bx + ax * bz
    z = aw * bz - az * bw - ax * by + ay * bx
    scale = 1 / np.sqrt(w * w + x * x + y * y + z * z + _TINY)
    return w * scale, x * scale, y * scale, z * scale


@kernel
def angles_deg(a: Floats, b: Floats, shift: int, kind: int, operators: Floats, out: Floats) -> None:
    """Disorientation of a[:, i] and b[:, i + shift] into out[i]; planes (4, n) float64."""
    # To vectorise, a loop needs contiguous rows, an index that is known to be positive, and no branch inside.
    first = a[0], a[1], a[2], a[3]
    second = b[0][shift:], b[1][shift:], b[2][shift:], b[3][shift:]
    if kind == HEXAGONAL:
        for i in range(out.size):
            w, x, y, z = _relative(first, second, i)
            out[i] = _angle_deg(_hexagonal(w, x, y, z))
    elif kind == CUBIC:
        for i in range(out.size):
            w, x, y, z = _relative(first, second, i)
            out[i] = _angle_deg(_cubic(w, x, y, z))
    else:
        for i in range(out.size):
            w, x, y, z = _relative(first, second, i)
            out[i] = _angle_deg(_generic(w, x, y, z, operators))


@kernel
def nearest_to_identity(q: Floats, operators: Floats, out: Floats) -> None:
    """Of the equivalents q·s of every row of (n, 4) the one with the largest |w|, made w ≥ 0; the first of equals."""
    for i in range(q.shape[0]):
        w, x, y, z = np.float64(q[i, 0]), np.float64(q[i, 1]), np.float64(q[i, 2]), np.float64(q[i, 3])
        best, chosen = -1.0, 0
        for k in range(operators.shape[0]):
            s = operators[k]
            scalar = abs(w * s[0] - x * s[1] - y * s[2] - z * s[3])
            if scalar > best + 1e-12:
                best, chosen = scalar, k
        s = operators[chosen]
        scalar = w * s[0] - x * s[1] - y * s[2] - z * s[3]
        sign = -1.0 if scalar < 0 else 1.0
        out[i, 0] = sign * scalar
        out[i, 1] = sign * (w * s[1] + x * s[0] + y * s[3] - z * s[2])
        out[i, 2] = sign * (w * s[2] - x * s[3] + y * s[0] + z * s[1])
        out[i, 3] = sign * (w * s[3] + x * s[2] - y * s[1] + z * s[0])
