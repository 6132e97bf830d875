"""Two runs side by side: the first decision that differs, and which of the things it follows from differs before it.

Runs are given as the entries of their journals; reading those is left to `controller.journal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from controller.journal import entries as of
from controller.replay import first_difference, said_of


@dataclass(frozen=True)
class Apart:
    """Where two runs part.

    Attributes:
        decision: number of the first decision that differs, from 0; None where all decisions are the same.
        field: what of it differs, and how both were decided.
        why: what it follows from and differs before it, one sentence each; empty where nothing of that was recorded.
    """

    decision: int | None
    field: str
    why: tuple[str, ...]


def compare(first: Sequence[Any], second: Sequence[Any]) -> Apart:
    """The first decision in which the journals of two runs differ."""
    why = _beginnings(first, second)
    for number, (one, other) in enumerate(zip_longest(_decisions(first), _decisions(second))):
        if one is None or other is None:
            ended, longer = ("first", second) if one is None else ("second", first)
            there = next(entry for n, entry in enumerate(_decisions(longer)) if n == number)
            return Apart(
                number, f"the {ended} run ends, the other goes on with {said_of(there)}", why + _ends(first, second)
            )
        if (field := _differs(one, other)) is not None:
            said = f"{field}: {said_of(one)}, against {said_of(other)}"
            return Apart(number, said, why + _before(first, second, one, other))
    return Apart(None, "", why)


def _decisions(entries: Iterable[Any]) -> Iterable[of.Decided]:
    return (entry for entry in entries if isinstance(entry, of.Decided))


def _differs(one: of.Decided, other: of.Decided) -> str | None:
    """Names and timing aside: two runs never have the same."""
    plain = {"run": "", "not_before_s": 0.0}
    a, b = (entry.request.model_copy(update=plain) for entry in (one, other))
    none = {"when": {}, "about": {}}
    left, right = one.model_copy(update={"request": a} | none), other.model_copy(update={"request": b} | none)
    return None if left == right else first_difference(left, right)


def _beginnings(first: Sequence[Any], second: Sequence[Any]) -> tuple[str, ...]:
    """What of plan, instrument, software and PL differs."""
    said = list[str]()
    one, other = (next((entry for entry in run if isinstance(entry, of.Began)), None) for run in (first, second))
    if one is not None and other is not None:
        said += _fields("The plans differ in", one.plan, other.plan)
        said += _fields("The instruments differ in", one.capabilities, other.capabilities)
        names = sorted(
            name for name in one.software | other.software if one.software.get(name) != other.software.get(name)
        )
        said += [f"The versions differ of {', '.join(names)}."] if names else []
    light = [next((entry.light for entry in run if isinstance(entry, of.LightStored)), None) for run in (first, second)]
    if light[0] != light[1]:
        said.append("The PL images differ.")
    return tuple(said)


def _fields(words: str, one: Any, other: Any) -> list[str]:
    names = [name for name in type(one).model_fields if getattr(one, name) != getattr(other, name)]
    return [f"{words} {', '.join(names)}."] if names else []


def _before(first: Sequence[Any], second: Sequence[Any], one: of.Decided, other: of.Decided) -> tuple[str, ...]:
    """Which points, answers and timing differ before two decisions."""
    said = list[str]()
    points = [_points_before(run, entry) for run, entry in ((first, one), (second, other))]
    if len(points[0]) != len(points[1]):
        said.append(f"The first run had {len(points[0])} points by then, the second {len(points[1])}.")
    elif points[0] != points[1]:
        said.append("The points measured before it differ.")
    answers = [_answer_to(run, entry.when.get("question")) for run, entry in ((first, one), (second, other))]
    if (answers[0] is None) != (answers[1] is None):
        said.append("The model answered in one of the runs alone.")
    elif answers[0] is not None and answers[1] is not None:
        said += _answers(answers[0], answers[1])
    if one.when.get("over") != other.when.get("over"):
        said.append(
            f"{one.when.get('over')} batches were over in the first run, {other.when.get('over')} in the second."
        )
    return tuple(said)


def _points_before(run: Sequence[Any], decision: of.Decided) -> list[int]:
    """Ids of the points that were stored before a decision, in order."""
    points = list[int]()
    for entry in run:
        if entry is decision:
            break
        if isinstance(entry, of.PointsStored):
            points += entry.points.point_id.tolist()
    return points


def _answer_to(run: Sequence[Any], question: Any) -> of.Answered | None:
    found = (entry for entry in run if isinstance(entry, of.Answered) and entry.question == question)
    return next((entry for entry in found if entry.error is None), None)


def _answers(one: of.Answered, other: of.Answered) -> list[str]:
    if one.proposals != other.proposals:
        return [f"The model proposed other points ({one.method} and {other.method})."]
    if one.predicted_wrong != other.predicted_wrong:
        return [f"The model predicted {one.predicted_wrong:.2%} and {other.predicted_wrong:.2%} of wrong pixels."]
    return []


def _ends(first: Sequence[Any], second: Sequence[Any]) -> tuple[str, ...]:
    ends = [next((entry for entry in run if isinstance(entry, of.Ended)), None) for run in (first, second)]
    said = ["has no end" if end is None else f"has {end.reason}: {end.detail}" for end in ends]
    return (f"The first run {said[0]}; the second {said[1]}.",)
