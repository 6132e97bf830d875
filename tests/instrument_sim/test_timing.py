"""The simulated clock: it waits as long as it says, and stands still between requests."""

import math

import pytest

from grainloop.instrument_sim.timing import SimulatedClock


class FakeWall:
    """A wall clock that only moves when someone waits for it."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def attach(self, clock, interrupt_at=math.inf):
        event = clock._interrupted
        waited = []

        def wait(seconds):
            waited.append(seconds)
            self.now = min(self.now + seconds, interrupt_at)
            if self.now >= interrupt_at:
                event.set()
            return event.is_set()

        event.wait = wait
        return waited


def test_infinite_speed_up_never_waits():
    wall = FakeWall()
    clock = SimulatedClock(math.inf, wall)
    waited = wall.attach(clock)
    assert clock.begin() == 0
    assert clock.advance_to(1e6)
    assert clock.now_s == 1e6
    assert waited == []


@pytest.mark.parametrize("speed_up", [0.5, 1.0, 60.0])
def test_waiting_is_instrument_time_divided_by_the_speed_up(speed_up):
    wall = FakeWall()
    clock = SimulatedClock(speed_up, wall)
    wall.attach(clock)
    clock.begin()
    for stop in (3.0, 7.0, 30.0):
        assert clock.advance_to(stop)
        assert clock.now_s == pytest.approx(stop)
        assert wall.now - 100 == pytest.approx(stop / speed_up)


def test_a_request_starts_no_earlier_than_it_could_have_been_decided():
    wall = FakeWall()
    clock = SimulatedClock(1.0, wall)
    waited = wall.attach(clock)
    clock.begin()
    clock.advance_to(5.0)
    assert clock.begin(not_before_s=4.0) == 5.0
    assert clock.begin(not_before_s=9.0) == 9.0
    assert sum(waited) == pytest.approx(5.0), "the time of deciding has passed already and is not waited for"


def test_the_clock_stands_still_between_requests():
    wall = FakeWall()
    clock = SimulatedClock(1.0, wall)
    wall.attach(clock)
    clock.begin()
    clock.advance_to(2.0)
    wall.now += 1000
    assert clock.begin() == 2.0
    clock.advance_to(3.0)
    assert wall.now == pytest.approx(100 + 2 + 1000 + 1)


def test_interrupted_clock_stops_where_it_stands_and_resumes():
    wall = FakeWall()
    clock = SimulatedClock(2.0, wall)
    wall.attach(clock, interrupt_at=103.0)
    clock.begin()
    assert not clock.advance_to(50.0)
    assert clock.now_s == pytest.approx(6.0)
    assert not clock.advance_to(51.0), "stays interrupted until the next request"
    assert clock.begin() == pytest.approx(6.0)


@pytest.mark.parametrize("speed_up", [0.0, -1.0, math.nan])
def test_senseless_speed_up_is_refused(speed_up):
    with pytest.raises(ValueError, match="speed_up"):
        SimulatedClock(speed_up)
