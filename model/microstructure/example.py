"""One training example: a specimen drawn from the mixture of recipes, with its EBSD map and its polarized light.

How examples become network inputs is for the learner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.microstructure.ebsd import EBSD_NUISANCES, EbsdNuisances, measure
from grainloop.model.microstructure.light import LIGHT_NUISANCES, LightNuisances, polynomial_light
from grainloop.model.microstructure.recipe import TRAINING_WEIGHTS, mixture
from grainloop.model.microstructure.specimen import Specimen, make_specimen


@dataclass(frozen=True)
class Example:
    """Truth and observations of one section.

    Attributes:
        truth: (h, w, 4) float32 orientations; see `Specimen.orientation`.
        valid: (h, w) bool, where the truth is an indexable orientation of the main phase.
        observed: (h, w, 4) float32 EBSD solutions, as if every pixel had been measured.
        indexed: (h, w) bool, where there is a solution.
        noise_deg: rms rotation between truth and a correct solution.
        light: (5, h, w) float32 calibrated PL features.
        light_sigma: (5, h, w) float32 noise that the pipeline reports for them.
        specimen: where all this comes from.
    """

    truth: NDArray[np.float32]
    valid: NDArray[np.bool_]
    observed: NDArray[np.float32]
    indexed: NDArray[np.bool_]
    noise_deg: float
    light: NDArray[np.float32]
    light_sigma: NDArray[np.float32]
    specimen: Specimen


def draw_example(
    rng: np.random.Generator,
    shape: tuple[int, int],
    point_group: str = "6/mmm",
    weights: Mapping[str, float] = TRAINING_WEIGHTS,
    ebsd: EbsdNuisances = EBSD_NUISANCES,
    light: LightNuisances = LIGHT_NUISANCES,
) -> Example:
    """An example of (h, w) = `shape` from the mixture of recipes with `weights`.

    Raises:
        MicrostructureError: see `make_specimen` and `mixture`.
    """
    return observe(rng, make_specimen(rng, shape, mixture(rng, weights), point_group), ebsd, light)


def observe(
    rng: np.random.Generator,
    specimen: Specimen,
    ebsd: EbsdNuisances = EBSD_NUISANCES,
    light: LightNuisances = LIGHT_NUISANCES,
) -> Example:
    """Both observations of a given specimen, for instance of one section of a stack."""
    scan, seen = measure(rng, specimen, ebsd), polynomial_light(rng, specimen, light)
    return Example(
        specimen.orientation,
        specimen.valid,
        scan.orientation,
        scan.indexed,
        scan.noise_deg,
        seen.features,
        seen.sigma,
        specimen,
    )
