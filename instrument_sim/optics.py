"""Polarized-light images of an ideal microscope: the exact crossed-polariser chain for uniaxial crystals.

Unpolarised light passes a horizontal polariser, a mirror, the specimen at normal incidence, the mirror again and a
nearly vertical analyser; every element is a Mueller matrix and the chain is their product. Dirt, blur, noise and
misregistration belong to `instrument_sim.camera`.

Physics: Lekner, J. Phys.: Condens. Matter 4 (1992) 1387 (uniaxial reflectance); the chain is that of the CPLM programs
of EMsoft (De Graef). Stokes vectors are (S0, S1, S2, S3); azimuths are counted from the first towards the second axis
of the frame to which the orientations refer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal import c_axis

Reals = NDArray[np.float64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True)
class Dielectric:
    """Relative permittivity of a uniaxial crystal at one wavelength: across the c-axis and along it."""

    name: str
    ordinary: complex
    axial: complex

    @property
    def isotropic(self) -> bool:
        """Whether the crystal shows no contrast between crossed polars."""
        return self.ordinary == self.axial


ALPHA_TITANIUM: Final = Dielectric("alpha titanium, 750 nm", 6.676 + 34.954j, -20.377 + 30.405j)
"""Example values from an EMsoft template; their origin is not stated there."""
MAGNESIUM: Final = Dielectric("magnesium, visible", -19.4 + 3.3j, -12.6 + 4.6j)
"""Example values: the mean is that of bulk magnesium near 590 nm, the size of the anisotropy is an assumption."""
ZIRCONIUM: Final = Dielectric("alpha zirconium, visible", -1.5 + 18.0j, -9.0 + 17.0j)
"""Example values: an absorbing metal with an assumed anisotropy."""
ISOTROPIC: Final = Dielectric("isotropic metal", -10.0 + 15.0j, -10.0 + 15.0j)
"""Stands for every cubic phase: same reflectance in all directions."""


@dataclass(frozen=True)
class Optics:
    """The microscope and what it looks at.

    Attributes:
        dielectric: constants of the specimen.
        analyser_offset_deg: turn of the analyser out of exact crossing; tells azimuths 90° apart.
    """

    dielectric: Dielectric = ALPHA_TITANIUM
    analyser_offset_deg: float = 1.0


MIRROR: Final[Reals] = np.diag([1.0, 1.0, -1.0, -1.0])
UNPOLARISED: Final[Reals] = np.array([1.0, 0.0, 0.0, 0.0])


def rotation(angle_deg: float) -> Reals:
    """(4, 4) Mueller matrix that turns the plane of polarisation by `angle_deg`."""
    c, s = np.cos(np.deg2rad(2 * angle_deg)), np.sin(np.deg2rad(2 * angle_deg))
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])


def polariser(axis_deg: float) -> Reals:
    """(4, 4) Mueller matrix of an ideal linear polariser with its axis at `axis_deg` from the horizontal."""
    horizontal = np.zeros((4, 4))
    horizontal[:2, :2] = 0.5
    return rotation(axis_deg) @ horizontal @ rotation(-axis_deg)


def retarder(retardance_rad: float, axis_deg: float) -> Reals:
    """(4, 4) Mueller matrix of a linear retarder (tint plate, wave plate) with its fast axis at `axis_deg`."""
    c, s = np.cos(retardance_rad), np.sin(retardance_rad)
    aligned = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, c, s], [0, 0, -s, c]], dtype=np.float64)
    return rotation(axis_deg) @ aligned @ rotation(-axis_deg)


def reflection_coefficients(cos_tilt: ArrayLike, dielectric: Dielectric) -> tuple[complex, Complexes]:
    """Fresnel coefficients (r_o, r_e(θ)) at normal incidence from air; `cos_tilt` is the cosine of θ (c to normal)."""
    eps_o, eps_e = complex(dielectric.ordinary), complex(dielectric.axial)
    cos2 = np.asarray(cos_tilt, dtype=np.float64) ** 2
    n_o = complex(np.sqrt(eps_o))
    n_e = np.sqrt(eps_o * eps_e / (eps_o + (eps_e - eps_o) * cos2))
    return (n_o - 1) / (n_o + 1), np.asarray((n_e - 1) / (n_e + 1), dtype=np.complex128)


def sample_jones(tilt_cos: ArrayLike, azimuth_rad: ArrayLike, dielectric: Dielectric) -> Complexes:
    """(..., 2, 2) Jones matrix ((r_pp, r_ps), (r_sp, r_ss)) of the reflecting crystal (Lekner 1992)."""
    r_o, r_e = reflection_coefficients(tilt_cos, dielectric)
    c, s = np.cos(azimuth_rad), np.sin(azimuth_rad)
    cross = (r_e - r_o) * s * c
    rows = [r_o * s**2 + r_e * c**2, cross, -cross, -(r_e * s**2 + r_o * c**2)]
    return np.stack(rows, axis=-1).reshape(*np.shape(cross), 2, 2)


_PAULI: Final[Complexes] = np.array(
    [[[1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]]], dtype=np.complex128
)
_TO_STOKES: Final[Complexes] = _PAULI.reshape(4, 4).conj()
"""Takes the flattened coherency matrix E ⊗ E* to the Stokes vector: S_i = tr(σ_i E E†)."""


def mueller(jones: Complexes) -> Reals:
    """(..., 4, 4) Mueller matrix M_ij = ½ tr(σ_i J σ_j J†) of Jones matrices (..., 2, 2)."""
    kron = np.einsum("...ab,...cd->...acbd", jones, jones.conj()).reshape(*jones.shape[:-2], 4, 4)
    return np.real(_TO_STOKES @ kron @ _TO_STOKES.conj().T) / 2


def _stage_chain(analyser: Reals, angles_deg: ArrayLike) -> Reals:
    """(K, 4, 4) weights W with I_k = Σ_ij W_kij M_ij for a specimen of Mueller matrix M turned by each angle.

    Reflection swaps the handedness, so that turning the specimen by ψ is M → Q(−ψ) M Q(−ψ).
    """
    incoming = MIRROR @ polariser(0.0) @ UNPOLARISED
    outgoing = (analyser @ MIRROR)[0]
    turns = [rotation(-float(angle)) for angle in np.atleast_1d(np.asarray(angles_deg, dtype=np.float64))]
    return np.array([np.outer(outgoing @ turn, turn @ incoming) for turn in turns])


def chain_intensity(tilt_cos: ArrayLike, azimuth_rad: ArrayLike, angles_deg: ArrayLike, optics: Optics) -> Reals:
    """(K, ...) intensities per unit of unpolarised light for stage angles (K,), degrees, by the Mueller chain.

    A stage angle ψ turns the specimen so that the azimuth γ of its c-axis becomes γ + ψ.
    """
    specimen = mueller(sample_jones(tilt_cos, azimuth_rad, optics.dielectric))
    analyser = polariser(90.0 - optics.analyser_offset_deg)
    return np.einsum("kij,...ij->k...", _stage_chain(analyser, angles_deg), specimen, optimize=True)


def render_light(
    orientation: NDArray[np.floating],
    indexed: NDArray[np.bool_],
    angles_deg: ArrayLike,
    optics: Optics,
) -> NDArray[np.float32]:
    """Ideal PL stack (K, h, w) of an orientation map (h, w, 4), per unit of unpolarised light.

    Pixels that are not `indexed` (h, w) reflect like a crystal seen along its c-axis: only the leakage of the analyser.
    """
    tilt_cos, azimuth = _tilt_and_azimuth(orientation, indexed)
    return chain_intensity(tilt_cos, azimuth, angles_deg, optics).astype(np.float32)


TINT_RETARDANCE_NM: Final = 550.0
"""A first-order red plate: extinguishes green between crossed polars, hence the magenta background."""
CHANNEL_NM: Final = (620.0, 545.0, 460.0)
"""Effective wavelengths of the red, green and blue channels."""


def render_rgb(
    orientation: NDArray[np.floating], indexed: NDArray[np.bool_], optics: Optics, angle_deg: float = 0.0
) -> NDArray[np.float32]:
    """Ideal colour image (3, h, w) through a first-order red plate at 45°, per unit of light in each channel.

    The dielectric constants are taken as the same in all three channels.
    """
    tilt_cos, azimuth = _tilt_and_azimuth(orientation, indexed)
    specimen = mueller(sample_jones(tilt_cos, azimuth, optics.dielectric))
    analyser = polariser(90.0 - optics.analyser_offset_deg)
    plates = [retarder(2 * np.pi * TINT_RETARDANCE_NM / nm, 45.0) for nm in CHANNEL_NM]
    weights = np.concatenate([_stage_chain(analyser @ plate, angle_deg) for plate in plates])
    return np.einsum("kij,hwij->khw", weights, specimen, optimize=True).astype(np.float32)


def _tilt_and_azimuth(orientation: NDArray[np.floating], indexed: NDArray[np.bool_]) -> tuple[Reals, Reals]:
    axis = np.where(indexed[..., None], c_axis(orientation), (0.0, 0.0, 1.0))
    return axis[..., 2], np.arctan2(axis[..., 1], axis[..., 0])
