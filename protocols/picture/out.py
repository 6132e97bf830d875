"""Batches that are out, packed into columns for a snapshot, so that any number fits into a message, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grainloop.protocols.messages.snapshots import BatchesOut, OneOut
from grainloop.protocols.messages.updates import BatchDecided
from grainloop.protocols.shapes import PIECE_COLUMNS


def packed(batches: Sequence[BatchDecided]) -> BatchesOut:
    """Batches one after the other."""
    pieces = [one.pieces for one in batches if one.pieces is not None]
    return BatchesOut(
        batches=tuple(_about(one) for one in batches),
        point_id=np.concatenate([np.empty(0, np.int64), *(one.point_id for one in batches)]),
        position_px=np.concatenate([np.empty((0, 2), np.int32), *(one.position_px for one in batches)]),
        reason=np.concatenate([np.empty(0, np.uint8), *(one.reason for one in batches)]),
        gain=np.concatenate([np.empty(0, np.float32), *(one.gain for one in batches)]),
        pieces=np.concatenate([np.empty((0, PIECE_COLUMNS), np.int32), *pieces]),
    )


def _about(one: BatchDecided) -> OneOut:
    return OneOut(
        batch=one.batch,
        round=one.round,
        points=len(one.point_id),
        pieces=None if one.pieces is None else len(one.pieces),
        decided_by=one.decided_by,
        stop_gap=one.stop_gap,
        question=one.question,
    )


def unpacked(out: BatchesOut) -> dict[int, BatchDecided]:
    """The batches by their numbers, in order."""
    found, row, piece = dict[int, BatchDecided](), 0, 0
    for one in out.batches:
        points, pieces = slice(row, row + one.points), slice(piece, piece + (one.pieces or 0))
        found[one.batch] = BatchDecided(
            batch=one.batch,
            round=one.round,
            point_id=out.point_id[points],
            position_px=out.position_px[points],
            pieces=None if one.pieces is None else out.pieces[pieces],
            reason=out.reason[points],
            gain=out.gain[points],
            decided_by=one.decided_by,
            stop_gap=one.stop_gap,
            question=one.question,
        )
        row, piece = points.stop, pieces.stop
    return found
