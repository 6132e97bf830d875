"""The measurements behind `grainloop bench reconstruct`: every case on every map, share and seed.

Grids are centred whatever the seed, so seeds vary noise, dust, shading and misregistration of PL. What comes of the
rows is the business of `tables` and `pictures`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from grainloop.evaluate.cases import Case
from grainloop.evaluate.figures_of_merit import figures_of_merit
from grainloop.evaluate.methods import method_named
from grainloop.evaluate.sections.cropping import Window, centre_window, crop_given, crop_map
from grainloop.evaluate.sections.given import Given, solve
from grainloop.evaluate.sections.scenes import Scene, Setting, make_scene
from grainloop.model.maps import OrientationMap
from grainloop.protocols.messages import Reconstruction

WARM_UP_PX = 48
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        shares: of the pixels measured, on centred grids.
        seeds: of instrument and methods.
        cases: rows of the table.
        samples: posterior samples of methods that are made of nothing else.
        crop_px: edge of the centre that such methods, and the others beside them, are also tried on.
    """

    shares: tuple[float, ...]
    seeds: tuple[int, ...]
    cases: tuple[Case, ...]
    samples: int = 4
    crop_px: int = 96

    @property
    def whole(self) -> tuple[Case, ...]:
        """The cases that see the whole map."""
        return tuple(case for case in self.cases if not case.sampled)

    @property
    def shown_share(self) -> float:
        """The share whose maps are drawn: that in the middle."""
        return sorted(self.shares)[len(self.shares) // 2]


@dataclass(frozen=True)
class Row:
    """One case at one share of the points of one map, over the seeds.

    Attributes:
        case: its name.
        share: that was asked for.
        fraction_measured: share of the pixels that was measured.
        figures: figure of merit → its value for each seed, and `seconds`.
        degraded: what the method said that it left out or replaced.
    """

    case: str
    share: float
    fraction_measured: float
    figures: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    degraded: list[str] = field(default_factory=list[str])

    def add(self, values: Mapping[str, float | None], degraded: Sequence[str]) -> None:
        """Count one seed in."""
        for name, value in values.items():
            self.figures.setdefault(name, []).append(math.nan if value is None else value)
        self.degraded.extend(note for note in degraded if note not in self.degraded)

    def mean(self, name: str) -> float:
        """Mean over the seeds; NaN if there is none."""
        known = [value for value in self.figures.get(name, ()) if not math.isnan(value)]
        return float(np.mean(known)) if known else math.nan

    def sd(self, name: str) -> float:
        """Standard deviation of the seeds; 0 for one seed."""
        known = [value for value in self.figures.get(name, ()) if not math.isnan(value)]
        return float(np.std(known, ddof=1)) if len(known) > 1 else 0.0


@dataclass(frozen=True, eq=False)
class Sight:
    """What is drawn of one map: a scene of the first seed, and the answers of the cases to it."""

    scene: Scene
    replies: Mapping[str, Reconstruction]


@dataclass(frozen=True, eq=False)
class MapRuns:
    """Everything measured on one map.

    Attributes:
        name: of the map.
        specimen: the map itself.
        rows: of the whole map.
        centre_rows: of its centre, if a case needs that.
        registration_s: wall seconds of every registration.
        sight: what is drawn.
    """

    name: str
    specimen: OrientationMap
    rows: tuple[Row, ...]
    centre_rows: tuple[Row, ...]
    registration_s: tuple[float, ...]
    sight: Sight


def run_map(name: str, specimen: OrientationMap, plan: Plan, tell: Tell) -> MapRuns:
    """Measure every case on one map.

    Raises:
        BadInput: a share out of range, a map without an indexed point, or a method without weights.
    """
    rows: dict[tuple[float, str], Row] = {}
    centre: dict[tuple[float, str], Row] = {}
    registration_s: list[float] = []
    sights: list[Sight] = []
    for share, seed in _settings(plan):
        tell(f"{name}: {share:g} of the pixels, seed {seed}")
        scene = make_scene(specimen, Setting(share=share, seed=seed))
        if not registration_s:
            _warm_up(scene.given, plan)
        registration_s.append(scene.given.seconds)
        replies = _try_all(plan.whole, scene, share, plan, rows)
        if plan.whole != plan.cases:
            _try_all(plan.cases, scene, share, plan, centre, centre_window(specimen.shape_px, plan.crop_px))
        if share == plan.shown_share and seed == plan.seeds[0]:
            sights.append(Sight(scene, replies))
    return MapRuns(name, specimen, tuple(rows.values()), tuple(centre.values()), tuple(registration_s), sights[0])


def _settings(plan: Plan) -> Iterator[tuple[float, int]]:
    return ((share, seed) for share in plan.shares for seed in plan.seeds)


def _try_all(
    cases: Sequence[Case],
    scene: Scene,
    share: float,
    plan: Plan,
    rows: dict[tuple[float, str], Row],
    window: Window | None = None,
) -> dict[str, Reconstruction]:
    """Add one seed of every case to `rows`, on the whole map or a part of it; the answers by case."""
    given = scene.given if window is None else crop_given(scene.given, window)
    truth = scene.truth if window is None else crop_map(scene.truth, window)
    replies: dict[str, Reconstruction] = {}
    for case in cases:
        samples = plan.samples if case.sampled else 0
        reply = solve(case.of(given, scene.seed), method_named(case.method), samples, seed=scene.seed).reply
        merit = figures_of_merit(reply, truth, given.measured).to_json()
        row = rows.setdefault((share, case.name), Row(case.name, share, float(given.measured.mean())))
        row.add(merit | {"seconds": reply.seconds}, reply.degraded)
        replies[case.name] = reply
    return replies


def _warm_up(given: Given, plan: Plan) -> None:
    """Compile and load everything, on a small part, so that times are those of the work."""
    small = crop_given(given, centre_window(given.section.shape, WARM_UP_PX))
    for case in plan.whole:
        solve(case.of(small, 0), method_named(case.method))
