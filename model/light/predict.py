"""PL features predicted from orientations: the polynomial of the c-axis, in units where a c-axis in the plane gives 1.

Real PL differs by gain, offset, mixing and shading; `model.light.calibrate` learns these from the measured points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import c_axis

N_CHANNELS = 5


def predict_light(q: NDArray[np.floating]) -> NDArray[np.float64]:
    """PL features (m, C4, S4, C2, S2) of orientations.

    With tilt θ and azimuth φ of the c-axis and z = sin²θ e^{2iφ}: m = |z|² = sin⁴θ, C4 + i S4 = z², C2 + i S2 = z. At
    small tilt m is 10 % above the exact reflectance of α-Ti, at 45° and beyond 3.5 %.

    Args:
        q: (..., 4) unit quaternions, crystal → sample.

    Returns:
        (..., 5) values within −1 … 1.
    """
    return predict_from_axis(c_axis(np.asarray(q, dtype=np.float64)))


def predict_from_axis(c: NDArray[np.floating]) -> NDArray[np.float64]:
    """`predict_light` of (..., 3) unit c-axes in the sample frame."""
    z = (c[..., 0] + 1j * c[..., 1]) ** 2
    square = z * z
    return np.stack([np.abs(square), square.real, square.imag, z.real, z.imag], axis=-1)
