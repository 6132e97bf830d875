"""What crosses a process boundary: messages, codec, request/reply core, thin shells, and the driver interface.

The names below are the public ones; the messages themselves are in `protocols.messages`.
"""

from grainloop.protocols.aio import Call, Client, Handler, Service, run
from grainloop.protocols.capabilities import Capabilities, LightCapabilities, ScanMeans, ScanTiming, ShapeLimits
from grainloop.protocols.codec import decode, encode
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.driver_service import DriverService, load_driver
from grainloop.protocols.endpoints import CONTROLLER_ENDPOINT, INSTRUMENT_ENDPOINT, MODEL_ENDPOINT
from grainloop.protocols.errors import (
    BadInput,
    BadMessage,
    Busy,
    Cancelled,
    DeadlineExceeded,
    DeviceFailed,
    ErrorCode,
    ErrorEnvelope,
    GrainloopError,
    IllegalState,
    NotPermitted,
    OutOfLimits,
    RemoteError,
    TooLarge,
    Unavailable,
    UnknownKind,
    UnknownSection,
    VersionMismatch,
)
from grainloop.protocols.messages import (
    PROTOCOL_VERSION,
    ControlReply,
    ControlRequest,
    InstrumentReply,
    InstrumentRequest,
    LightRequest,
    ModelReply,
    ModelRequest,
    ScanRequest,
)
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.rpc import Heartbeat
from grainloop.protocols.shapes import Piece, ScanShape, decode_pieces, parts
from grainloop.protocols.states import MOVES, FinishReason, RunState, Trigger, move
from grainloop.protocols.values import (
    FramePreset,
    Grid,
    HexagonalAxis,
    LightImages,
    LightKind,
    Phase,
    PointBlock,
    PointStatus,
    Value,
)
from grainloop.protocols.version import grainloop_version

__all__ = [
    "CONTROLLER_ENDPOINT",
    "INSTRUMENT_ENDPOINT",
    "MODEL_ENDPOINT",
    "MOVES",
    "PROTOCOL_VERSION",
    "BadInput",
    "BadMessage",
    "Budget",
    "Busy",
    "Call",
    "Cancelled",
    "Capabilities",
    "Client",
    "ControlReply",
    "ControlRequest",
    "DeadlineExceeded",
    "DeviceFailed",
    "DriverService",
    "ErrorCode",
    "ErrorEnvelope",
    "FinishReason",
    "FramePreset",
    "GrainloopError",
    "Grid",
    "Handler",
    "Heartbeat",
    "HexagonalAxis",
    "IllegalState",
    "InstrumentDriver",
    "InstrumentReply",
    "InstrumentRequest",
    "LightCapabilities",
    "LightImages",
    "LightKind",
    "LightRequest",
    "ModelReply",
    "ModelRequest",
    "NotPermitted",
    "OutOfLimits",
    "Phase",
    "Piece",
    "PointBlock",
    "PointStatus",
    "RemoteError",
    "RunPlan",
    "RunState",
    "ScanMeans",
    "ScanRequest",
    "ScanShape",
    "ScanTiming",
    "Service",
    "ShapeLimits",
    "TooLarge",
    "Trigger",
    "Unavailable",
    "UnknownKind",
    "UnknownSection",
    "Value",
    "VersionMismatch",
    "decode",
    "decode_pieces",
    "encode",
    "grainloop_version",
    "load_driver",
    "move",
    "parts",
    "run",
]
