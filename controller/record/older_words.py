"""What an event of a journal of version 2 says of a correction of a drift, in words alone; later ones hold the numbers.

The words say how far, how many points moved, and how many of them lie beside the grid; which these are follows from the
points before. By how much more of them agreed they do not say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from grainloop.controller.journal import Corrected, Item, Replayed, replay
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import EventKind, RunEvent
from grainloop.protocols.states import RunState


@dataclass(frozen=True)
class Told:
    """What the words of a correction say.

    Attributes:
        whole_px, found_px: the shift in rows and columns, as it was corrected and as it was found.
        points: that told.
        moved, outside: points that count elsewhere since, and those of them beside the grid.
    """

    whole_px: tuple[int, int]
    found_px: tuple[float, float]
    points: int
    moved: int
    outside: int


_WAY: Final = r"([\d.]+) px (down|up) and ([\d.]+) px (right|left)"
_WORDS: Final = re.compile(
    rf"the newest (\d+) points agree best with the map {_WAY} of where they are said to be\. "
    rf"(\d+) points count {_WAY} of there(?:; (\d+) of these are beside the grid then)?, and the beam is aimed by that"
)


def told_in_words(event: RunEvent) -> Told | None:
    """What an event says; nothing where it tells of no correction."""
    if event.event != EventKind.DRIFT or (said := _WORDS.search(event.text)) is None:
        return None
    points, *found, moved, down, down_word, right, right_word, outside = said.groups()
    rows_px, columns_px = _way(*found)
    whole = _way(down, down_word, right, right_word)
    return Told((round(whole[0]), round(whole[1])), (rows_px, columns_px), int(points), int(moved), int(outside or 0))


def _way(down: str, down_word: str, right: str, right_word: str) -> tuple[float, float]:
    return float(down) * (1 if down_word == "down" else -1), float(right) * (1 if right_word == "right" else -1)


def made_of_words(before: Sequence[Item], event: RunEvent) -> Corrected | None:
    """The correction that an event tells of; nothing where the points `before` do not fit its words."""
    told = told_in_words(event)
    try:
        found = replay(before)
    except BadInput:
        return None
    if told is None or found.difference is not None or found.unknown or found.notes:
        return None
    asked_finally = event.state is not RunState.RUNNING  # the last question is not in the journal
    return _fitting(told, found, found.decider.questions + asked_finally)


def _fitting(told: Told, found: Replayed, question: int) -> Corrected | None:
    ledger = found.decider.ledger
    ids = np.sort(np.concatenate([ledger.points.block().point_id, ledger.outside.block().point_id]))
    if not 0 < told.moved <= len(ids):
        return None
    from_point = int(ids[-told.moved])
    moved = ledger.correct(*told.whole_px, from_point)
    if (moved.points, moved.outside) != (told.moved, told.outside):
        return None
    return Corrected(
        question=question,
        rows_px=told.whole_px[0],
        columns_px=told.whole_px[1],
        from_point=from_point,
        aimed_from=moved.aimed_from,
        moved=moved.points,
        outside=moved.outside,
        again=moved.again,
        points=told.points,
        gain=0.0,
        clear=0.0,
        found_px=told.found_px,
    )
