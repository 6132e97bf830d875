"""How many messages a caller may send: a token bucket each. Times come from the caller; nothing here waits."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True)
class Rate:
    """Messages that one caller may send.

    Attributes:
        per_s: for ever.
        burst: at once, after a pause.
    """

    per_s: float = 1000.0
    burst: float = 2000.0


class Verdict(Enum):
    """What to do with a message."""

    TAKE = "take"
    REFUSE = "refuse"
    """Too many: say so."""
    IGNORE = "ignore"
    """So many that even saying so would be too much work."""


@dataclass(slots=True)
class _Bucket:
    messages: float
    refusals: float
    at: float


@dataclass
class Buckets:
    """Two buckets per caller: of messages, and of refusals, which cost work too.

    The callers not heard for longest are forgotten beyond `remember`.
    """

    rate: Rate = field(default_factory=Rate)
    remember: int = 1024
    _buckets: OrderedDict[object, _Bucket] = field(default_factory=OrderedDict[object, _Bucket])

    def take(self, who: object, now: float) -> Verdict:
        """Judge one message of `who`."""
        bucket = self._bucket(who, now)
        if bucket.messages >= 1:
            bucket.messages -= 1
            return Verdict.TAKE
        if bucket.refusals >= 1:
            bucket.refusals -= 1
            return Verdict.REFUSE
        return Verdict.IGNORE

    def _bucket(self, who: object, now: float) -> _Bucket:
        full = self.rate.burst
        bucket = self._buckets.setdefault(who, _Bucket(full, full, now))
        self._buckets.move_to_end(who)
        if len(self._buckets) > self.remember:
            self._buckets.popitem(last=False)
        gained = (now - bucket.at) * self.rate.per_s
        bucket.messages, bucket.refusals = min(bucket.messages + gained, full), min(bucket.refusals + gained, full)
        bucket.at = now
        return bucket
