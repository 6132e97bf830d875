"""What is where in `session.h5`, for `controller.session.writer`, which writes it, and `controller.session.reader`.

The file is ordinary HDF5 in the default format (no SWMR, no newer library version), so that whatever was flushed can be
read after the writer was killed. Layout, version 6 (version 5 has no numbers in /events, version 4 no /corrections,
version 3 no batches that were withdrawn and tells of no timing with decisions, version 2 no evidence with the points
asked for, version 1 no /inferred/…/bound90_deg):

    /                   attributes: format, format_version, created, finish_reason, finish_detail, journal_sync (`never`
                        where records of the journal counted before they were on disk), thinking (`declared`
                        where a decision counted the decision_s of /plan on the instrument clock and not what it took)
    /plan, /capabilities, /software     JSON
    /light/images, /light/angles_deg    PL as taken; attributes kind, pixel_um, seconds
    /requested/…        columns, one row per point asked for: point_id, position_px, batch, reason, gain, and
                        as evidence p_wrong, competing, misorientation_deg, travel_px (`controller.decide.decision`)
    /measured/…         columns, one row per point measured: those of `PointBlock`, and batch
    /corrections        one JSON text per drift of the beam that was taken into account, if any. Positions above are of
                        the instrument; its rows_px and columns_px are added for points measured from its from_point
                        on, and for points requested from its aimed_from on
    /batches, /decisions, /events       one JSON text per row; batches in the order in which they were closed or
                        withdrawn, decisions in that of sending, with their timing (`controller.decide.decision`)
    /inferred/latest/…, /inferred/final/…   maps of the newest and of the last reconstruction

What was measured and what was inferred never share a group.
"""

from __future__ import annotations

from typing import Final

Kinds = dict[str, tuple[str, tuple[int, ...]]]
"""Of each column of a group: the type of its values, and their shape."""

FORMAT: Final = "grainloop-session"
FORMAT_VERSION: Final = 6
INFERRED_MAPS: Final = ("orientation", "phase_id", "expected_error_deg", "bound90_deg", "p_wrong", "boundary", "grain")
TEXTS: Final = ("batches", "decisions", "events")
CORRECTIONS: Final = "corrections"
REQUESTED: Final[Kinds] = {
    "point_id": ("i8", ()),
    "position_px": ("i4", (2,)),
    "batch": ("i4", ()),
    "reason": ("u1", ()),
    "gain": ("f4", ()),
    "p_wrong": ("f4", ()),
    "competing": ("u1", ()),
    "misorientation_deg": ("f4", ()),
    "travel_px": ("f4", ()),
}
MEASURED: Final[Kinds] = {
    "point_id": ("i8", ()),
    "position_px": ("i4", (2,)),
    "status": ("u1", ()),
    "phase_id": ("u1", ()),
    "orientation": ("f4", (4,)),
    "confidence": ("f4", ()),
    "fit_deg": ("f4", ()),
    "time_s": ("f8", ()),
    "dwell_s": ("f4", ()),
    "batch": ("i4", ()),
}
