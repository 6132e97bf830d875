"""A model in this process instead of behind a socket, by the name of a method or by a folder of weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from grainloop.model.acquire import DEFAULT_POLICY, POLICIES
from grainloop.model.crystal import LAUE_GROUP_NAMES, laue_group
from grainloop.model.reconstruct import DEFAULT_METHOD as CLASSICAL
from grainloop.model.reconstruct import PLCandidates, Reconstructor, never, no_report
from grainloop.model.service.methods import default_method, methods, weights_sha256
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import Section, prepare
from grainloop.protocols.errors import BadInput, UnknownSection
from grainloop.protocols.messages import (
    CheckHealth,
    CloseSection,
    DescribeModel,
    Health,
    ModelDescription,
    OpenSection,
    ReconstructRequest,
    SectionClosed,
    SectionOpened,
)
from grainloop.protocols.values import Phase
from grainloop.protocols.version import grainloop_version


class ModelHere:
    """Answers as the model service does, by one method, one section at a time.

    Args:
        method: that reconstructs.
        phases: of the instrument.
    """

    def __init__(self, method: Reconstructor, phases: tuple[Phase, ...]) -> None:
        self._method, self._phases = method, phases
        self._section: Section | None = None

    async def request(
        self,
        message: Any,
        *,
        deadline_s: float,  # noqa: ARG002
        on_progress: Callable[[Any], None] | None = None,  # noqa: ARG002
    ) -> Any:
        """See `controller.run.links.Asks`."""
        match message:
            case DescribeModel():
                return self._describe()
            case OpenSection():
                self._section = prepare(message)
                usable = self._section.features is not None
                return SectionOpened(section_key=message.section_key, light_usable=usable, notes=self._section.notes)
            case ReconstructRequest() if self._section is not None:
                return reconstruct(self._section, message, no_report, never, self._method)
            case CloseSection():
                self._section = None
                return SectionClosed(section_key=message.section_key)
            case CheckHealth():
                return Health(service="model", version=grainloop_version(), ok=True)
            case _:
                raise UnknownSection("No section is open.")

    def _describe(self) -> ModelDescription:
        groups = {phase.point_group for phase in self._phases}
        used = ((group, weights_sha256(self._method, group)) for group in sorted(groups))
        return ModelDescription(
            version=grainloop_version(),
            methods=(*methods(), self._method.name),
            default_method=self._method.name,
            policies=tuple(POLICIES),
            default_policy=DEFAULT_POLICY,
            point_groups=LAUE_GROUP_NAMES,
            weights_sha256=tuple((group, sha256) for group, sha256 in used if sha256 is not None),
        )


def model_named(name: str | None, phases: tuple[Phase, ...]) -> Reconstructor:
    """A method by its name, by `classical`, or by a folder or file of trained weights; by default that of the service.

    Raises:
        BadInput: no such method, and no weights for the phases at a path of that name.
    """
    if name is None or name in methods():
        return methods()[name or default_method()]
    if name == "classical":
        return methods()[CLASSICAL]
    if (path := Path(name)).exists():
        return _of_weights(path, {laue_group(phase.point_group).name for phase in phases})
    known = ", ".join((*methods(), "classical"))
    message = f"There is no model '{name}': known are {known}, and a folder or file of trained weights."
    raise BadInput(message, field="model", value=name)


def _of_weights(path: Path, groups: set[str]) -> Reconstructor:
    """The trained method with the weights of a training, of a single file, or of a folder with an index."""
    from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError
    from grainloop.model.diffusion.checkpoints.shipped import Weights, load_shipped, load_weights
    from grainloop.model.diffusion.inference.method import JointGate
    from grainloop.model.diffusion.training.records import BEST
    from grainloop.model.weights import WeightsIndexError, weights_files

    try:
        if path.is_dir() and weights_files(path):
            return JointGate(lambda group: load_shipped(group, path), PLCandidates())
    except WeightsIndexError as error:
        raise BadInput(str(error), field="model", value=path) from error
    file, loaded = path / BEST if path.is_dir() else path, dict[str, Weights]()
    try:
        for group in groups:
            loaded[group] = load_weights(file, group)
    except CheckpointError as error:
        raise BadInput(f"The weights cannot be used: {error}", field="model", value=path) from error
    return JointGate(loaded.__getitem__, PLCandidates())
