"""Reading `session.h5` back into values; works on the file of a run that was killed as well.

Writing it is the business of `controller.session.writer`; its layout is told in `controller.session.layout`.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.geometry import inside
from grainloop.controller.journal import Corrected, known_reasons
from grainloop.controller.ledger import Correction, aimed_offsets, measured_offsets
from grainloop.controller.plans import Terms
from grainloop.controller.session.layout import FORMAT, FORMAT_VERSION, INFERRED_MAPS
from grainloop.controller.session.opening import open_hdf5, reason_of
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import LightDiagnostics, RunEvent, Sync
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.values import LightImages, LightKind, PointBlock

Node = Any
"""A file, group or dataset: h5py types them only in part."""


@dataclass(frozen=True)
class Requested:
    """The points asked for, as columns of equal length N: id, (row, column), batch, and why (`decide.decision`).

    Attributes:
        travel_px: way of the beam from the point before; NaN for the first point of a run. It and the columns before it
            are None in a file of an older version.
    """

    point_id: NDArray[np.int64]
    position_px: NDArray[np.int32]
    batch: NDArray[np.int32]
    reason: NDArray[np.uint8]
    gain: NDArray[np.float32]
    p_wrong: NDArray[np.float32] | None = None
    competing: NDArray[np.uint8] | None = None
    misorientation_deg: NDArray[np.float32] | None = None
    travel_px: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Inferred:
    """The maps of one reconstruction; fields as in `protocols.messages.Reconstruction`.

    Attributes:
        bound90_deg: None in a file of an older version.
    """

    orientation: NDArray[np.float32]
    phase_id: NDArray[np.uint8]
    expected_error_deg: NDArray[np.float32]
    bound90_deg: NDArray[np.float32] | None
    p_wrong: NDArray[np.float32]
    boundary: NDArray[np.float32]
    grain: NDArray[np.int32]
    light_features: NDArray[np.float32] | None
    light: LightDiagnostics
    method: str
    predicted_wrong: float
    points: int
    degraded: tuple[str, ...]


@dataclass(frozen=True)
class Session:
    """A session file in memory.

    Attributes:
        terms: what was planned, and the instrument.
        points: every acknowledged point on the grid, in the order of arrival, where it lies on the specimen.
        batch: (N,) the batch of each point.
        offset_px: (N, 2) pixels from where the instrument said that it measured each point to where it counts.
        outside: acknowledged points that count beside the grid, where the instrument said that it measured them.
        requested: what was asked for and not withdrawn, with reasons and gains, where it was meant to be.
        corrections: drifts of the beam taken into account.
        batches: one record per batch that was closed or withdrawn.
        decisions: one record per decision, those of batches that were withdrawn among them.
        latest: the newest reconstruction of a running loop, if any.
        final: the one made when everything was measured, if any.
        finish_reason: empty while running, or after a crash.
        journal_sync: when records of the journal were on disk.
        light_s: instrument time that the PL images took, if there are any.
    """

    path: Path
    terms: Terms
    software: dict[str, str]
    created: str
    light: LightImages | None
    points: PointBlock
    batch: NDArray[np.int32]
    offset_px: NDArray[np.int32]
    outside: PointBlock
    requested: Requested
    corrections: tuple[Corrected, ...]
    batches: tuple[dict[str, Any], ...]
    decisions: tuple[dict[str, Any], ...]
    events: tuple[RunEvent, ...]
    latest: Inferred | None
    final: Inferred | None
    finish_reason: str
    finish_detail: str
    journal_sync: Sync = Sync.ALWAYS
    light_s: float | None = None

    @property
    def plan(self) -> RunPlan:
        """What was to be measured, and how to decide."""
        return self.terms.plan

    @property
    def capabilities(self) -> Capabilities:
        """What the instrument declared."""
        return self.terms.capabilities

    @property
    def result(self) -> Inferred | None:
        """The best reconstruction in the file."""
        return self.final or self.latest


def load_session(path: Path) -> Session:
    """Read a session file.

    Raises:
        BadInput: no such file, no HDF5, no session, of a newer format, or damaged.
    """
    with opened_session(path) as file:
        return _read(file, path)


@contextmanager
def opened_session(path: Path) -> Generator[Node]:
    """A session file of a format that is known, to be read.

    Raises:
        BadInput: as `load_session`; what is read while it is open is told so too.
    """
    with _told(path), open_hdf5(path) as file:
        _check_format(file, path)
        yield file


_AS_LIBRARIES_HAVE_IT = (AttributeError, MemoryError, RecursionError, RuntimeError, TypeError, ValueError)
"""What h5py, json and pydantic raise for a file that is damaged."""


@contextmanager
def _told(path: Path) -> Generator[None]:
    """Tell what is wrong with a session file in a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise BadInput(f"There is no session file {path}.", field="session", value=path) from error
    except OSError as error:
        message = f"The session file {path} cannot be read as HDF5: {reason_of(error)}."
        raise BadInput(message, field="session", value=path) from error
    except KeyError as error:
        message = f"The session file {path} is incomplete: {error.args[0]}."
        raise BadInput(message, field="session", value=path) from error
    except _AS_LIBRARIES_HAVE_IT as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else reason_of(error)
        message = f"The session file {path} is damaged ({reason}); 'grainloop repair' makes it again from the journal."
        raise BadInput(message, field="session", value=path) from error


def _check_format(file: Node, path: Path) -> None:
    if file.attrs.get("format") != FORMAT:
        raise BadInput(f"{path} is HDF5, but not a grainloop session.", field="session", value=path)
    if (found := int(file.attrs["format_version"])) > FORMAT_VERSION:
        message = f"{path} is a session of format {found}; this grainloop reads up to format {FORMAT_VERSION}."
        raise BadInput(message, field="format_version", value=found)


def _read(file: Node, path: Path) -> Session:
    rows = _rows(file["corrections"]) if "corrections" in file else []
    told = tuple(Corrected.model_validate_json(row) for row in rows)
    corrections = [one.correction for one in told]
    capabilities = Capabilities.model_validate_json(_text(file["capabilities"]))
    said, batch = read_points(file["measured"])
    offset_px = measured_offsets(corrections, said.point_id)
    kept = inside(said.position_px + offset_px, capabilities.grid.shape_px)
    placed = said.model_copy(update={"position_px": said.position_px + offset_px})
    batches = tuple(json.loads(row) for row in _rows(file["batches"]))
    return Session(
        path=path,
        terms=Terms(RunPlan.model_validate_json(_text(file["plan"])), capabilities),
        software=json.loads(_text(file["software"])),
        created=str(file.attrs["created"]),
        light=_read_light(file["light"]) if "light" in file else None,
        points=placed.select(kept),
        batch=batch[kept],
        offset_px=offset_px[kept],
        outside=said.select(~kept),
        requested=Requested(**_read_requested(file["requested"], batches, corrections)),
        corrections=told,
        batches=batches,
        decisions=tuple(json.loads(row) for row in _rows(file["decisions"])),
        events=tuple(RunEvent.model_validate_json(row) for row in _rows(file["events"])),
        latest=_read_inferred(file["inferred"], "latest"),
        final=_read_inferred(file["inferred"], "final"),
        finish_reason=str(file.attrs["finish_reason"]),
        finish_detail=str(file.attrs["finish_detail"]),
        journal_sync=Sync(file.attrs.get("journal_sync", Sync.ALWAYS)),
        light_s=float(file["light"].attrs["seconds"]) if "light" in file else None,
    )


def _text(dataset: Node) -> str:
    return dataset.asstr()[()]


def _rows(dataset: Node) -> list[str]:
    return [row for row in dataset.asstr()[:] if row]


def _read_columns(group: Node) -> dict[str, NDArray[Any]]:
    """All columns, cut to the shortest: a writer that was killed may have lengthened only some of them."""
    rows = min(column.shape[0] for column in group.values())
    return {name: np.asarray(column[:rows]) for name, column in group.items()}


def _read_requested(
    group: Node, batches: tuple[dict[str, Any], ...], corrections: list[Correction]
) -> dict[str, NDArray[Any]]:
    """The columns of everything asked for, but for batches that were withdrawn."""
    columns = _read_columns(group)
    columns["position_px"] += aimed_offsets(corrections, columns["point_id"])
    columns["reason"] = known_reasons(columns["reason"])
    kept = ~np.isin(columns["batch"], [row["batch"] for row in batches if row.get("withdrawn")])
    return {name: column[kept] for name, column in columns.items()}


def read_points(group: Node) -> tuple[PointBlock, NDArray[np.int32]]:
    """Every acknowledged point as the instrument told it, in the order of arrival, and (N,) its batch."""
    columns = _read_columns(group)
    whole = (columns["status"] > 0) & (np.linalg.norm(columns["orientation"], axis=1) > 0.5)  # others were cut off
    columns = {name: column[whole] for name, column in columns.items()}
    batch = columns.pop("batch")
    return PointBlock(**columns), batch


def _read_light(group: Node) -> LightImages:
    return LightImages(
        kind=LightKind(group.attrs["kind"]),
        angles_deg=tuple(float(angle) for angle in group["angles_deg"][:]),
        images=group["images"][:],
        pixel_um=float(group.attrs["pixel_um"]),
    )


def _read_map(group: Node, name: str) -> NDArray[np.float32] | None:
    return np.asarray(group[name][()]) if name in group else None


def _read_inferred(parent: Node, name: str) -> Inferred | None:
    group = parent.get(name)
    if group is None or "points" not in group.attrs:
        return None
    return Inferred(
        **{field: np.asarray(group[field][()]) for field in INFERRED_MAPS if field != "bound90_deg"},
        bound90_deg=_read_map(group, "bound90_deg"),
        light_features=_read_map(group, "light_features"),
        light=LightDiagnostics.model_validate_json(_text(group["light_diagnostics"])),
        method=str(group.attrs["method"]),
        predicted_wrong=float(group.attrs["predicted_wrong"]),
        points=int(group.attrs["points"]),
        degraded=tuple(json.loads(group.attrs["degraded"])),
    )
