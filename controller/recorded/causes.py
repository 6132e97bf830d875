"""What two decisions of two runs follow from, and what of that differs: plan, instrument, points, answers, timing.

Which decisions those are is found by `controller.recorded.compare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from grainloop.controller.journal import entries as of
from grainloop.protocols.sentences import counted
from grainloop.protocols.values import PointBlock, Value

Choice = of.Decided | of.Corrected


def beginnings(first: Sequence[of.Item], second: Sequence[of.Item]) -> tuple[str, ...]:
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
    lost = any(found is None and _may_lack_light(run) for found, run in zip(light, (first, second), strict=True))
    if light[0] != light[1] and not lost:
        said.append("The PL images differ.")
    return tuple(said)


def _may_lack_light(run: Sequence[of.Item]) -> bool:
    """Whether records are lost before the first decision: PL is stored there."""
    before = takewhile(lambda entry: not isinstance(entry, of.Decided), run)
    return any(isinstance(entry, of.Missing) for entry in before)


def _fields(words: str, one: Value, other: Value) -> list[str]:
    names = [name for name in type(one).model_fields if getattr(one, name) != getattr(other, name)]
    return [f"{words} {', '.join(names)}."] if names else []


def causes(
    first: Sequence[of.Item], second: Sequence[of.Item], one: Choice | None, other: Choice | None
) -> tuple[str, ...]:
    """Which points, answers and timing differ before two decisions, or corrections, or the end where one is None."""
    said = list[str]()
    points = [_points_before(run, entry) for run, entry in ((first, one), (second, other))]
    if len(points[0]) != len(points[1]):
        said.append(f"The first run had {counted(len(points[0]), 'point')} by then, the second {len(points[1])}.")
    elif points[0].point_id.tolist() != points[1].point_id.tolist():
        said.append("The points measured before it differ.")
    elif points[0].orientation.tobytes() != points[1].orientation.tobytes():
        said.append("The orientations measured before it differ.")
    question = _question(one) or _question(other)
    answers = [_answer_to(run, _question(entry) or question) for run, entry in ((first, one), (second, other))]
    if (answers[0] is None) != (answers[1] is None):
        said.append("The model answered in one of the runs alone.")
    elif answers[0] is not None and answers[1] is not None:
        said += _answers(answers[0], answers[1])
    over = [entry.when.get("over") for entry in (one, other) if isinstance(entry, of.Decided)]
    if len(over) == len(points) and over[0] != over[1]:
        batches = counted(int(over[0] or 0), "batch was", "batches were")
        said.append(f"{batches} over in the first run, {over[1]} in the second.")
    return tuple(said)


def evidence(one: of.Corrected | None, other: of.Corrected | None) -> tuple[str, ...]:
    """By what the drift was found that each run corrected, if it corrected one."""
    return tuple(
        f"The {name} run found it by {counted(found.points, 'point')}"
        + (f", {found.clear:.1f} standard errors clear." if found.gain else "; how clearly is lost.")
        for name, found in (("first", one), ("second", other))
        if found is not None
    )


def ends(first: Sequence[of.Item], second: Sequence[of.Item]) -> tuple[str, ...]:
    """How both runs ended."""
    found = [next((entry for entry in run if isinstance(entry, of.Ended)), None) for run in (first, second)]
    said = ["has no end" if end is None else f"has {end.reason}: {end.detail}" for end in found]
    return (f"The first run {said[0]}; the second {said[1]}.",)


def _question(decision: Choice | None) -> int | float | None:
    match decision:
        case of.Corrected():
            return decision.question
        case of.Decided():
            return decision.when.get("question")
        case None:
            return None


def _points_before(run: Sequence[of.Item], decision: Choice | None) -> PointBlock:
    """The points that were stored before a decision, in order."""
    end = next((place for place, entry in enumerate(run) if entry is decision), len(run))
    return PointBlock.concatenate([entry.points for entry in run[:end] if isinstance(entry, of.PointsStored)])


def _answer_to(run: Sequence[of.Item], question: float | None) -> of.QuestionAnswered | None:
    found = (entry for entry in run if isinstance(entry, of.QuestionAnswered) and entry.question == question)
    return next((entry for entry in found if entry.error is None), None)


def _answers(one: of.QuestionAnswered, other: of.QuestionAnswered) -> list[str]:
    if one.proposals != other.proposals:
        return [f"The model proposed other points ({one.method} and {other.method})."]
    if one.predicted_wrong != other.predicted_wrong:
        return [f"The model predicted {one.predicted_wrong:.2%} and {other.predicted_wrong:.2%} of wrong pixels."]
    return []
