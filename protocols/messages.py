"""Every message of grainloop, as closed unions of frozen models told apart by `kind`.

Three services answer requests: the instrument, the model and the controller. A request is answered by any number of
progress messages and then exactly one reply or one error envelope. Envelopes, ids and deadlines belong to
`protocols.rpc`, bytes to `protocols.codec`; nothing here knows of either.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from protocols.arrays import (
    ByteList,
    ByteMap,
    FloatList,
    FloatMap,
    IdList,
    ImageStack,
    LabelMap,
    PixelList,
    QuaternionMap,
)
from protocols.capabilities import Capabilities
from protocols.plan import RunPlan
from protocols.states import FinishReason, RunState
from protocols.values import FramePreset, Grid, LightImages, Phase, PointBlock, Value

PROTOCOL_VERSION = 1
"""Raised whenever a message changes its meaning or its fields."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


# --- every service ---------------------------------------------------------------------------------------------------
class CheckHealth(Value):
    """Ask a service to prove with a tiny real piece of work that it can serve."""

    kind: Literal["check_health"] = "check_health"


class Health(Value):
    """The proof: `ok` means that the work succeeded, not that the process exists."""

    kind: Literal["health"] = "health"
    service: Name
    version: Name
    ok: bool
    detail: str = ""


# --- instrument ------------------------------------------------------------------------------------------------------
class Describe(Value):
    """Ask for the instrument's capabilities."""

    kind: Literal["describe"] = "describe"


class Description(Value):
    """The declared capabilities."""

    kind: Literal["description"] = "description"
    capabilities: Capabilities


class LightRequest(Value):
    """Take PL images of a section; RGB instruments get no angles."""

    kind: Literal["light_request"] = "light_request"
    section: Annotated[int, Field(ge=0)] = 0
    angles_deg: tuple[float, ...] = ()


class LightTaken(Value):
    """The PL images and how long they took on the instrument clock."""

    kind: Literal["light_taken"] = "light_taken"
    section: int
    light: LightImages
    seconds: Seconds


class ScanRequest(Value):
    """Measure these points, in this order.

    Attributes:
        run: names the run, the same after a resume and never used by another run. Within a named run the service
            never exposes a point id twice; without a name it recognises only an identical batch.
        batch: number of the batch within the run; requests are served first come, first served.
        point_id: one id per point, unique within the run.
        position_px: row, column of each point.
        dwell_s: exposure per point.
        not_before_s: instrument-clock time before which this request could not have been decided. A simulator that
            runs faster than real time starts no earlier, so that idle time stays honest; real instruments ignore it.
    """

    kind: Literal["scan_request"] = "scan_request"
    section: Annotated[int, Field(ge=0)] = 0
    run: Annotated[str, Field(max_length=200)] = ""
    batch: Annotated[int, Field(ge=0)]
    point_id: IdList
    position_px: PixelList
    dwell_s: Annotated[float, Field(gt=0)]
    not_before_s: Seconds = 0.0


class PointsMeasured(Value):
    """Progress of a scan: points as they come."""

    kind: Literal["points_measured"] = "points_measured"
    batch: int
    points: PointBlock


class ScanDone(Value):
    """A finished batch.

    Attributes:
        points: how many points the progress messages of this request carried.
        started_s: instrument clock when the batch began.
        finished_s: instrument clock when it ended.
        idle_s: how long the instrument had nothing to do before this batch.
    """

    kind: Literal["scan_done"] = "scan_done"
    batch: int
    points: Annotated[int, Field(ge=0)]
    started_s: Seconds
    finished_s: Seconds
    idle_s: Seconds = 0.0


class Park(Value):
    """Blank the beam and make the instrument safe."""

    kind: Literal["park"] = "park"


class Parked(Value):
    """The beam is blanked."""

    kind: Literal["parked"] = "parked"


# --- model -----------------------------------------------------------------------------------------------------------
class DescribeModel(Value):
    """Ask what the model service can do."""

    kind: Literal["describe_model"] = "describe_model"


class ModelDescription(Value):
    """Methods by name, the default among them, and the policies that can propose points."""

    kind: Literal["model_description"] = "model_description"
    version: Name
    methods: tuple[str, ...]
    default_method: str
    policies: tuple[str, ...]
    default_policy: str
    point_groups: tuple[str, ...]
    weights_sha256: str | None = None


class OpenSection(Value):
    """Hand the model what stays the same during a section, once.

    The service keeps it under `section_key` until it is closed or the memory is needed; then `UnknownSection` is the
    answer to whatever names it, and the caller opens it again.
    """

    kind: Literal["open_section"] = "open_section"
    section_key: Name
    grid: Grid
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    frame: FramePreset = FramePreset.IDENTITY
    light: LightImages | None = None


class SectionOpened(Value):
    """The section is held; `notes` say in plain words what cannot be used and why."""

    kind: Literal["section_opened"] = "section_opened"
    section_key: str
    light_usable: bool
    notes: tuple[str, ...] = ()


class ProposalReason(StrEnum):
    """Why a point is asked for, as an operator reads it."""

    FIRST_PASS = "first_pass"  # noqa: S105
    NEVER_HIT_GRAIN = "never_hit_grain"
    BOUNDARY = "boundary"
    UNCERTAIN = "uncertain"
    REGISTRATION = "registration"
    EXPLORATION = "exploration"
    RETRY = "retry"
    SPACE_FILLING = "space_filling"


REASON_CODES: tuple[ProposalReason, ...] = tuple(ProposalReason)
"""`Proposals.reason` holds indices into this tuple."""


class ProposalRequest(Value):
    """How many points to propose, by which policy.

    Attributes:
        count: at most this many.
        policy: name of a policy of the model service, or nothing for its default.
        exploration_share: share of the picks made regardless of the posterior.
        excluded_px: pixels that must not be proposed beyond those measured (queued, forbidden, dose spent).
    """

    kind: Literal["proposal_request"] = "proposal_request"
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    policy: str | None = None
    exploration_share: Fraction = 0.1
    excluded_px: PixelList


class Proposals(Value):
    """Points worth measuring, best first.

    Attributes:
        position_px: where.
        gain: predicted number of pixels put right by each point (unit: pixels).
        reason: index into `REASON_CODES`.
        policy: the policy that made them.
    """

    kind: Literal["proposals"] = "proposals"
    position_px: PixelList
    gain: FloatList
    reason: ByteList
    policy: str


class ReconstructRequest(Value):
    """Reconstruct the section from everything measured so far.

    Attributes:
        points: all points of the section, in the order of measurement.
        method: name of a method of the model service, or nothing for its default.
        n_samples: posterior samples (or ensemble members).
        steps: sampler steps, where the method has such.
        propose: also propose points.
        want_light: also return the PL features in the EBSD frame.
    """

    kind: Literal["reconstruct_request"] = "reconstruct_request"
    section_key: Name
    points: PointBlock
    method: str | None = None
    n_samples: Annotated[int, Field(ge=1, le=256)] = 8
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    seed: Seed = 0
    propose: ProposalRequest | None = None
    want_light: bool = False


class ReconstructProgress(Value):
    """How far a reconstruction is."""

    kind: Literal["reconstruct_progress"] = "reconstruct_progress"
    fraction: Fraction
    stage: str


class LightDiagnostics(Value):
    """What became of PL, in plain figures.

    Attributes:
        used: whether PL took part.
        explained_variance: share of the PL variance at the measured points that their orientations explain.
        distrusted_share: share of the pixels where PL is given no weight.
        registration_residual_px: estimated rms misregistration left.
        registration_px: rms displacement that the registration took out.
        notes: sentences for the user.
    """

    used: bool
    explained_variance: float | None = None
    distrusted_share: Fraction | None = None
    registration_residual_px: float | None = None
    registration_px: float | None = None
    notes: tuple[str, ...] = ()


class Reconstruction(Value):
    """The section as the model sees it. Inferred everywhere; what was measured stays in the point list.

    Attributes:
        method: the method that made it.
        orientation: (h, w, 4) unit quaternions, crystal → sample.
        phase_id: (h, w); 0 where nothing can be said.
        expected_error_deg: (h, w) expected disorientation from the truth.
        p_wrong: (h, w) probability that the pixel is wrong by more than 5°.
        boundary: (h, w) probability that a grain boundary lies between the pixel and its right or lower neighbour.
        grain: (h, w) grain labels from 1; 0 is no grain.
        predicted_wrong: predicted share of pixels wrong by more than 5°.
        light_features: (c, h, w) PL features in the EBSD frame, if asked for.
        degraded: sentences on whatever was left out or replaced; empty when all went as asked.
    """

    kind: Literal["reconstruction"] = "reconstruction"
    section_key: str
    method: str
    orientation: QuaternionMap
    phase_id: ByteMap
    expected_error_deg: FloatMap
    p_wrong: FloatMap
    boundary: FloatMap
    grain: LabelMap
    predicted_wrong: Fraction
    light: LightDiagnostics
    light_features: ImageStack | None = None
    proposals: Proposals | None = None
    seconds: Seconds
    degraded: tuple[str, ...] = ()


class CloseSection(Value):
    """Forget a section."""

    kind: Literal["close_section"] = "close_section"
    section_key: Name


class SectionClosed(Value):
    """Forgotten."""

    kind: Literal["section_closed"] = "section_closed"
    section_key: str


# --- controller ------------------------------------------------------------------------------------------------------
class RunRequest(Value):
    """Run a plan; progress messages are `RunEvent`s, the reply is `RunFinished`."""

    kind: Literal["run_request"] = "run_request"
    plan: RunPlan
    session_dir: Name


class RunEvent(Value):
    """One thing that happened in a run, numbered without gaps.

    Attributes:
        sequence: 1, 2, 3, …
        state: run state after the event.
        event: what happened, as a word of the journal (`light_taken`, `batch_done`, `reconstructed`, …).
        text: the same as a sentence.
        points_measured: so far.
        points_budget: of at most.
        predicted_wrong: latest predicted share of wrong pixels.
        instrument_s: instrument clock.
    """

    kind: Literal["run_event"] = "run_event"
    sequence: Annotated[int, Field(ge=1)]
    state: RunState
    event: Name
    text: str
    points_measured: Annotated[int, Field(ge=0)]
    points_budget: Annotated[int, Field(ge=0)]
    predicted_wrong: Fraction | None = None
    instrument_s: Seconds = 0.0


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


class GetStatus(Value):
    """Ask where the run stands."""

    kind: Literal["get_status"] = "get_status"


class RunStatus(Value):
    """Where the run stands; `last` is the newest event, if any."""

    kind: Literal["run_status"] = "run_status"
    state: RunState
    last: RunEvent | None = None


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


InstrumentRequest = Annotated[CheckHealth | Describe | LightRequest | ScanRequest | Park, Field(discriminator="kind")]
InstrumentReply = Annotated[
    Health | Description | LightTaken | PointsMeasured | ScanDone | Parked, Field(discriminator="kind")
]
ModelRequest = Annotated[
    CheckHealth | DescribeModel | OpenSection | ReconstructRequest | CloseSection, Field(discriminator="kind")
]
ModelReply = Annotated[
    Health | ModelDescription | SectionOpened | ReconstructProgress | Reconstruction | SectionClosed,
    Field(discriminator="kind"),
]
ControlRequest = Annotated[CheckHealth | RunRequest | GetStatus | Command, Field(discriminator="kind")]
ControlReply = Annotated[Health | RunEvent | RunFinished | RunStatus | Accepted, Field(discriminator="kind")]
