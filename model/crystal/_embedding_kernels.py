"""Compiled loops of `embedding`: the 622 and 432 invariants of a rotation, and rotations from them.

Rows are single orientations; float64 inside. The real harmonics are normalised so that the vector of all 2l + 1 of them
has unit length on the unit sphere: h(u)·h(v) = P_l(u·v).
"""

from __future__ import annotations

from math import atan2, comb, cos, sin, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import inlined, kernel

Floats = NDArray[np.floating[Any]]
Complexes = NDArray[np.complex128]
Vector = tuple[float, float, float]

_SQRT_3 = sqrt(3.0)
_SQRT_HALF = sqrt(0.5)
_SQRT_12TH = np.sqrt(np.array([float(comb(12, k)) for k in range(13)]))

# Both scales give a random orientation a mean square of 1 per channel: √(channels / |e|²).
_HEXAGONAL_SCALE = sqrt(54.0)
_TILT_WEIGHT = _HEXAGONAL_SCALE * sqrt(11 / 36)
_TWIST_WEIGHT = _HEXAGONAL_SCALE / 6
_CUBIC_SCALE = sqrt(60.0)
# √(3/20) for isometry; the sum of h4 over three orthogonal axes has length √(3 + 6·P4(0)) = √5.25.
_CUBIC_WEIGHT = _CUBIC_SCALE * sqrt(3 / 20) / sqrt(5.25)
_H41, _H42, _H43, _H44 = sqrt(10) / 4, sqrt(5) / 4, sqrt(70) / 4, sqrt(35) / 8
# Cube axes, face and body diagonals: one of them is well inside the basin of a maximum.
_DIRECTIONS = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) > (0, 0, 0)]
_STARTS = np.array([[c / sqrt(x * x + y * y + z * z) for c in (x, y, z)] for x, y, z in _DIRECTIONS])


@inlined
def _sixfold_state(w: float, x: float, y: float, z: float, f: Complexes) -> None:
    """f_m = √C(12, 6+m) α^(6+m) β^(6−m), m = −6 … 6: the state |6, 6⟩ turned by q, with α = w − iz, β = y − ix."""
    alpha, beta = complex(w, -z), complex(y, -x)
    power = complex(1.0, 0.0)
    for k in range(13):
        f[k] = _SQRT_12TH[k] * power
        power = power * alpha
    power = complex(1.0, 0.0)
    for k in range(12, -1, -1):
        f[k] = f[k] * power
        power = power * beta


@kernel
def embed_hexagonal(q: Floats, out: Floats) -> None:
    """(n, 4) → (n, 18): 5 components of the c-axis, 13 of (|6, 6⟩ + |6, −6⟩)/√2."""
    f = np.empty(13, np.complex128)
    for i in range(q.shape[0]):
        w, x, y, z = np.float64(q[i, 0]), np.float64(q[i, 1]), np.float64(q[i, 2]), np.float64(q[i, 3])
        cx, cy, cz = 2 * (x * z + w * y), 2 * (y * z - w * x), w * w - x * x - y * y + z * z
        out[i, 0] = _TILT_WEIGHT * _SQRT_3 * cx * cy
        out[i, 1] = _TILT_WEIGHT * _SQRT_3 * cy * cz
        out[i, 2] = _TILT_WEIGHT * 0.5 * (2 * cz * cz - cx * cx - cy * cy)
        out[i, 3] = _TILT_WEIGHT * _SQRT_3 * cx * cz
        out[i, 4] = _TILT_WEIGHT * 0.5 * _SQRT_3 * (cx * cx - cy * cy)
        _sixfold_state(w, x, y, z, f)
        out[i, 5] = _TWIST_WEIGHT * 2 * _SQRT_HALF * f[6].real
        sign = -1.0
        for m in range(1, 7):
            out[i, 4 + 2 * m] = _TWIST_WEIGHT * (f[6 + m].real + sign * f[6 - m].real)
            out[i, 5 + 2 * m] = _TWIST_WEIGHT * (f[6 + m].imag - sign * f[6 - m].imag)
            sign = -sign


@inlined
def _principal_axis(xy: float, yz: float, zz: float, xz: float, xx_yy: float) -> Vector:
    """Unit eigenvector of the largest eigenvalue of the symmetric traceless matrix of five l = 2 components, z ≥ 0.

    Closed form: the largest root λ of the characteristic cubic, then the longest row of adj(M − λ).
    """
    a, b, c = xx_yy / 2 - zz / (2 * _SQRT_3), -xx_yy / 2 - zz / (2 * _SQRT_3), zz / _SQRT_3
    d, e, f = xy / 2, xz / 2, yz / 2
    p = sqrt((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6) + 1e-150
    a, b, c, d, e, f = a / p, b / p, c / p, d / p, e / p, f / p
    half_determinant = (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)) / 2
    largest = 2 * cos(np.arccos(min(1.0, max(-1.0, half_determinant))) / 3)
    a, b, c = a - largest, b - largest, c - largest
    ax, ay, az = b * c - f * f, a * c - e * e, a * b - d * d
    xy, xz, yz = e * f - d * c, d * f - e * b, d * e - a * f
    x, y, z = ax, xy, xz
    if ay >= ax and ay >= az:
        x, y, z = xy, ay, yz
    elif az >= ax:
        x, y, z = xz, yz, az
    length = sqrt(x * x + y * y + z * z)
    if length < 1e-12:  # no axis is longer than another
        return 0.0, 0.0, 1.0
    if z < 0:
        length = -length
    return x / length, y / length, z / length


@kernel
def decode_hexagonal(e: Floats, out: Floats) -> None:
    """(n, 18) → (n, 4): c from the l = 2 part, the angle about c from the phase of ⟨f(R0), h6⟩ divided by −6."""
    f = np.empty(13, np.complex128)
    for i in range(e.shape[0]):
        cx, cy, cz = _principal_axis(
            np.float64(e[i, 0]), np.float64(e[i, 1]), np.float64(e[i, 2]), np.float64(e[i, 3]), np.float64(e[i, 4])
        )
        half = sqrt((1 + cz) / 2)  # R0: the shortest turn from z to c
        w, x, y = half, -cy / (2 * half), cx / (2 * half)
        _sixfold_state(w, x, y, 0.0, f)
        product = f[6].conjugate() * (2 * _SQRT_HALF * np.float64(e[i, 5]))
        sign = -1.0
        for m in range(1, 7):
            h = complex(np.float64(e[i, 4 + 2 * m]), np.float64(e[i, 5 + 2 * m]))
            product += f[6 + m].conjugate() * h + sign * f[6 - m].conjugate() * h.conjugate()
            sign = -sign
        half_turn = -atan2(product.imag, product.real) / 12
        c, s = cos(half_turn), sin(half_turn)
        out[i, 0] = w * c
        out[i, 1] = x * c + y * s
        out[i, 2] = y * c - x * s
        out[i, 3] = w * s


@inlined
def _add_quartics(x: float, y: float, z: float, out: Floats) -> None:
    """Add the nine l = 4 harmonics of a unit vector to `out`: m = 0, then cosine and sine parts of m = 1 … 4."""
    xx, yy, zz = x * x, y * y, z * z
    plus, minus = xx + yy, xx - yy
    out[0] += zz * zz - 3 * zz * plus + 0.375 * plus * plus
    out[1] += _H41 * x * z * (4 * zz - 3 * plus)
    out[2] += _H41 * y * z * (4 * zz - 3 * plus)
    out[3] += _H42 * minus * (6 * zz - plus)
    out[4] += 2 * _H42 * x * y * (6 * zz - plus)
    out[5] += _H43 * x * z * (xx - 3 * yy)
    out[6] += _H43 * y * z * (3 * xx - yy)
    out[7] += _H44 * (minus * minus - 4 * xx * yy)
    out[8] += 4 * _H44 * x * y * minus


@kernel
def embed_cubic(q: Floats, out: Floats) -> None:
    """(n, 4) → (n, 9): the l = 4 harmonics summed over the three cube axes."""
    h = np.empty(9)
    for i in range(q.shape[0]):
        w, x, y, z = np.float64(q[i, 0]), np.float64(q[i, 1]), np.float64(q[i, 2]), np.float64(q[i, 3])
        h[:] = 0
        _add_quartics(1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y), h)
        _add_quartics(2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x), h)
        _add_quartics(2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y), h)
        for k in range(9):
            out[i, k] = _CUBIC_WEIGHT * h[k]


@inlined
def _quartic_gradient(h: Floats, x: float, y: float, z: float) -> Vector:
    """∇ of F(v) = Σ (a_i·v)⁴ = (8 Σ h_m h4_m(v) + 21 |v|⁴)/35, where h is the sum of the harmonics of the axes a_i."""
    xx, yy, zz = x * x, y * y, z * z
    plus, minus, tilt = xx + yy, xx - yy, 4 * zz - 3 * (xx + yy)
    gx = h[0] * x * (1.5 * plus - 6 * zz)
    gy = h[0] * y * (1.5 * plus - 6 * zz)
    gz = h[0] * z * (4 * zz - 6 * plus)
    gx += _H41 * z * (h[1] * (tilt - 6 * xx) - h[2] * 6 * x * y)
    gy += _H41 * z * (h[2] * (tilt - 6 * yy) - h[1] * 6 * x * y)
    gz += _H41 * (h[1] * x + h[2] * y) * (12 * zz - 3 * plus)
    gx += _H42 * (h[3] * x * (12 * zz - 4 * xx) + 2 * h[4] * y * (6 * zz - 3 * xx - yy))
    gy += _H42 * (h[3] * y * (4 * yy - 12 * zz) + 2 * h[4] * x * (6 * zz - xx - 3 * yy))
    gz += _H42 * 12 * z * (h[3] * minus + 2 * h[4] * x * y)
    gx += _H43 * z * (3 * h[5] * minus + 6 * h[6] * x * y)
    gy += _H43 * z * (3 * h[6] * minus - 6 * h[5] * x * y)
    gz += _H43 * (h[5] * x * (xx - 3 * yy) + h[6] * y * (3 * xx - yy))
    gx += _H44 * 4 * (h[7] * x * (xx - 3 * yy) + h[8] * y * (3 * xx - yy))
    gy += _H44 * 4 * (h[7] * y * (yy - 3 * xx) + h[8] * x * (xx - 3 * yy))
    isotropic = 84 * (xx + yy + zz)
    return (8 * gx + isotropic * x) / 35, (8 * gy + isotropic * y) / 35, (8 * gz + isotropic * z) / 35


@inlined
def _cube_axis(h: Floats, start_harmonics: Floats) -> Vector:
    """A maximum of F by the tensor power method (cubic convergence: Kolda & Mayo, SIAM J. Matrix Anal. 32, 2011)."""
    start, highest = 0, -1e300
    for k in range(_STARTS.shape[0]):
        value = 0.0  # F less its constant part, linear in h
        for m in range(9):
            value += start_harmonics[k, m] * h[m]
        if value > highest:
            start, highest = k, value
    x, y, z = _STARTS[start, 0], _STARTS[start, 1], _STARTS[start, 2]
    for _ in range(30):
        gx, gy, gz = _quartic_gradient(h, x, y, z)
        length = sqrt(gx * gx + gy * gy + gz * gz)
        gx, gy, gz = gx / length, gy / length, gz / length
        moved = abs(gx - x) + abs(gy - y) + abs(gz - z)
        x, y, z = gx, gy, gz
        if moved < 1e-9:
            break
    return x, y, z


@inlined
def _turn_about_z(h: Floats, w: float, x: float, y: float) -> float:
    """Angle t for which R0 Rz(t), R0 = (w, x, y, 0), has its x-axis on a maximum of F.

    Across the axis found first, F(u cos t + v sin t) is 3/4 + cos(4(t − t0))/4 with
    cos 4t0 ∝ F(uuuu) + F(vvvv) − 6 F(uuvv) and sin 4t0 ∝ 4 F(uuuv) − 4 F(uvvv); the gradient g(u) is 4 F(uuu·).
    """
    ux, uy, uz = 1 - 2 * y * y, 2 * x * y, -2 * w * y
    vx, vy, vz = 2 * x * y, 1 - 2 * x * x, 2 * w * x
    gx, gy, gz = _quartic_gradient(h, ux, uy, uz)
    uuuu, uuuv = gx * ux + gy * uy + gz * uz, gx * vx + gy * vy + gz * vz
    gx, gy, gz = _quartic_gradient(h, vx, vy, vz)
    vvvv, uvvv = gx * vx + gy * vy + gz * vz, gx * ux + gy * uy + gz * uz
    sx, sy, sz = ux + vx, uy + vy, uz + vz
    gx, gy, gz = _quartic_gradient(h, sx, sy, sz)
    six_uuvv = gx * sx + gy * sy + gz * sz - uuuu - vvvv - 4 * (uuuv + uvvv)
    return atan2(4 * (uuuv - uvvv), uuuu + vvvv - six_uuvv) / 4


@kernel
def decode_cubic(e: Floats, out: Floats) -> None:
    """(n, 9) → (n, 4): one cube axis by the power method, the other two from the fourth harmonic around it."""
    h = np.empty(9)
    start_harmonics = np.zeros((_STARTS.shape[0], 9))
    for k in range(_STARTS.shape[0]):
        _add_quartics(_STARTS[k, 0], _STARTS[k, 1], _STARTS[k, 2], start_harmonics[k])
    for i in range(e.shape[0]):
        squared = 1e-300
        for k in range(9):
            h[k] = e[i, k]
            squared += h[k] * h[k]
        h *= sqrt(5.25 / squared)
        cx, cy, cz = _cube_axis(h, start_harmonics)
        if cz < 0:
            cx, cy, cz = -cx, -cy, -cz
        half = sqrt((1 + cz) / 2)
        w, x, y = half, -cy / (2 * half), cx / (2 * half)
        turn = _turn_about_z(h, w, x, y) / 2
        c, s = cos(turn), sin(turn)
        out[i, 0] = w * c
        out[i, 1] = x * c + y * s
        out[i, 2] = y * c - x * s
        out[i, 3] = w * s
