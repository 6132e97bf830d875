"""The eight symmetries of the square grid, and shifts of it, applied to a section exactly.

A turn of the map by 90° turns crystals about the normal. A mirror image of the map turns them by 180° about an axis in
the plane: a mirror is that turn times the inversion, which every Laue group holds. In the embedding and in the PL
harmonics both only exchange channels and change signs; distances, disorientations and what is derived from them stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grainloop.model.crystal import embed, multiply, quaternion_from_axis_angle, random_quaternions
from grainloop.model.diffusion.network.conditions import SectionInput
from grainloop.model.diffusion.network.state import state_space
from grainloop.model.light import predict_light
from grainloop.model.reconstruct.problem import PriorSection, Problem, RegisteredLight, SparsePoints

_MAPS = ("level", "index", "known", "prior", "features", "context")
"""Fields of `SectionInput` whose values stay when the map turns."""
_PROBES = 64
"""Random orientations from which the exchange of channels is found."""


@dataclass(frozen=True)
class Symmetry:
    """A mirror image along the rows (columns reversed) if `mirror`, then `turns` quarter turns as by `numpy.rot90`."""

    turns: int
    mirror: bool

    @property
    def rotation(self) -> NDArray[np.floating]:
        """(4,) what happens to orientations: they become rotation · orientation."""
        turn = quaternion_from_axis_angle(np.array([0.0, 0.0, 1.0]), -self.turns * np.pi / 2)
        return multiply(turn, np.array([0.0, 1.0, 0.0, 0.0])) if self.mirror else turn

    def turn(self, orientation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Orientations (..., 4) of the turned specimen."""
        return multiply(self.rotation, orientation.astype(np.float64)).astype(np.float32)

    def turn_map(self, value: Tensor) -> Tensor:
        """Maps (..., h, w) of values that do not turn."""
        return torch.rot90(value.flip(-1) if self.mirror else value, self.turns, (-2, -1))

    def turn_back(self, value: Tensor) -> Tensor:
        """The inverse of `turn_map`."""
        back = torch.rot90(value, -self.turns, (-2, -1))
        return back.flip(-1) if self.mirror else back


IDENTITY = Symmetry(0, mirror=False)
SYMMETRIES = tuple(Symmetry(turns, mirror) for mirror in (False, True) for turns in (0, 2, 1, 3))
"""All eight; the first two, four and eight are groups."""


def turned_problem(problem: Problem, by: Symmetry) -> Problem:
    """The problem that the same specimen poses when it lies turned or mirrored; points keep their order."""
    points, shape = problem.points, problem.shape
    number = torch.arange(shape[0] * shape[1]).reshape(shape)
    there = torch.empty_like(number)
    moved = by.turn_map(number)
    there.view(-1)[moved.reshape(-1)] = number.reshape(-1)
    rows, columns = np.divmod(there.numpy()[tuple(points.position_px.T)], moved.shape[1])
    position = np.stack([rows, columns], axis=-1).astype(np.int32)
    sparse = SparsePoints(position, by.turn(points.orientation), points.indexed)
    return replace(
        problem,
        shape=(moved.shape[0], moved.shape[1]),
        points=sparse,
        light=problem.light and _turned_light(problem.light, by),
        prior=problem.prior and _turned_prior(problem.prior, by),
    )


def _turned_light(light: RegisteredLight, by: Symmetry) -> RegisteredLight:
    signs = exchanges("6/mmm", by)[1].diagonal().reshape(-1, 1, 1)
    features, sigma = (by.turn_map(torch.from_numpy(each)).contiguous() for each in (light.features, light.sigma))
    return RegisteredLight((features * signs).numpy(), sigma.numpy(), light.residual_px)


def _turned_prior(prior: PriorSection, by: Symmetry) -> PriorSection:
    orientation = by.turn_map(torch.from_numpy(prior.orientation).movedim(-1, 0)).movedim(0, -1).contiguous()
    known = by.turn_map(torch.from_numpy(prior.known)).contiguous()
    return PriorSection(by.turn(orientation.numpy()), known.numpy(), prior.spacing_px)


def row_by_row(problem: Problem) -> tuple[Problem, NDArray[np.intp]]:
    """The problem with its points in the order of the pixels, and that order.

    Of points equally far from a pixel the first is taken as its nearest, and the network has seen no other order in
    training: it reads directions from the order of the candidates.
    """
    order = np.lexsort(problem.points.position_px.T[::-1])
    return replace(problem, points=problem.points.select(order)), order


def turned(section: SectionInput, by: Symmetry) -> SectionInput:
    """The section with the candidates that it has, in the order in which they are, turned or mirrored.

    It is that of `turned_problem` but for the mean-field smoothing, whose sweeps have a direction.
    """
    ebsd, light = exchanges(section.space.group.name, by)
    state = torch.block_diag(ebsd, light)
    return replace(
        section,
        measured=by.turn_map(torch.einsum("bchw,cd->bdhw", section.measured, state)),
        points=section.points @ ebsd,
        points_light=section.points_light @ light,
        **{name: by.turn_map(getattr(section, name)) for name in _MAPS},
    )


@cache
def exchanges(group: str, by: Symmetry) -> tuple[Tensor, Tensor]:
    """Signed permutations (E, E), (L, L) that rows of embeddings and of standardised PL are multiplied by."""
    space = state_space(group)
    probes = random_quaternions(_PROBES, np.random.default_rng(0))
    moved = multiply(by.rotation, probes)
    light = (predict_light(q)[:, : space.light_channels] for q in (probes, moved))
    return _exchange(embed(probes, group), embed(moved, group)), _exchange(*light)


def _exchange(before: NDArray[np.floating], after: NDArray[np.floating]) -> Tensor:
    """The signed permutation P with before · P = after, by least squares; exact because its entries are 0 and ±1."""
    solved = np.linalg.lstsq(before, after, rcond=None)[0]
    return torch.from_numpy(np.rint(solved).astype(np.float32))


def shifted(section: SectionInput, down: int, right: int) -> SectionInput:
    """The section with its first row repeated `down` times and its first column `right` times.

    The grid by which the network halves its resolution then lies elsewhere on it.
    """
    h, w = section.level.shape[-2:]
    rows, columns = torch.arange(-down, h).clamp_min(0)[:, None], torch.arange(-right, w).clamp_min(0)
    return replace(section, **{name: getattr(section, name)[..., rows, columns] for name in ("measured", *_MAPS)})
