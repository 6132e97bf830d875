"""What the records of a journal mean: one closed union of frozen entries told apart by `kind`, and their bytes.

An entry holds what the next process needs to go on, and what a replay needs to decide again. Maps of a running loop are
left out: they follow from the points. Arrays are laid out as on the wire (`protocols.frames`), but entries have a
version of their own, that of the file, since journals outlive protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, cast

import numpy as np
from pydantic import Field

from grainloop.controller.journal.corrected import Corrected
from grainloop.controller.journal.gaps import Missing
from grainloop.controller.plans import Terms
from grainloop.protocols.arrays import ByteList, ByteMap, FloatList
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.codec import validator
from grainloop.protocols.messages import (
    Proposals,
    Reconstruction,
    RunEvent,
    ScanDone,
    ScanRequest,
    Sync,
)
from grainloop.protocols.payloads import to_payload, tree_of
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import LightImages, PointBlock, Value

VERSION: Final = 4
"""Of these entries, in the header of each file. Version 3 knows no `refused` points, version 2 no numbers of events
either, version 1 no `Corrected`; `sync`, `answers` and `lost` read as unset there."""


class Began(Value):
    """A run began.

    Attributes:
        sync: when its records are on disk.
        answers: (h, w) how often each pixel could be measured, in a run on the points of another; else nothing.
    """

    kind: Literal["began"] = "began"
    run: str
    created: str
    plan: RunPlan
    capabilities: Capabilities
    software: dict[str, str]
    sync: Sync = Sync.ALWAYS
    answers: ByteMap | None = None

    @property
    def terms(self) -> Terms:
        """What was planned, and the instrument."""
        return Terms(self.plan, self.capabilities)


class Resumed(Value):
    """A controller went on with the run after another one had died.

    Attributes:
        created: when.
        software: its versions.
        sync: when its records are on disk.
    """

    kind: Literal["resumed"] = "resumed"
    created: str
    software: dict[str, str]
    sync: Sync = Sync.ALWAYS


class SoftwareTold(Value):
    """Versions known only when the services have answered."""

    kind: Literal["software"] = "software"
    software: dict[str, str]


class LightStored(Value):
    """PL images as taken."""

    kind: Literal["light"] = "light"
    light: LightImages
    seconds: float


class Started(Value):
    """The first pass was planned; PL took so much of the instrument time."""

    kind: Literal["started"] = "started"
    light_s: float


class QuestionAsked(Value):
    """The model was asked for the next batch; questions are numbered from 1."""

    kind: Literal["asked"] = "asked"
    question: int
    points: int


class Stopped(Value):
    """The decision to measure no more, by the answer to a question."""

    kind: Literal["enough"] = "enough"
    question: int
    why: str


class Decided(Value):
    """A batch was decided; it is sent after this is on disk.

    Attributes:
        request: as sent.
        reason, gain, p_wrong, competing, misorientation_deg, travel_px: one row per point, as in
            `controller.decide.decision`; NaN in `p_wrong`, `misorientation_deg` and `travel_px` where nothing is known.
        decided_by: the policy.
        stop_gap: it gives way to the answer that is late.
        when: what of the decision depends on timing, by the names of `controller.decide.decision.When`.
        about: more of it for people.
    """

    kind: Literal["decided"] = "decided"
    request: ScanRequest
    reason: ByteList
    gain: FloatList
    p_wrong: FloatList
    competing: ByteList
    misorientation_deg: FloatList
    travel_px: FloatList
    decided_by: str
    stop_gap: bool
    when: dict[str, int | float | None]
    about: dict[str, int | float | str | None]


class Refused(Value):
    """Points that cannot be believed, as the instrument told them: evidence, and never a measurement.

    Attributes:
        why: in a sentence.
        points: as they came, whatever their numbers are; of points that were not asked for the first ones.
    """

    why: str
    points: PointBlock


class PointsStored(Value):
    """Points as they came; acknowledged after this is on disk.

    Attributes:
        points: that count; those of them that could not be believed have failed, where they were asked for.
        lost: why they failed, where it is the service that says so: exposed, but their results are lost.
        refused: what could not be believed, as it came.
    """

    kind: Literal["points"] = "points"
    batch: int
    points: PointBlock
    lost: str | None = None
    refused: Refused | None = None

    @property
    def believed(self) -> bool:
        """Whether any of the points counts as it came."""
        ids = self.points.point_id
        return self.refused is None or not np.isin(ids, self.refused.points.point_id).all()


class BatchClosed(Value):
    """How a batch ended; `withdrawn`: it was taken back before it began."""

    kind: Literal["closed"] = "closed"
    batch: int
    asked: int
    points: int
    done: ScanDone | None
    error: str | None
    withdrawn: bool = False


class QuestionAnswered(Value):
    """What a decision took from the answer of the model to a question; without its maps.

    Attributes:
        question: its number, from 1.
        predicted_wrong, method, seconds, proposals: of the answer; nothing where the model gave none.
        error: why it gave none.
    """

    kind: Literal["answered"] = "answered"
    question: int
    predicted_wrong: float | None = None
    method: str = ""
    seconds: float | None = None
    proposals: Proposals | None = None
    error: str | None = None


class Reconstructed(Value):
    """The last reconstruction of a run, maps and all."""

    kind: Literal["reconstructed"] = "reconstructed"
    points: int
    answer: Reconstruction


class EventTold(Value):
    """An event of the run."""

    kind: Literal["event"] = "event"
    event: RunEvent


class Ended(Value):
    """How the run ended."""

    kind: Literal["ended"] = "ended"
    reason: FinishReason
    detail: str


Entry = Annotated[
    Began
    | Resumed
    | SoftwareTold
    | LightStored
    | Started
    | QuestionAsked
    | Corrected
    | Stopped
    | Decided
    | PointsStored
    | BatchClosed
    | QuestionAnswered
    | Reconstructed
    | EventTold
    | Ended,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, eq=False)
class LatestMaps:
    """Maps of an answer within a run, shown and never stored: they follow from the points.

    Attributes:
        question: that was answered.
        points: that they were made from.
        answer: maps and all.
    """

    question: int
    points: int
    answer: Reconstruction


Item = Entry | Missing
"""What is read back: an entry, or the gap where records are lost."""


def lost_words(lost: Sequence[Missing], whose: str = "") -> str:
    """That all these are lost, for the end of a sentence; `whose` journal, where there are several."""
    are = "is" if len(lost) == 1 and lost[0].count == 1 else "are"
    return f"{' and '.join(one.words for one in lost)}{whose} {are} lost"


def entry_bytes(entry: Entry) -> bytes:
    """An entry as the payload of a record."""
    return to_payload(entry)


def read_entry(payload: bytes) -> Entry:
    """The entry in a payload.

    Raises:
        BadMessage: it holds none that this version knows.
    """
    return _validated(tree_of(payload))


_validated: Callable[[object], Entry] = cast("Callable[[object], Entry]", validator(Entry))
