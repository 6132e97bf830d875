"""Two runs side by side: the first decision that differs, and which of the things it follows from differs before it.

Decisions are batches, and corrections of a drift. What lost records may have told of is not said to differ. Runs are
given as the entries of their journals, with `Missing` where records are lost; reading those is left to
`controller.journal`, what a decision follows from to `controller.recorded.causes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from grainloop.controller.journal import entries as of
from grainloop.controller.journal import first_difference, said_of
from grainloop.controller.ledger import Correction
from grainloop.controller.recorded.causes import Choice, beginnings, causes, ends, evidence


@dataclass(frozen=True)
class Apart:
    """Where two runs part.

    Attributes:
        decision: number of the first decision that differs, from 0, or of the one before which a drift was corrected
            otherwise; None where all decisions are the same.
        field: what of it differs, and how both were decided.
        why: what it follows from and differs before it, one sentence each; empty where nothing of that was recorded.
        lost: what before it could not be compared since records are lost, one sentence each.
        what: the decision in words.
    """

    decision: int | None
    field: str
    why: tuple[str, ...]
    lost: tuple[str, ...] = ()
    what: str = ""

    @property
    def words(self) -> str:
        """The same in a sentence, but for the reasons."""
        if self.decision is None:
            return f"All decisions{' that both journals hold' if self.lost else ''} are the same."
        those = " of those that both journals hold" if self.lost else ""
        return f"{self.what} is the first{those} that differs; {self.field}."


def compare(first: Sequence[of.Item], second: Sequence[of.Item]) -> Apart:
    """The first decision in which the journals of two runs differ."""
    return _Pair(_Run("first", first), _Run("second", second)).apart()


class _Run:
    """The decisions of a run by their numbers, which are those of the batches, and where records are lost.

    Attributes:
        name: in words.
        entries: of its journal.
        decided: batches.
        corrected: drifts that were corrected between the decision before and this one.
        gaps: lost records, with the decisions behind which and before which they were.
    """

    def __init__(self, name: str, entries: Sequence[of.Item]) -> None:
        self.name, self.entries = name, entries
        self.decided = dict[int, of.Decided]()
        self.corrected = dict[int, list[of.Corrected]]()
        self.gaps = list[tuple[int, float, of.Missing]]()
        newest, gaps = -1, list[of.Missing]()
        for entry in entries:
            match entry:
                case of.Decided():
                    self.gaps += [(newest, entry.request.batch, gap) for gap in gaps]
                    newest, gaps = entry.request.batch, []
                    self.decided[newest] = entry
                case of.Corrected():
                    self.corrected.setdefault(newest + 1, []).append(entry)
                case of.Missing():
                    gaps.append(entry)
                case _:
                    pass
        self.gaps += [(newest, math.inf, gap) for gap in gaps]

    def may_lack(self, number: int) -> list[of.Missing]:
        """Lost records that may have told of a decision."""
        return [gap for behind, before, gap in self.gaps if behind < number < before]

    def may_lack_before(self, number: int) -> list[of.Missing]:
        """Lost records that may have told of a correction right before a decision."""
        return [gap for behind, before, gap in self.gaps if behind < number <= before]

    def lacks_before(self, number: int) -> list[of.Missing]:
        """All records that are lost before a decision."""
        return [gap for behind, _, gap in self.gaps if behind < number]


@dataclass
class _Pair:
    """Two runs, and what of them cannot be compared."""

    first: _Run
    second: _Run
    lost: list[str] = field(default_factory=list[str])

    @property
    def _runs(self) -> tuple[_Run, _Run]:
        return self.first, self.second

    def apart(self) -> Apart:
        """See `compare`."""
        last = max(-1, *self.first.decided, *self.second.decided)
        for number in range(last + 1):
            found = self._correction(number, f"before decision {number}") or self._decision(number)
            if found is not None:
                return found
        if (found := self._correction(last + 1, "behind the last decision")) is not None:
            return found
        return Apart(None, "", beginnings(self.first.entries, self.second.entries), tuple(self.lost))

    def _correction(self, number: int, where: str) -> Apart | None:
        """Whether both corrected the same drift before a decision."""
        told = [run.corrected.get(number, []) for run in self._runs]
        mine, theirs = ([entry.correction for entry in one] for one in told)
        if mine == theirs:
            return None
        what = f"The correction of a drift {where}"
        if self._cannot_tell(what, [(run, run.may_lack_before(number)) for run in self._runs]):
            return None
        one, other = (next(iter(entries), None) for entries in told)
        said = f"the first run corrected {_words(mine)}, the second {_words(theirs)}"
        at = one or self.first.decided.get(number), other or self.second.decided.get(number)
        return self._told(number, what, said, self._causes(*at) + evidence(one, other))

    def _decision(self, number: int) -> Apart | None:
        """Whether both decided the same."""
        one, other = (run.decided.get(number) for run in self._runs)
        if one is not None and other is not None:
            if (differs := _differs(one, other)) is None:
                return None
            said = f"{differs}: {said_of(one)}, against {said_of(other)}"
            return self._told(number, f"Decision {number}", said, self._causes(one, other))
        lacking = [run for run in self._runs if number not in run.decided]
        if self._cannot_tell(f"Decision {number}", [(run, run.may_lack(number)) for run in lacking]):
            return None
        there = next(entry for entry in (one, other) if entry is not None)
        said = f"the {lacking[0].name} run ends, the other goes on with {said_of(there)}"
        why = beginnings(self.first.entries, self.second.entries) + ends(self.first.entries, self.second.entries)
        return self._told(number, f"Decision {number}", said, why)

    def _causes(self, one: Choice | None, other: Choice | None) -> tuple[str, ...]:
        first, second = self.first.entries, self.second.entries
        return beginnings(first, second) + causes(first, second, one, other)

    def _cannot_tell(self, what: str, lost: Sequence[tuple[_Run, list[of.Missing]]]) -> bool:
        """Whether lost records may hold what one of the runs seems to lack; it is noted."""
        words = _lost_words(lost)
        if words:
            self.lost.append(f"{what} cannot be compared: {words}.")
        return bool(words)

    def _told(self, number: int, what: str, said: str, why: tuple[str, ...]) -> Apart:
        words = _lost_words([(run, run.lacks_before(number)) for run in self._runs])
        doubt = (f"Some of this may only seem so, since {words}.",) if words and why else ()
        return Apart(number, said, why + doubt, tuple(self.lost), what)


def _lost_words(lost: Sequence[tuple[_Run, list[of.Missing]]]) -> str:
    return " and ".join(of.lost_words(gaps, f" of the {run.name} run") for run, gaps in lost if gaps)


def _words(corrections: Sequence[Correction]) -> str:
    return " and ".join(one.words for one in corrections) or "none"


def _differs(one: of.Decided, other: of.Decided) -> str | None:
    """Names and timing aside: two runs never have the same."""
    plain = {"run": "", "not_before_s": 0.0}
    a, b = (entry.request.model_copy(update=plain) for entry in (one, other))
    none = {"when": {}, "about": {}}
    left, right = one.model_copy(update={"request": a} | none), other.model_copy(update={"request": b} | none)
    return None if left == right else first_difference(left, right)
