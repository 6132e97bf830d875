"""What a run tells programs: updates, numbered without gaps, from which the whole picture of a run can be made.

An update is one record of the journal, told: its number is that of the record plus one, so that it stays the same when
another controller goes on with the run, or a recording is told again. Pixels are those of the specimen, as far as was
known when the update was told; a correction moves them. `protocols.picture` puts updates together; how the picture is
asked for is told in `protocols.messages.snapshots`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import Field, model_validator

from grainloop.protocols.arrays import ByteList, FloatList, IdList, PieceList, PixelList, QuaternionList
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.messages.common import Fraction, Name, Seconds
from grainloop.protocols.messages.events import RunEvent
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import Value

Count = Annotated[int, Field(ge=0)]


def require_equal_lengths(*columns: NDArray[Any]) -> None:
    """Refuse columns of different length, as validators do.

    Raises:
        ValueError: they are.
    """
    if len(lengths := {len(column) for column in columns}) > 1:
        raise ValueError(f"columns of different length: {sorted(lengths)}")


class RunBegan(Value):
    """A run began: the first update of each."""

    kind: Literal["run_began"] = "run_began"
    run: str
    created: str
    plan: RunPlan
    capabilities: Capabilities


class RunWentOn(Value):
    """Another controller goes on with the run, however it had ended."""

    kind: Literal["run_went_on"] = "run_went_on"
    created: str


class PointsCame(Value):
    """Points of a batch, stored; columns of equal length as in `protocols.values.PointBlock`.

    Attributes:
        position_px: where they lie on the specimen; beside the grid they are no part of the map.
        lost: why they failed, where the service says so: exposed, but their results are lost.
    """

    kind: Literal["points_came"] = "points_came"
    batch: Count
    point_id: IdList
    position_px: PixelList
    status: ByteList
    phase_id: ByteList
    orientation: QuaternionList
    lost: str | None = None

    @model_validator(mode="after")
    def _equal_lengths(self) -> PointsCame:
        require_equal_lengths(self.point_id, self.position_px, self.status, self.phase_id, self.orientation)
        return self


class BatchDecided(Value):
    """A batch was decided and is sent; one row per point.

    Attributes:
        round: decision of the model that it belongs to, from 1; 0 for the first pass.
        position_px: pixels of the specimen that it is to show.
        pieces: which stretches of it are lines and rectangles, as in a scan request.
        reason: codes of `protocols.messages.REASON_CODES`.
        gain: predicted number of pixels put right.
        decided_by: the policy.
        stop_gap: it gives way to the answer that is late.
        question: that it answers, from 1; nothing where none was needed.
    """

    kind: Literal["batch_decided"] = "batch_decided"
    batch: Count
    round: Count
    point_id: IdList
    position_px: PixelList
    pieces: PieceList | None = None
    reason: ByteList
    gain: FloatList
    decided_by: str
    stop_gap: bool
    question: Count | None = None


class BatchOver(Value):
    """A batch ended, or was taken back before it began (`withdrawn`)."""

    kind: Literal["batch_over"] = "batch_over"
    batch: Count
    asked: Count
    points: Count
    error: str | None = None
    withdrawn: bool = False


class AnswerCame(Value):
    """The model answered a question, or gave no answer (`error`).

    Attributes:
        points: that the answer was made from.
        maps: what to ask for with `GetMaps`, from the event `reconstructed` of this question on.
    """

    kind: Literal["answer_came"] = "answer_came"
    question: Count
    points: Count
    method: str = ""
    predicted_wrong: Fraction | None = None
    seconds: Seconds | None = None
    error: str | None = None
    maps: str | None = None


class FinalMaps(Value):
    """The last reconstruction of a run was made; `maps` is what to ask for."""

    kind: Literal["final_maps"] = "final_maps"
    points: Count
    method: str
    predicted_wrong: Fraction
    maps: str


class DriftCorrected(Value):
    """A drift of the beam is taken into account from now on.

    Attributes:
        rows_px, columns_px: points lie so much farther down and right than told before,
        from_point: from this id on, those to come among them.
        aimed_from: id of the first point that is asked for with that in mind.
        moved, outside: points that had come and count elsewhere now; of these, beside the grid.
    """

    kind: Literal["drift_corrected"] = "drift_corrected"
    question: Count
    rows_px: int
    columns_px: int
    from_point: Count
    aimed_from: Count
    moved: Count
    outside: Count


class MeasuredEnough(Value):
    """The decision to measure no more, and why."""

    kind: Literal["measured_enough"] = "measured_enough"
    question: Count
    why: str


class RunOver(Value):
    """How the run ended."""

    kind: Literal["run_over"] = "run_over"
    reason: FinishReason
    detail: str


class Noted(Value):
    """A record that changes nothing of the picture; `what` names its kind."""

    kind: Literal["noted"] = "noted"
    what: Name


Fact = Annotated[
    RunBegan
    | RunWentOn
    | PointsCame
    | BatchDecided
    | BatchOver
    | AnswerCame
    | FinalMaps
    | DriftCorrected
    | MeasuredEnough
    | RunEvent
    | RunOver
    | Noted,
    Field(discriminator="kind"),
]


class RunUpdate(Value):
    """One update; `number` is 1, 2, 3, … without gaps. A gap says that the follower was too slow, or came too late."""

    kind: Literal["run_update"] = "run_update"
    number: Annotated[int, Field(ge=1)]
    what: Fact
