"""Endpoints for services of one's own: free, and not given twice."""

from __future__ import annotations

import socket

import pytest

from grainloop.cli.serve import processes
from grainloop.cli.serve.processes import free_endpoints
from grainloop.protocols.errors import Unavailable


def ports_of(endpoints: list[str]) -> list[int]:
    return [int(one.removeprefix("tcp://127.0.0.1:")) for one in endpoints]


def test_no_port_comes_twice_and_none_that_the_system_hands_out() -> None:
    """A service that has not started yet, or has just died, would find its port taken."""
    given = ports_of([*free_endpoints(50), *free_endpoints(50)])
    assert len(set(given)) == 100
    assert all(10_000 <= port < 32_768 for port in given)


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    free, taken = ports_of(free_endpoints(2))
    with socket.create_server(("127.0.0.1", taken)):
        monkeypatch.setattr(processes, "_walk", iter([taken, free]))
        assert ports_of(free_endpoints(1)) == [free]


def test_too_few_free_ports_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (only,) = ports_of(free_endpoints(1))
    monkeypatch.setattr(processes, "_walk", iter([only]))
    with pytest.raises(Unavailable, match=r"Not 2 of the ports 10000 to 32767 .* 1 are free"):
        free_endpoints(2)
