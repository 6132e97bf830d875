"""Shapes as the message that proposes them: lines, rectangles and free points, best first, with gains and reasons.

Which shapes pay is chosen in `model.acquire.shaped`; the order of scanning is the business of the controller.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grainloop.model.acquire.evidence import with_evidence
from grainloop.model.acquire.scene import Scene
from grainloop.model.acquire.shaped import propose_shapes, stake_of
from grainloop.model.acquire.spread import Spread, reasons
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.messages import Proposals
from grainloop.protocols.shapes import ScanShape, encode_pieces


def asks_for_shapes(means: ScanMeans | None) -> bool:
    """Whether an instrument of these means can scan more than free points."""
    return means is not None and any(shape is not ScanShape.POINTS for shape in means.shapes.accepted)


def shape_proposals(
    scene: Scene, means: ScanMeans, count: int, budget_s: float | None, looks_at_posterior: bool
) -> Proposals:
    """The message.

    Args:
        scene: what is known and what may be measured.
        means: what the instrument accepts, and what it costs.
        count: at most this many exposures.
        budget_s: instrument time for all of them; nothing where only `count` limits them.
        looks_at_posterior: whether doubt says where to scan; else the section is filled evenly.
    """
    scene = scene if looks_at_posterior else replace(scene, exploration_share=1.0)
    found = propose_shapes(stake_of(scene), means, np.inf if budget_s is None else budget_s, count)
    position = np.concatenate([np.empty((0, 2), np.int32), *(one.position_px for one in found)])
    gain = [np.full(len(one.position_px), one.gain / len(one.position_px), np.float32) for one in found]
    proposals = Proposals(
        position_px=position.astype(np.int32),
        gain=np.concatenate([np.empty(0, np.float32), *gain]).astype(np.float32),
        reason=reasons(scene.posterior, position.astype(np.intp)).astype(np.uint8),
        policy=Spread().name,
        pieces=encode_pieces(one.piece for one in found),
    )
    told = with_evidence(scene, proposals)
    return told.model_copy(update={"gain": proposals.gain})  # of shapes, not of their points one after the other
