"""Other views of a section: what the network would be given had the specimen lain turned or mirrored.

Candidates are gathered anew, so that ties between points equally far away fall as the network knows them; its answer is
then brought back to the candidates of the section, grain by grain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.scaling_strategies.symmetry import Symmetry, row_by_row, turned_problem
from grainloop.model.diffusion.network.conditions import Evidence, SectionInput, gather_evidence, section_input
from grainloop.model.reconstruct.problem import Problem

_NOBODY, _NOTHING = -1, -2
"""Groups of candidates that there are not: in a view and in the section, so that they never agree."""


@dataclass(frozen=True, eq=False)
class View:
    """A section seen otherwise.

    Attributes:
        by: how.
        section: what the network is given.
        group: (1, K, h, w) the group of the original section that each candidate belongs to, in its frame.
        own: (1, K, h, w) the same of the candidates of the original section.
    """

    by: Symmetry
    section: SectionInput
    group: Tensor
    own: Tensor

    def brought_back(self, weights: Tensor) -> Tensor:
        """(1, K + 1, h, w) probabilities of the candidates of the original section and, last, of none of them.

        `weights` (1, K, h, w) are those of the candidates of the view. A grain that the original section does not
        hold among its candidates counts as none of them.
        """
        weights = self.by.turn_back(weights)
        mine = torch.stack([(weights * (self.group == own[:, None])).sum(1) for own in self.own.unbind(1)], 1)
        return torch.cat([mine, (1 - mine.sum(1, keepdim=True)).clamp_min(0)], 1)


def look(problem: Problem, evidence: Evidence, section: SectionInput, by: Symmetry) -> View:
    """A view of the section of a problem, of which `evidence` and `section` are what the network is given."""
    space = section.space
    other, order = row_by_row(turned_problem(problem, by))
    gathered = gather_evidence(other, space)
    seen = section_input(other.shape, gathered, space)
    group_of_point = np.full(len(problem.points), _NOBODY)
    group_of_point[evidence.seeds.index] = evidence.seeds.group
    group = _groups(seen, group_of_point[order[gathered.seeds.index]], _NOBODY)
    return View(by, seen, by.turn_back(group), _groups(section, evidence.seeds.group.astype(np.int64), _NOTHING))


def _groups(section: SectionInput, label: np.ndarray[tuple[int], np.dtype[np.int64]], nobody: int) -> Tensor:
    """(1, K, h, w) labels of the candidates of a section, by labels (n,) of its seeds."""
    return torch.from_numpy(label)[section.index].masked_fill(~section.known, nobody)
