"""When to ping, and when silence means that the peer is gone. Times come from the caller; nothing here waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Heartbeat:
    """How often to ping while something is open, and how much silence to bear.

    The silence is long because a service that computes may hold the interpreter for seconds. A service whose process
    died is noticed at once by its closed connection; silence is for frozen processes and dead hosts.
    """

    interval_s: float = 1.0
    silence_s: float = 10.0


CLIENT_HEARTBEAT = Heartbeat()
"""How a client listens to its service."""

SERVER_HEARTBEAT = Heartbeat(silence_s=30.0)
"""How a service listens to its callers, which often do their own work in the process that holds the socket."""


class Listening:
    """Measures the silence of one peer.

    Silence counts only while this side was awake to hear: after a pause of this process (stopped, suspended, blocked)
    the count starts anew.
    """

    def __init__(self, heartbeat: Heartbeat, now: float) -> None:
        self._heartbeat = heartbeat
        self._heard = self._looked = now
        self._ping_at = now + heartbeat.interval_s

    def heard(self, now: float) -> None:
        """Something came from the peer."""
        self._heard = now

    def look(self, now: float) -> None:
        """Call at every tick, before `lost`."""
        if now - self._looked > self._heartbeat.silence_s / 2:
            self._heard = now
        self._looked = now

    def lost(self, now: float) -> bool:
        """Whether the peer has been silent for too long."""
        return now - self._heard >= self._heartbeat.silence_s

    def silence_s(self, now: float) -> float:
        """How long nothing has come."""
        return now - self._heard

    def ping_due(self, now: float) -> bool:
        """Whether to ping now; then counts the next interval."""
        due = now >= self._ping_at
        if due:
            self._ping_at = now + self._heartbeat.interval_s
        return due

    @property
    def wake_at(self) -> float:
        """When to tick next."""
        return min(self._ping_at, self._heard + self._heartbeat.silence_s)
