"""What must hold of a session whatever was told to its run: it can be read, decided again, and holds nothing false."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from grainloop.controller.journal import entries as of
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.session.reader import load_session
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.messages import RunFinished
from grainloop.protocols.values import PointBlock, PointStatus


def require_readable(folder: Path, finished: RunFinished) -> None:
    """Journal and session file say the same, and nothing that cannot be."""
    found = read_journal(folder / JOURNAL_NAME)
    assert found.damage == ()
    again = replay(found.entries)
    assert again.difference is None, str(again.difference)
    assert not again.unknown
    session = load_session(folder / SESSION_NAME)
    assert session.finish_reason == finished.reason
    assert len(session.points) == finished.points_measured
    stored = [entry for entry in found.entries if isinstance(entry, of.PointsStored)]
    assert len(session.points) + len(session.outside) == sum(len(entry.points) for entry in stored)
    capabilities = again.began.capabilities
    asked = {
        point: batch.request.batch
        for batch in (entry for entry in found.entries if isinstance(entry, of.Decided))
        for point in batch.request.point_id.tolist()
    }
    came = set[int]()
    for entry in stored:
        require_points(entry.points, capabilities)
        for point in entry.points.point_id.tolist():
            assert asked[point] == entry.batch
            assert point not in came
            came.add(point)
    require_points(session.points, capabilities)
    for entry in found.entries:
        if isinstance(entry, of.QuestionAnswered) and entry.proposals is not None:
            _require_proposals(entry)
        if isinstance(entry, of.Reconstructed):
            require_maps(entry.answer, capabilities)
    for maps in (session.latest, session.final):
        if maps is not None:
            require_maps(maps, capabilities)


def require_points(points: PointBlock, capabilities: Capabilities) -> None:
    """No point is shown as measured that cannot have been."""
    for name in ("orientation", "confidence", "fit_deg", "time_s", "dwell_s"):
        assert np.isfinite(getattr(points, name)).all(), name
    assert (points.dwell_s >= 0).all()
    assert np.isin(points.status, list(PointStatus)).all()
    assert (np.abs(np.linalg.norm(points.orientation, axis=1) - 1) < 1e-2).all()
    assert np.isin(points.phase_id[points.indexed], [phase.phase_id for phase in capabilities.phases]).all()
    assert ((points.position_px >= 0) & (points.position_px < np.array(capabilities.grid.shape_px))).all()


def require_maps(maps: Any, capabilities: Capabilities) -> None:
    """No map is a result that cannot be one."""
    shape = capabilities.grid.shape_px
    assert maps.orientation.shape == (*shape, 4)
    assert (np.abs(np.linalg.norm(maps.orientation, axis=-1) - 1) < 1e-2).all()
    assert np.isin(maps.phase_id, [0, *(phase.phase_id for phase in capabilities.phases)]).all()
    for name in ("expected_error_deg", "bound90_deg", "p_wrong", "boundary"):
        values = getattr(maps, name)
        assert values.shape == shape
        assert ((values >= -1e-2) & (values <= 181)).all(), name


def _require_proposals(entry: of.QuestionAnswered) -> None:
    proposals = entry.proposals
    assert proposals is not None
    lengths = {len(proposals.position_px), len(proposals.gain), len(proposals.reason)}
    assert len(lengths) == 1
    assert np.isfinite(proposals.gain).all()
    assert (proposals.reason < 8).all()
