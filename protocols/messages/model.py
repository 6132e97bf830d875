"""Messages of the model service: sections, reconstructions, proposals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from grainloop.protocols.arrays import (
    ByteMap,
    FloatMap,
    ImageStack,
    LabelMap,
    QuaternionMap,
)
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.messages.common import CheckHealth, Fraction, Health, Name, Seconds, Seed
from grainloop.protocols.messages.proposals import ProposalRequest, Proposals
from grainloop.protocols.values import FramePreset, Grid, LightImages, Phase, PointBlock, Value


class DescribeModel(Value):
    """Ask what the model service can do."""

    kind: Literal["describe_model"] = "describe_model"


class ModelDescription(Value):
    """Methods by name, the default among them, and the policies that can propose points.

    Attributes:
        weights_sha256: (point group, SHA-256) of each file of trained weights that ships with the service.
    """

    kind: Literal["model_description"] = "model_description"
    version: Name
    methods: tuple[str, ...]
    default_method: str
    policies: tuple[str, ...]
    default_policy: str
    point_groups: tuple[str, ...]
    weights_sha256: tuple[tuple[str, str], ...] = ()


class Expected(Value):
    """What a run will ask for.

    Attributes:
        method: by name, or the default of the service.
        policy: by name, or the default of the service.
        means: what the instrument is asked for, where that is more than free points.
    """

    method: str | None = None
    policy: str | None = None
    means: ScanMeans | None = None


class OpenSection(Value):
    """Hand the model what stays the same during a section, once.

    With `expects` the answer comes when the service is ready for that, its kernels compiled and its weights loaded; so
    it is asked for before the first scan. The service keeps the section under `section_key` until it is closed or the
    memory is needed; then `UnknownSection` is the answer to whatever names it, and the caller opens it again. A section
    that would not fit into the memory of the service even alone is refused at once (`OutOfLimits`).
    """

    kind: Literal["open_section"] = "open_section"
    section_key: Name
    grid: Grid
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    frame: FramePreset = FramePreset.IDENTITY
    light: LightImages | None = None
    expects: Expected | None = None


class SectionOpened(Value):
    """The section is held; `notes` say in plain words what cannot be used and why."""

    kind: Literal["section_opened"] = "section_opened"
    section_key: str
    light_usable: bool
    notes: tuple[str, ...] = ()


class PriorMap(Value):
    """A neighbouring section, reconstructed earlier and placed on the scan grid of this one: what to expect here.

    Attributes:
        orientation: (h, w, 4) unit quaternions, crystal → sample, in the Euler frame that this section declares.
        phase_id: (h, w); 0 where it says nothing.
        spacing_um: distance between the two sections.
    """

    orientation: QuaternionMap
    phase_id: ByteMap
    spacing_um: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _one_shape(self) -> PriorMap:
        orientations, phases = self.orientation.shape[:2], self.phase_id.shape
        if orientations != phases:
            raise ValueError(f"orientation of {orientations} px, but phase_id of {phases} px")
        return self


class ReconstructRequest(Value):
    """Reconstruct the section from everything measured so far.

    Attributes:
        points: all points of the section, in the order of measurement.
        method: name of a method of the model service, or nothing for its default.
        n_samples: posterior samples to draw; with 0 the map is read from one evaluation of the model.
        steps: sampler steps of each sample, where the method has such.
        deadline_s: work time from the moment at which the turn of this request has come. When it runs out while samples
            are drawn, the answer holds what there is and `degraded` says so; before there is a map it is
            `DeadlineExceeded`.
        prior: a neighbouring section, if there is one.
        propose: also propose points.
        want_light: also return the PL features in the EBSD frame.
        want_denoised: also return the map and PL with their noise taken out, where the method can.
    """

    kind: Literal["reconstruct_request"] = "reconstruct_request"
    section_key: Name
    points: PointBlock
    method: str | None = None
    n_samples: Annotated[int, Field(ge=0, le=256)] = 0
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    seed: Seed = 0
    deadline_s: Seconds | None = None
    prior: PriorMap | None = None
    propose: ProposalRequest | None = None
    want_light: bool = False
    want_denoised: bool = False


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
        bound90_deg: (h, w) angle that the error stays below with probability 0.9; 180 where nothing can be said.
        p_wrong: (h, w) probability that the pixel is wrong by more than 5°.
        boundary: (h, w) probability that a grain boundary lies between the pixel and its right or lower neighbour.
        grain: (h, w) grain labels from 1; 0 is no grain.
        predicted_wrong: predicted share of pixels wrong by more than 5°.
        denoised: (h, w, 4) the map with the noise of measured orientations taken out too, if asked for.
        light_features: (c, h, w) PL features in the EBSD frame, if asked for.
        light_denoised: (c, h, w) the same with noise and blemishes taken out, if asked for; NaN where another phase
            lies than the one that PL was registered by.
        samples: posterior samples drawn.
        steps: sampler steps of each as asked for, or nothing where the method chose or none were drawn.
        weights_sha256: of the trained weights that made the map, or nothing where none did; with several phases of the
            phase that covers most pixels.
        degraded: sentences on whatever was left out or replaced; empty when all went as asked.
    """

    kind: Literal["reconstruction"] = "reconstruction"
    section_key: str
    method: str
    orientation: QuaternionMap
    phase_id: ByteMap
    expected_error_deg: FloatMap
    bound90_deg: FloatMap
    p_wrong: FloatMap
    boundary: FloatMap
    grain: LabelMap
    predicted_wrong: Fraction
    light: LightDiagnostics
    denoised: QuaternionMap | None = None
    light_features: ImageStack | None = None
    light_denoised: ImageStack | None = None
    proposals: Proposals | None = None
    samples: Annotated[int, Field(ge=0)] = 0
    steps: int | None = None
    weights_sha256: str | None = None
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


ModelRequest = Annotated[
    CheckHealth | DescribeModel | OpenSection | ReconstructRequest | CloseSection, Field(discriminator="kind")
]


ModelReply = Annotated[
    Health | ModelDescription | SectionOpened | ReconstructProgress | Reconstruction | SectionClosed,
    Field(discriminator="kind"),
]
