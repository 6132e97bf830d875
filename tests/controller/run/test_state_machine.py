"""Any commands and any faults, in any order: a run moves only as the table says, and loses and doubles nothing.

What is on disk is noted as each record is written, and compared with the files when a run is over.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter

from filelock import FileLock
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    invariant,
    run_state_machine_as_test,
)

from grainloop.controller.journal import entries as of
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.journal.writing import LOCK
from grainloop.controller.record.mending import repair
from grainloop.controller.record.recording import SESSION_NAME
from grainloop.controller.session.reader import load_session
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.states import MOVES, FinishReason, RunState
from tests.controller.fakes import DWELL_S
from tests.controller.noted import Recorded
from tests.controller.operating import AT_LAST_S, AT_ONCE_S, Operated

EXAMPLES, STEPS = 40, 50


class Operating(Operated):
    """Every step counts, and afterwards all this holds."""

    steps = 0

    @invariant()
    def every_move_is_in_the_table(self) -> None:
        Operating.steps += 1
        states: dict[int, RunState] = {}
        for standing, before, trigger, after in self.moves:
            assert MOVES[before].get(trigger) is after
            assert states.get(standing, RunState.IDLE) is before
            states[standing] = after
        run = getattr(self, "control", None) and self.control._run
        if run is not None:
            assert run.standing.state is states.get(id(run.standing), RunState.IDLE)

    @invariant()
    def nothing_is_lost_or_made_up(self) -> None:
        """Points stand in the journal exactly where they were taken from the link; no record says more.

        Those that wait for room are in memory, and the instrument is not told that they are stored; a run that ends
        while they wait fails.
        """
        taken, came = dict[str, set[int]](), dict[str, dict[int, tuple[int, ...]]]()
        for run, block, was_taken in [one for link in self.all_links for one in link.handed]:
            pairs = zip(block.point_id.tolist(), block.position_px.tolist(), strict=True)
            came.setdefault(run, {}).update({point: tuple(position) for point, position in pairs})
            if was_taken:
                taken.setdefault(run, set()).update(block.point_id.tolist())
        for recorded in self.recorded.values():
            points = recorded.points
            if recorded.run not in self.without_room():
                assert taken.get(recorded.run, set()) <= set(points) | self.waiting
            assert points.items() <= came.get(recorded.run, {}).items()
            for run, below in self.instrument.told_stored:
                batches = [r for r in recorded.asked if run == recorded.run and r.batch < below]
                acknowledged = {point for request in batches for point in request.point_id.tolist()}
                assert acknowledged & taken.get(run, set()) <= set(points)

    @invariant()
    def no_budget_is_exceeded(self) -> None:
        if hasattr(self, "instrument"):
            assert max(self.instrument.exposed.values(), default=1) == 1
        for recorded in self.recorded.values():
            if not recorded.entries:
                continue
            plan, asked = recorded.entries[0].plan, recorded.asked
            count = sum(len(request.point_id) for request in asked)
            assert count <= plan.budget.points
            assert plan.budget.exposure_s is None or count * DWELL_S <= plan.budget.exposure_s * (1 + 1e-9)
            times = Counter(tuple(place) for request in asked for place in request.position_px.tolist())
            assert max(times.values(), default=0) <= 1 + plan.repeats
            assert len(recorded.points) <= count

    @invariant()
    def what_is_over_is_whole(self) -> None:
        if self.asking is None or self.going:
            return
        assert self.state in (RunState.FINISHED, RunState.IDLE)
        assert self.latest is not None
        if self.latest.entries:
            self._check_files(self.latest)

    @property
    def waiting(self) -> set[int]:
        """Points of the run that goes on which wait for room."""
        run = self.control._run if hasattr(self, "control") else None
        session = None if run is None else run.standing.session
        waiting = [] if session is None else [e for e in session._waiting if isinstance(e, of.PointsStored)]
        return {point for entry in waiting for point in entry.points.point_id.tolist()}

    def without_room(self) -> set[str]:
        """Runs that failed since there was no room for what came; the instrument keeps that."""
        finished = self.finished
        lost = finished is not None and "points that came since are not stored" in finished.detail
        if lost and self.latest is not None:
            self.failed_without_room.add(self.latest.run)
        return self.failed_without_room

    def _check_files(self, recorded: Recorded) -> None:
        """Files of a run that is over: closed, and as they were noted; decided again they say the same."""
        FileLock(recorded.folder / LOCK).acquire(timeout=0).lock.release()
        found = read_journal(recorded.folder)
        assert not found.damage
        assert [of.entry_bytes(e) for e in found.entries] == [of.entry_bytes(e) for e in recorded.entries]
        again = replay(found.entries)
        assert again.difference is None, str(again.difference)
        if self.finished is None:
            return
        assert self.finished.points_measured <= len(recorded.points)
        if self.finished.reason is FinishReason.FAILED:  # perhaps since the session file could not be written
            return
        if self.view_may_be_lost:
            full, self.full = self.full, ""
            repair(recorded.folder, recorded.folder.with_name(SESSION_NAME))
            self.full = full
        session = load_session(recorded.folder.with_name(SESSION_NAME))
        assert set(session.points.point_id.tolist()) == set(recorded.points)
        assert session.finish_reason == recorded.ended
        assert recorded.ended in ("", self.finished.reason) or self.finished.reason is FinishReason.ABORTED

    def teardown(self) -> None:
        """Without faults, every run that goes on can be aborted, and leaves nothing behind."""
        try:
            if hasattr(self, "control"):
                self._end()
        finally:
            self.patches.close()
            self.loop.close()
            shutil.rmtree(self.home)

    def _end(self) -> None:
        if self.going:
            self.abort()
        self._pass(AT_ONCE_S)
        assert not self.going
        assert self.asking is None or self.state is RunState.FINISHED
        self.what_is_over_is_whole()
        self.nothing_is_lost_or_made_up()
        self._pass(AT_LAST_S)
        for following in self.following:
            assert following.done()
            assert following.exception() is None or isinstance(following.exception(), GrainloopError)
        assert not asyncio.all_tasks(self.loop), asyncio.all_tasks(self.loop)


def test_a_run_under_any_commands_and_faults() -> None:
    before = Operating.steps
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Operating, settings=profile)
    assert Operating.steps - before >= 1000
