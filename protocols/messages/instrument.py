"""Messages of the instrument service: describe, PL images, scans, park."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grainloop.protocols.arrays import IdList, PieceList, PixelList
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.messages.common import CheckHealth, Health, Seconds
from grainloop.protocols.values import LightImages, PointBlock, Value


class Describe(Value):
    """Ask for the instrument's capabilities."""

    kind: Literal["describe"] = "describe"


class Description(Value):
    """The declared capabilities, and what the service does for whoever scans.

    Attributes:
        capabilities: of the instrument.
        dead_man_s: a scan whose callers have been silent for so long is stopped and the beam blanked; 0 for never.
        spools: what was exposed for a named run is known even after the service was started again.
    """

    kind: Literal["description"] = "description"
    capabilities: Capabilities
    dead_man_s: Seconds = 0.0
    spools: bool = False


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
        pieces: which stretches of the list are free points, lines and rectangles, one row each
            (`protocols.shapes.Piece`); without it all are free points.
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
    pieces: PieceList | None = None
    dwell_s: Annotated[float, Field(gt=0)]
    not_before_s: Seconds = 0.0


class Stored(Value):
    """Tell that batches of a named run are stored where they are needed: the service need not keep them any longer.

    Attributes:
        below: every batch of the run and section with a lower number is stored.
    """

    kind: Literal["stored"] = "stored"
    section: Annotated[int, Field(ge=0)] = 0
    run: Annotated[str, Field(min_length=1, max_length=200)]
    below: Annotated[int, Field(ge=0)]


class Forgotten(Value):
    """What became of a `Stored`.

    Attributes:
        batches: that are kept no longer, now or since before; their points are never exposed again in this run.
    """

    kind: Literal["forgotten"] = "forgotten"
    batches: Annotated[int, Field(ge=0)]


class Withdraw(Value):
    """Take a scan back that waits its turn; one that has begun goes on."""

    kind: Literal["withdraw"] = "withdraw"
    section: Annotated[int, Field(ge=0)] = 0
    run: Annotated[str, Field(max_length=200)] = ""
    batch: Annotated[int, Field(ge=0)]


class Withdrawn(Value):
    """What became of a `Withdraw`.

    Attributes:
        withdrawn: the scan had not begun and never will: nothing of it was exposed, and its request ends as cancelled.
            Otherwise it has begun, is over, or is not known, and nothing was changed.
    """

    kind: Literal["withdrawn"] = "withdrawn"
    batch: int
    withdrawn: bool


class PointsMeasured(Value):
    """Progress of a scan: points as they come.

    Attributes:
        lost: why all these points failed, where it is the service that says so: they were exposed, or may have been,
            and their results are lost. They are not exposed again for this request.
    """

    kind: Literal["points_measured"] = "points_measured"
    batch: int
    points: PointBlock
    lost: str | None = None


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


InstrumentRequest = Annotated[
    CheckHealth | Describe | LightRequest | ScanRequest | Stored | Withdraw | Park, Field(discriminator="kind")
]
InstrumentReply = Annotated[
    Health | Description | LightTaken | PointsMeasured | ScanDone | Forgotten | Withdrawn | Parked,
    Field(discriminator="kind"),
]
