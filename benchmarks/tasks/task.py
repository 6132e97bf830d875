"""What a task is: levels of a setting, cases that are compared on each, and figures that say how good they are.

Nothing here runs anything; see `measuring`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from benchmarks.tasks.materials import MATERIALS, Material
from grainloop.evaluate.cases import DEFAULT_METHODS, NOISE, WRONG, Case, Change, cases_of
from grainloop.evaluate.figures_of_merit import figures_of_merit
from grainloop.evaluate.methods import method_named
from grainloop.evaluate.sections.given import Given, Solved, solve
from grainloop.evaluate.sections.scenes import Scene, Setting, make_scene
from grainloop.model.maps import OrientationMap
from grainloop.protocols.messages import Reconstruction


@dataclass(frozen=True)
class Level:
    """One place on the axis of a task.

    Attributes:
        name: how the tables call it.
        value: where it lies on the axis.
        setting: how the specimen is measured; its seed is that of the trial.
        change: what is done to registered PL before any case does something to it, from it and the seed.
    """

    name: str
    value: float
    setting: Setting = field(default_factory=Setting)
    change: Change | None = None

    @property
    def fingerprint(self) -> str:
        """Of everything that can be told from outside: results of another fingerprint are not those of this level."""
        return hashlib.sha256(repr((self.value, self.setting)).encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Trial:
    """A specimen measured once: what all cases are tried on."""

    material: Material
    level: Level
    seed: int

    @cached_property
    def scene(self) -> Scene:
        """The specimen as it was measured."""
        return make_scene(self.material.specimen(self.seed), replace(self.level.setting, seed=self.seed))

    @cached_property
    def given(self) -> Given:
        """What the cases are given."""
        given, change = self.scene.given, self.level.change
        return given if change is None else given.with_light(lambda light: change(light, self.seed))

    @property
    def truth(self) -> OrientationMap:
        """The specimen."""
        return self.scene.truth

    def solved(self, case: Case, samples: int = 0, steps: int | None = None) -> Solved:
        """What the method of a case makes of it."""
        return solve(case.of(self.given, self.seed), method_named(case.method), samples, steps, self.seed)


@dataclass(frozen=True)
class Measured:
    """Of one case in one trial: figures by name, None where there is no answer, and what was left out or replaced."""

    figures: Mapping[str, float | None]
    degraded: tuple[str, ...] = ()


def reconstructed(trial: Trial, case: Case) -> Measured:
    """The figures of merit of the map that the method of a case makes."""
    return figures_of(trial.solved(case).reply, trial)


def figures_of(reply: Reconstruction, trial: Trial) -> Measured:
    """The figures of merit of an answer, and how long it took."""
    merit = figures_of_merit(reply, trial.truth, trial.given.measured).to_json()
    return Measured(merit | {"seconds": reply.seconds}, reply.degraded)


@dataclass(frozen=True)
class Column:
    """A figure as tables and pictures show it.

    Attributes:
        figure: its name.
        heading: with its unit, as a table or an axis says it.
        factor: of what is shown over what is kept.
        digits: behind the point.
        better: −1 where less is better, 1 where more is, 0 where nothing is to be judged.
    """

    figure: str
    heading: str
    factor: float = 1.0
    digits: int = 2
    better: Literal[-1, 0, 1] = -1


WRONG_PIXELS = Column("error_over_5deg", "wrong by > 5°, %", 100, 1)
MEAN_ERROR = Column("error_mean_deg", "mean error, °")
BOUNDARY_F1 = Column("boundary_f1", "boundary F1", digits=3, better=1)
AUROC = Column("auroc", "AUROC", digits=3, better=1)
COVERAGE = Column("coverage90", "within 90 % bound, %", 100, 1, better=0)


METHODS_COMPARED = tuple(case for case in cases_of(DEFAULT_METHODS) if case.name not in (WRONG, NOISE))
"""Every method of the service, and ours without PL."""


@dataclass(frozen=True)
class Task:
    """A question, and how it is put.

    Attributes:
        name: of its files.
        title: of its page.
        text: what is measured, and what a reader must know to judge it; Markdown.
        levels: places on the axis.
        axis: what the axis holds, with its unit.
        cases: what is compared.
        columns: figures of the tables.
        drawn: those of them that are drawn.
        ours: the case that is judged against `rivals`; all by name.
        rivals: cases that ours should be better than.
        measure: what is done with a case in a trial.
        remarks: what else the numbers say, as Markdown, from the results.
        figure: draws the results, where the common picture does not fit.
        constant: names of cases that are the same at every level; tables hold them once.
        materials: what is measured.
        kind: lines over the axis, or groups of bars, one for each level.
        scale: of the axis of lines.
        log_figures: names of figures that are drawn on a logarithmic axis.
        whole_network: names of cases that not the gate alone answers, but the free branch with it.
    """

    name: str
    title: str
    text: str
    levels: tuple[Level, ...]
    axis: str
    cases: tuple[Case, ...]
    columns: tuple[Column, ...]
    drawn: tuple[Column, ...]
    ours: str
    rivals: tuple[str, ...]
    measure: Callable[[Trial, Case], Measured] = reconstructed
    remarks: Callable[[Any], str] | None = None
    figure: Callable[[Any], Any] | None = None
    constant: tuple[str, ...] = ()
    materials: tuple[Material, ...] = MATERIALS
    kind: Literal["lines", "bars"] = "lines"
    scale: Literal["linear", "log"] = "linear"
    log_figures: tuple[str, ...] = ()
    whole_network: tuple[str, ...] = ()
