"""Messages of the controller: runs, and the operator's four words. What runs tell: `protocols.messages.events`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from grainloop.protocols.messages.common import CheckHealth, Health, Name, Seconds
from grainloop.protocols.messages.events import RunEvent
from grainloop.protocols.messages.snapshots import GetMaps, GetPoints, GetSnapshot, PointsPage, RunMaps, RunSnapshot
from grainloop.protocols.messages.updates import RunUpdate
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.states import FinishReason, RunState
from grainloop.protocols.values import Value


class RunRequest(Value):
    """Run a plan; progress messages are `RunEvent`s, the reply is `RunFinished`."""

    kind: Literal["run_request"] = "run_request"
    plan: RunPlan
    session_dir: Name


class ResumeRequest(Value):
    """Go on with a recorded run whose controller died; answered as a `RunRequest`."""

    kind: Literal["resume_request"] = "resume_request"
    session_dir: Name


class RunFinished(Value):
    """How a run ended and what it cost."""

    kind: Literal["run_finished"] = "run_finished"
    reason: FinishReason
    detail: str
    session_file: str
    points_measured: Annotated[int, Field(ge=0)]
    rounds: Annotated[int, Field(ge=0)]
    instrument_s: Seconds
    idle_s: Seconds
    wall_s: Seconds


class Sync(StrEnum):
    """When what a run records must be on disk."""

    ALWAYS = "always"
    """Before it counts: it survives the death of the machine."""
    NEVER = "never"
    """Whenever the operating system likes: it survives the death of any process, not that of the machine."""


class GetStatus(Value):
    """Ask where the run stands."""

    kind: Literal["get_status"] = "get_status"


class FollowRun(Value):
    """Listen to the run that goes on, or to the last one; the reply is `RunFinished`.

    Attributes:
        after: begin with the event after this number, as far back as they are kept; without it with the newest one,
            which tells where the run stands. A gap in the numbers says that events in between are gone.
        updates: be told `RunUpdate`s instead of `RunEvent`s; `after` is then the number of an update, that of a
            snapshot for instance, and without it those are told that come from now on.
        run: refuse where it is another run by now.
    """

    kind: Literal["follow_run"] = "follow_run"
    after: Annotated[int, Field(ge=0)] | None = None
    updates: bool = False
    run: Name | None = None


class RunStatus(Value):
    """Where the run stands.

    Attributes:
        state: of the run.
        last: the newest event, if any.
        sync: when records of a run of this controller are on disk.
        session: folder where the run is stored, on the machine of the controller; nothing before the first run.
    """

    kind: Literal["run_status"] = "run_status"
    state: RunState
    last: RunEvent | None = None
    sync: Sync = Sync.ALWAYS
    session: str | None = None


class RunCommand(StrEnum):
    """The four words an operator can say to a run."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    ABORT = "abort"


class Command(Value):
    """Say one of them."""

    kind: Literal["command"] = "command"
    command: RunCommand


class Accepted(Value):
    """The command was legal; `state` is the state it led to."""

    kind: Literal["accepted"] = "accepted"
    state: RunState


ControlRequest = Annotated[
    CheckHealth | RunRequest | ResumeRequest | FollowRun | GetStatus | GetSnapshot | GetPoints | GetMaps | Command,
    Field(discriminator="kind"),
]
ControlReply = Annotated[
    Health | RunEvent | RunUpdate | RunFinished | RunStatus | RunSnapshot | PointsPage | RunMaps | Accepted,
    Field(discriminator="kind"),
]
