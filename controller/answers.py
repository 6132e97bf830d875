"""What becomes of an answer of the model besides the batch that it asks for: its maps are stored, a drift is seen."""

from __future__ import annotations

from controller.preparing import Prepared
from controller.standing import Standing
from protocols.errors import GrainloopError
from protocols.messages import Reconstruction


def keep(ready: Prepared, standing: Standing, name: str, answer: Reconstruction, points: int) -> None:
    """Store the maps under a name, and tell; `points` were their input."""
    ready.session.add_inferred(name, answer, points)
    standing.predicted_wrong = answer.predicted_wrong
    text = f"{points} points reconstructed by {answer.method}; predicted wrong: {answer.predicted_wrong:.1%}."
    standing.say("reconstructed", " ".join([text, *answer.degraded]))


def see_drift(ready: Prepared, standing: Standing, answer: Reconstruction, points: int) -> bool:
    """Whether the newest of so many points show a drift that is taken into account from now on; it is told."""
    core = ready.core
    shift = ready.drift.look(answer, core.ledger.points.block().select(slice(points)))
    if shift is None:
        return False
    if core.plan.correct_drift:
        moved = core.ledger.correct(*shift.whole_px, shift.from_point)
        ready.session.add_correction(core.questions, shift, moved)
        standing.say("drift", shift.corrected_words(moved))
    else:
        standing.say("drift", f"{shift.words} Their positions are not corrected.")
    return core.plan.correct_drift


async def reconstruct_finally(ready: Prepared, standing: Standing) -> None:
    """Ask for the map of all points, once more where it shows a drift, and store it; without it the run is complete."""
    core, link = ready.core, ready.link
    try:
        answer = await link.reconstruct(core.final_question())
        if see_drift(ready, standing, answer, len(core.ledger.points)):
            answer = await link.reconstruct(core.final_question())
    except GrainloopError as error:
        standing.say("final_missing", f"{error} The final reconstruction is missing.")
        return
    keep(ready, standing, "final", answer, len(core.ledger.points))
