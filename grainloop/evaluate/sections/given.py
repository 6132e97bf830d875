"""What reconstructors are given of a section, posed exactly as the model service does, and what they make of it.

Registration, frames and phases are those of `model.service.reconstruction`; PL is registered once and every method sees
the same. How good the answers are is the business of `figures_of_merit`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from grainloop.evaluate.methods import REFERENCES
from grainloop.model.reconstruct import (
    IsCancelled,
    Options,
    Posterior,
    Problem,
    Reconstructor,
    RegisteredLight,
    Report,
    never,
    no_report,
)
from grainloop.model.reconstruct.problem import nothing_known
from grainloop.model.service.answer import Aligned, Found, answer
from grainloop.model.service.deadline import Deadline
from grainloop.model.service.phases import PhaseMap, compose, find_phases
from grainloop.model.service.reconstruction import Work, check_input, find, in_map_frame
from grainloop.model.service.sections import Section
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import Reconstruction, ReconstructRequest
from grainloop.protocols.values import PointBlock

ChangeLight = Callable[[RegisteredLight], RegisteredLight | None]
_TAKEN_AWAY = "PL was taken away."


@dataclass(frozen=True, eq=False)
class Given:
    """One section as its reconstructors see it.

    Attributes:
        section: as the model service holds it.
        points: as measured, in the Euler frame of the section.
        phases: the phase of each pixel.
        aligned: PL.
        problems: phase id → problem, in the map frame.
        seconds: wall time that registration took.
    """

    section: Section
    points: PointBlock
    phases: PhaseMap
    aligned: Aligned
    problems: Mapping[int, Problem]
    seconds: float

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(h, w) pixels that were measured, indexed or not."""
        mask = np.zeros(self.section.shape, np.bool_)
        mask[tuple(self.points.position_px.T)] = True
        return mask

    def with_light(self, change: ChangeLight) -> Given:
        """The same points with registered PL changed, or taken away where `change` gives nothing."""
        problems = {
            number: problem if problem.light is None else _changed(problem, change)
            for number, problem in self.problems.items()
        }
        return replace(self, problems=problems)


def _changed(problem: Problem, change: ChangeLight) -> Problem:
    assert problem.light is not None  # noqa: S101
    light = change(problem.light)
    return replace(problem, light=light, light_missing=_TAKEN_AWAY if light is None else problem.light_missing)


@dataclass(frozen=True, eq=False)
class Solved:
    """What a method made of it: the posterior in the map frame, and the answer that the service would send."""

    found: Found
    reply: Reconstruction


@dataclass
class _Recorder:
    """A method that only notes down the problems that it is given."""

    name: str = "recorder"
    problems: list[Problem] = field(default_factory=list[Problem])

    def __call__(self, problem: Problem, options: Options, report: Report, cancelled: IsCancelled) -> Posterior:
        del options, report, cancelled
        self.problems.append(problem)
        return nothing_known(problem.shape)


def give(section: Section, points: PointBlock, seed: int = 0) -> Given:
    """Register PL by the points, and pose one problem per phase.

    Raises:
        BadInput: points off the grid, or of an undeclared phase.
    """
    started, recorder = time.perf_counter(), _Recorder()
    request = ReconstructRequest(section_key=section.declared.section_key, points=points, seed=seed)
    check_input(section, request)
    work = Work(section, request, recorder, Deadline(None), no_report, never)
    found = find(work, in_map_frame(points, section))
    phases = find_phases(section.shape, points)
    numbers = [int(n) for n in np.unique(phases.phase_id) if n]
    problems = dict(zip(numbers, recorder.problems, strict=True))
    return Given(section, points, phases, found.aligned, problems, time.perf_counter() - started)


def solve(given: Given, method: Reconstructor, n_samples: int = 0, steps: int | None = None, seed: int = 0) -> Solved:
    """Reconstruct with one method; the answer's `seconds` are those of the method, without registration.

    As in the service, samples are drawn only of a section of one phase; methods that are made of samples draw them of
    each phase, but they are not kept.

    Raises:
        BadInput: trained weights that the method needs and does not have.
    """
    key, several, made_of_them = given.section.declared.section_key, len(given.problems) > 1, method.name in REFERENCES
    asked = 0 if several and made_of_them else n_samples
    request = ReconstructRequest(section_key=key, points=given.points, n_samples=asked, steps=steps, seed=seed)
    options = Options(0 if several and not made_of_them else n_samples, steps, seed)
    started = time.perf_counter()
    parts = {number: _posterior(method, problem, options) for number, problem in given.problems.items()}
    posterior = compose(given.phases, parts) if parts else nothing_known(given.section.shape)
    found = Found(posterior, given.phases.phase_id, given.aligned, out_of_time=False)
    return Solved(found, answer(given.section, request, method, found, None, started))


def _posterior(method: Reconstructor, problem: Problem, options: Options) -> Posterior:
    try:
        return method(problem, options, no_report, never)
    except ValueError as error:  # a reference method without weights; all others fall back by themselves
        raise BadInput(f"The method '{method.name}' cannot be used here: {error}", field="method") from error
