"""Synthetic specimens for training: materials, what EBSD measures of them, and what polarized light shows of them.

Needs numpy, scipy, numba and `model.crystal`; knows nothing of networks, services or the simulated instrument.
"""

from grainloop.model.microstructure.ebsd import EbsdMap, EbsdNuisances, measure
from grainloop.model.microstructure.errors import MicrostructureError
from grainloop.model.microstructure.example import Example, draw_example, observe
from grainloop.model.microstructure.light import Light, LightNuisances, polynomial_light
from grainloop.model.microstructure.recipe import RECIPES, TRAINING_WEIGHTS, Recipe, mixture, recipe_named
from grainloop.model.microstructure.specimen import Specimen, make_specimen, make_stack

__all__ = [
    "RECIPES",
    "TRAINING_WEIGHTS",
    "EbsdMap",
    "EbsdNuisances",
    "Example",
    "Light",
    "LightNuisances",
    "MicrostructureError",
    "Recipe",
    "Specimen",
    "draw_example",
    "make_specimen",
    "make_stack",
    "measure",
    "mixture",
    "observe",
    "polynomial_light",
    "recipe_named",
]
