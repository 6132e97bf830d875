"""Synthetic specimens for training: materials, what EBSD measures of them, and what polarized light shows of them.

Needs numpy, scipy, numba and `model.crystal`; knows nothing of networks, services or the simulated instrument.
"""

from model.microstructure.errors import MicrostructureError
from model.microstructure.recipe import RECIPES, TRAINING_WEIGHTS, Recipe, mixture, recipe_named
from model.microstructure.specimen import Specimen, make_specimen, make_stack

__all__ = [
    "RECIPES",
    "TRAINING_WEIGHTS",
    "MicrostructureError",
    "Recipe",
    "Specimen",
    "make_specimen",
    "make_stack",
    "mixture",
    "recipe_named",
]
