"""The decisions of a run, without sockets, clocks or files: replies go in, the next request comes out.

Decision k is made from the points of exactly those batches that were closed when it is made, and the shell closes
batches in a fixed rhythm (two are always out). So the same plan and the same replies give the same decisions, whatever
the timing. Running the requests, files and operators is the shell's business (`controller.loop`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.grid import around, coarse_grid, space_filling, spread_apart
from controller.ledger import Ledger
from controller.route import short_path, way_lengths
from controller.why import Index, Why
from protocols.capabilities import Capabilities
from protocols.messages import (
    REASON_CODES,
    ProposalReason,
    ProposalRequest,
    Proposals,
    Reconstruction,
    ReconstructRequest,
    ScanRequest,
)
from protocols.plan import RunPlan

Pixels = NDArray[np.int32]

PIPELINE_DEPTH = 2
"""Batches that are out at any time: one being measured, one queued behind it."""

SPACE_FILLING = "space_filling"
BY_PLAN = "plan"
_SEEDS = 2**63


@dataclass(frozen=True)
class Batch:
    """A decided batch: the request, and for each of its points why it is asked for and how far the beam travels to it.

    The way to the first point of a run is not known: the beam has not been used yet.
    """

    request: ScanRequest
    why: Why
    travel_px: NDArray[np.float32]
    decided_by: str

    @property
    def gain_px(self) -> float:
        """Pixels that the batch is forecast to put right."""
        return round(float(self.why.gain.sum()), 3)

    @property
    def reasons(self) -> dict[str, int]:
        """How many of its points are asked for why."""
        codes, counts = np.unique(self.why.reason, return_counts=True)
        return {REASON_CODES[int(code)].value: int(count) for code, count in zip(codes, counts, strict=True)}


@dataclass(frozen=True)
class Enough:
    """The decision to measure no more, and why."""

    why: str


@dataclass(frozen=True)
class _Picks:
    position_px: Pixels
    why: Why

    def __len__(self) -> int:
        return len(self.position_px)

    def take(self, index: Index) -> _Picks:
        return _Picks(self.position_px[index], self.why.take(index))

    def then(self, more: _Picks) -> _Picks:
        return _Picks(np.concatenate([self.position_px, more.position_px]), self.why.then(more.why))


class Core:
    """What to measure next.

    Args:
        plan: what to measure and how to decide.
        capabilities: of the instrument.
        run: a name that no other run of the instrument has; also names the section at the model service.

    Attributes:
        ledger: points, budget and clock.
        rounds: adaptive batches decided so far.
    """

    def __init__(self, plan: RunPlan, capabilities: Capabilities, run: str) -> None:
        self.plan, self.capabilities, self.run = plan, capabilities, run
        self.ledger = Ledger(plan, capabilities, run)
        self.rounds = 0
        self._decisions = 0
        self._decided_s = 0.0
        self._first_pass: list[Pixels] = []

    def begin(self, light_s: float) -> None:
        """Plan the first pass; `light_s` is what the PL images took of the instrument time."""
        self.ledger.begin(light_s)
        self._first_pass = self._plan_first_pass()

    @property
    def has_planned(self) -> bool:
        """Whether parts of the first pass are left to send."""
        return bool(self._first_pass)

    def next_planned(self) -> Batch | None:
        """The next part of the first pass, or nothing when it is all out (or out of instrument time)."""
        while self._first_pass:
            part = self._first_pass.pop(0)
            batch = self._make(_plain(part, ProposalReason.FIRST_PASS), BY_PLAN, lambda: 0.0)
            if batch is not None:
                return batch
        return None

    def question(self) -> ReconstructRequest | None:
        """What to ask the model before the next batch; nothing when no point may be added."""
        count = self._batch_size()
        if count == 0:
            return None
        excluded = np.argwhere(self._keep_away(count)).astype(np.int32)
        share = self.plan.exploration_share
        propose = ProposalRequest(
            count=count,
            policy=self.plan.policy,
            exploration_share=share,
            excluded_px=excluded,
            repeatable_px=np.argwhere(self.ledger.repeatable).astype(np.int32),
        )
        return self._ask(propose)

    def final_question(self) -> ReconstructRequest:
        """What to ask the model when everything is measured."""
        return self._ask(None)

    def decide(self, answer: Reconstruction | None, elapsed_s: Callable[[], float]) -> Batch | Enough:
        """The next batch.

        Args:
            answer: of the model to `question`, or nothing when it gave none: then space filling decides.
            elapsed_s: wall time that the decision has taken when called.
        """
        if answer is not None and answer.predicted_wrong < self.plan.stop_below:
            predicted = f"{answer.predicted_wrong:.2%} of the pixels"
            return Enough(f"the predicted share of wrong pixels, {predicted}, is below {self.plan.stop_below:.2%}")
        count = self._batch_size()
        picks = self._usable(answer.proposals if answer is not None else None, count)
        if (why := self._hardly_pays(picks)) is not None:
            return Enough(why)
        decided_by = (
            answer.proposals.policy if answer is not None and answer.proposals and len(picks) else SPACE_FILLING
        )
        batch = self._make(picks.then(self._fill(picks, count - len(picks))), decided_by, elapsed_s)
        if batch is None:
            return Enough("the budget is spent" if self.ledger.points_left == 0 else "no instrument time is left")
        self.rounds += 1
        return batch

    def _hardly_pays(self, picks: _Picks) -> str | None:
        """Why a batch of these picks is not worth its time; nothing when it is, or when nobody forecast its gain."""
        least = self.plan.least_gain_per_s
        if not least or not len(picks):
            return None
        path = picks.position_px[short_path(picks.position_px, self.ledger.beam_px)]
        pays = float(picks.why.gain.sum()) / self.ledger.expected_s(path)
        if pays >= least:
            return None
        return f"the next batch would put {pays:.3g} pixels right per second, below {least:.3g}"

    def _plan_first_pass(self) -> list[Pixels]:
        """The coarse grid in parts: what is held back is a thin, even sample, queued while the model thinks."""
        budget = self.ledger.affordable_points()
        wanted = self.plan.first_pass_points(budget, self.capabilities.grid.size)
        grid = coarse_grid(self.capabilities.grid.shape_px, wanted)
        later = min(math.ceil((budget - len(grid)) / self.plan.batches), len(grid) // 2)
        held_back = spread_apart(grid, later) if later else np.zeros(len(grid), np.bool_)
        most = self.capabilities.max_points_per_scan
        parts = [grid[~held_back], grid[held_back]]
        return [part[i : i + most] for part in parts for i in range(0, len(part), most)]

    def _batch_size(self) -> int:
        batches_left = max(1, self.plan.batches - self.rounds)
        share = math.ceil(self.ledger.points_left / batches_left)
        return min(share, self.capabilities.max_points_per_scan)

    def _ask(self, propose: ProposalRequest | None) -> ReconstructRequest:
        self._decisions += 1
        return ReconstructRequest(
            section_key=self.run,
            points=self.ledger.points.block(),
            method=self.plan.method,
            n_samples=self.plan.n_samples,
            steps=self.plan.steps,
            seed=(self.plan.seed + self._decisions) % _SEEDS,
            propose=propose,
            want_light=propose is None,
        )

    def _keep_away(self, count: int) -> NDArray[np.bool_]:
        """(h, w) pixels not to propose: not askable, or so near to a queued point that its result may settle them."""
        ledger = self.ledger
        spacing = math.sqrt(ledger.asked.size / max(1, ledger.points_asked))
        near = around(ledger.queued_px(), spacing / 2, self.capabilities.grid.shape_px) | ~ledger.askable
        return near if (~near).sum() >= 4 * count else ~ledger.askable

    def _usable(self, proposals: Proposals | None, count: int) -> _Picks:
        """The best proposals inside the grid, on pixels that may be asked for, each pixel once."""
        if proposals is None:
            return _no_picks()
        picks = _Picks(proposals.position_px, Why.told(proposals))
        shape = self.ledger.asked.shape
        picks = picks.take(np.all((picks.position_px >= 0) & (picks.position_px < shape), axis=1))
        picks = picks.take(np.asarray(self.ledger.askable[tuple(picks.position_px.T)]))
        _, first = np.unique(picks.position_px, axis=0, return_index=True)
        return picks.take(np.sort(first)[:count])

    def _fill(self, picks: _Picks, missing: int) -> _Picks:
        if missing <= 0:
            return _no_picks()
        taken = self.ledger.asked.copy()
        taken[tuple(picks.position_px.T)] = True
        return _plain(space_filling(taken, missing), ProposalReason.SPACE_FILLING)

    def _make(self, picks: _Picks, decided_by: str, elapsed_s: Callable[[], float]) -> Batch | None:
        """A batch along a short path, cut down (worst picks first) to the points and the time that are left."""
        newest_s = max(self.ledger.clock_s, self._decided_s)
        picks = picks.take(slice(self.ledger.points_left))
        while len(picks):
            path = picks.take(short_path(picks.position_px, self.ledger.beam_px))
            decided_s = newest_s + elapsed_s()
            expected, left = self.ledger.expected_s(path.position_px), self.ledger.time_left_s(decided_s)
            if expected <= left:
                self._decided_s = decided_s
                travel = way_lengths(path.position_px, start=self.ledger.beam_px)
                return Batch(self.ledger.order(path.position_px, decided_s), path.why, travel, decided_by)
            picks = picks.take(slice(min(len(picks) - 1, math.floor(len(picks) * max(0.0, left) / expected))))
        return None


def _plain(position_px: Pixels, reason: ProposalReason) -> _Picks:
    return _Picks(position_px, Why.plain(len(position_px), reason))


def _no_picks() -> _Picks:
    return _plain(np.empty((0, 2), np.int32), ProposalReason.SPACE_FILLING)
