"""Deadlines of a reconstruction: refused before there is a map, reported after."""

import pytest

from grainloop.model.reconstruct import no_report
from grainloop.model.service.deadline import Deadline, Watched
from grainloop.protocols.errors import DeadlineExceeded


class Clock:
    def __init__(self):
        self.now_s = 5.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def test_without_a_deadline_time_never_runs_out(clock):
    deadline = Deadline(None, clock)
    clock.now_s = 1e12
    assert not deadline.passed
    Watched(deadline, no_report)(0.5, "map")


def test_before_there_is_a_map_a_late_stage_is_refused(clock):
    stages = []
    watched = Watched(Deadline(2.0, clock), lambda _, stage: stages.append(stage))
    watched(0.0, "candidates")
    clock.now_s += 2.0
    with pytest.raises(DeadlineExceeded, match="work time of 2 s ran out before the stage 'network'"):
        watched(0.3, "network")
    assert stages == ["candidates"]


def test_once_there_is_a_map_late_stages_are_reported_as_ever(clock):
    stages = []
    watched = Watched(Deadline(2.0, clock), lambda _, stage: stages.append(stage))
    assert not watched.out_of_time()
    clock.now_s += 2.0
    watched(0.5, "sample 1")
    assert watched.out_of_time()
    assert stages == ["sample 1"]
