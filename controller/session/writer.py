"""Writing `session.h5`: everything a run was told, asked, measured and inferred, flushed as it goes.

What is where in the file is told in `controller.session.layout`. Reading is the business of
`controller.session.reader`; what makes an entry of the journal one of the file, that of `controller.session.view`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import h5py
import numpy as np

from grainloop.controller.decide import Batch
from grainloop.controller.plans import Terms
from grainloop.controller.session.datasets import CHUNK_CACHE_BYTES, Columns, Node, append_text, new_texts, replace
from grainloop.controller.session.layout import (
    CORRECTIONS,
    FORMAT,
    FORMAT_VERSION,
    INFERRED_MAPS,
    MEASURED,
    REQUESTED,
    TEXTS,
)
from grainloop.controller.session.opening import reason_of
from grainloop.controller.session.software import now_text, software_versions
from grainloop.controller.session.storage import Storage
from grainloop.protocols.errors import BadInput, ErrorCode, GrainloopError
from grainloop.protocols.messages import REASON_CODES, Reconstruction, RunEvent, ScanDone, Sync
from grainloop.protocols.sentences import printable
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import LightImages, PointBlock

_P = ParamSpec("_P")
_R = TypeVar("_R")


class CannotStore(GrainloopError):
    """The session file cannot be written; it can be made again from the journal."""

    code = ErrorCode.DEVICE_FAILED


def _stored(method: Callable[Concatenate[SessionFile, _P], _R]) -> Callable[Concatenate[SessionFile, _P], _R]:
    """Flush after the method, and tell a write error in one sentence."""

    @wraps(method)
    def wrapper(self: SessionFile, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        with _told(self.path):
            result = method(self, *args, **kwargs)
            self.flush()
        return result

    return wrapper


@contextmanager
def _told(path: Path) -> Generator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        message = f"The session file {path} cannot be written: {reason_of(error)}."
        raise CannotStore(message, field="session", value=path) from error


class SessionFile:
    """The open session file; every method but `add_decision` has flushed what it wrote when it returns."""

    def __init__(self, path: Path, terms: Terms, created: str | None = None) -> None:
        """Create the file; `created` says when the session began, if that is not now.

        Raises:
            BadInput: there is a file of this name, or the folder cannot be written.
            CannotStore: the file cannot be written; it is removed.
        """
        self.path = path
        self._storage = _create(path)
        self._file = _in_hdf5(self._storage, "w")
        try:
            self._begin(terms, created or now_text())
        except CannotStore:
            self.discard()
            raise

    @_stored
    def _begin(self, terms: Terms, created: str) -> None:
        self._file.attrs.update(
            format=FORMAT,
            format_version=FORMAT_VERSION,
            created=created,
            finish_reason="",
            finish_detail="",
        )
        if terms.plan.decision_s is not None:
            self._file.attrs["thinking"] = "declared"
        for name in ("plan", "capabilities"):
            self._file.create_dataset(name, data=getattr(terms, name).model_dump_json())
        self._file.create_dataset("software", data=json.dumps(software_versions()))
        self._requested = Columns(self._file.create_group("requested"), REQUESTED)
        self._measured = Columns(self._file.create_group("measured"), MEASURED)
        self._file["requested"].attrs["reasons"] = json.dumps([reason.value for reason in REASON_CODES])
        self._texts = {name: new_texts(self._file, name) for name in TEXTS}
        self._file.create_group("inferred")

    def flush(self) -> None:
        """Hand everything to the operating system.

        Raises:
            OSError: it does not take it.
        """
        self._file.flush()
        self._storage.check()

    @_stored
    def add_light(self, light: LightImages, seconds: float) -> None:
        """The PL images as taken, replacing what was there."""
        group = self._file.require_group("light")
        replace(group, "images", light.images)
        replace(group, "angles_deg", np.asarray(light.angles_deg, np.float64))
        group.attrs.update(kind=light.kind.value, pixel_um=light.pixel_um, seconds=seconds)

    def add_decision(self, batch: Batch, about: Mapping[str, Any]) -> None:
        """A decided batch with its reasons and gains, before it is sent; reaches the disk with its first points."""
        with _told(self.path):
            self._add_decision(batch, about)

    def _add_decision(self, batch: Batch, about: Mapping[str, Any]) -> None:
        request = batch.request
        rows = {
            "point_id": request.point_id,
            "position_px": request.position_px,
            "batch": np.full(len(request.point_id), request.batch, np.int32),
            "travel_px": batch.travel_px,
            **batch.why.columns(),
        }
        self._requested.append(rows)
        sent = {"batch": request.batch, "points": len(request.point_id), "not_before_s": request.not_before_s}
        told = {"decided_by": batch.decided_by, "reasons": batch.reasons, "gain_px": batch.gain_px}
        told |= {"stop_gap": batch.stop_gap, "when": asdict(batch.when)}
        told |= {"shapes": batch.shapes} if batch.shapes else {}
        append_text(self._texts["decisions"], json.dumps(sent | told | dict(about)))

    @_stored
    def add_points(self, batch: int, block: PointBlock) -> None:
        """Points as they come; when this returns they survive the death of this process."""
        rows = {name: getattr(block, name) for name in PointBlock.model_fields}
        self._measured.append(rows | {"batch": np.full(len(block), batch, np.int32)})

    @_stored
    def close_batch(self, batch: int, asked: int, points: int, done: ScanDone | None, error: str | None) -> None:
        """How a batch ended."""
        times = {} if done is None else done.model_dump(include={"started_s", "finished_s", "idle_s"})
        row = {"batch": batch, "asked": asked, "points": points, "ok": done is not None, "error": error} | times
        append_text(self._texts["batches"], json.dumps(row))

    @_stored
    def withdraw_batch(self, batch: int, asked: int) -> None:
        """A batch was taken back before it began."""
        row = {"batch": batch, "asked": asked, "points": 0, "ok": False, "error": None, "withdrawn": True}
        append_text(self._texts["batches"], json.dumps(row))

    @_stored
    def add_correction(self, correction: Mapping[str, Any]) -> None:
        """A drift that is taken into account from now on: fields as in `controller.journal.entries.Corrected`."""
        if CORRECTIONS not in self._file:
            new_texts(self._file, CORRECTIONS)
        append_text(self._file[CORRECTIONS], json.dumps(dict(correction)))

    @_stored
    def add_event(self, event: RunEvent) -> None:
        """One line of the journal."""
        append_text(self._texts["events"], event.model_dump_json())

    @_stored
    def add_software(self, more: Mapping[str, str]) -> None:
        """Versions known only when the services have answered."""
        self._file["software"][()] = json.dumps(json.loads(self._file["software"][()]) | dict(more))

    @_stored
    def add_sync(self, sync: Sync) -> None:
        """When records of the journal are on disk; once never stays never, whoever goes on with the run."""
        if self._file.attrs.get("journal_sync") != Sync.NEVER:
            self._file.attrs["journal_sync"] = sync.value

    @_stored
    def add_inferred(self, name: str, answer: Reconstruction, points: int) -> None:
        """The maps of a reconstruction under /inferred/`name`, replacing what was there; `points` were its input."""
        group = self._file["inferred"].require_group(name)
        for field in INFERRED_MAPS:
            replace(group, field, getattr(answer, field))
        if answer.light_features is not None:
            replace(group, "light_features", answer.light_features)
        replace(group, "light_diagnostics", answer.light.model_dump_json())
        group.attrs.update(
            method=printable(answer.method),  # no NUL can stand in an attribute
            predicted_wrong=answer.predicted_wrong,
            seconds=answer.seconds,
            points=points,
            degraded=json.dumps(answer.degraded),
        )

    @_stored
    def not_over(self) -> None:
        """The run goes on, however it had ended before."""
        self._file.attrs.update(finish_reason="", finish_detail="")

    @_stored
    def finish(self, reason: FinishReason, detail: str) -> None:
        """Write down how the run ended."""
        self._file.attrs.update(finish_reason=reason.value, finish_detail=printable(detail))

    def close(self) -> None:
        """Close the file; closing twice does nothing.

        Raises:
            CannotStore: what was not flushed cannot be written.
        """
        with _told(self.path), closing(self._storage):
            self._file.close()
            self._storage.check()

    def discard(self) -> None:
        """Close the file and remove it, where nothing was recorded yet that could be lost."""
        with suppress(CannotStore):
            self.close()
        self.path.unlink(missing_ok=True)


class ReopenedSessionFile(SessionFile):
    """A session file that is gone on with; it must be whole."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            CannotStore: it cannot be opened.
        """
        self.path = path
        with _told(path):
            self._storage = Storage(path, new=False)
            try:
                self._file = _in_hdf5(self._storage, "r+")
            except BaseException:
                self._storage.close()
                raise
        self._requested = Columns(self._file["requested"], REQUESTED)
        self._measured = Columns(self._file["measured"], MEASURED)
        self._texts = {name: self._file[name] for name in TEXTS}


def _in_hdf5(storage: Storage, mode: str) -> Node:
    return h5py.File(storage, mode, rdcc_nbytes=CHUNK_CACHE_BYTES)


def _create(path: Path) -> Storage:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Storage(path, new=True)
    except FileExistsError as error:
        message = f"The session file {path} exists already; choose another folder or move it away."
        raise BadInput(message, field="session", value=path) from error
    except OSError as error:
        message = f"The session file {path} cannot be created: {reason_of(error)}."
        raise BadInput(message, field="session", value=path) from error
