"""The legal moves of a run, as data. The documentation's diagram is generated from `MOVES`; the controller obeys it.

Nothing here acts: what a move entails (parking the instrument, closing files) is the controller's business.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from grainloop.protocols.errors import IllegalState


class RunState(StrEnum):
    """Where a run stands."""

    IDLE = "idle"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"


class FinishReason(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    ABORTED = "aborted"
    FAILED = "failed"


class Trigger(StrEnum):
    """What can move a run from one state to another: an operator's word or an event of the run itself."""

    START = "start"
    PREPARED = "prepared"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    ABORT = "abort"
    DONE = "done"
    FAIL = "fail"
    RESET = "reset"


MOVES: Final[dict[RunState, dict[Trigger, RunState]]] = {
    RunState.IDLE: {Trigger.START: RunState.PREPARING},
    RunState.PREPARING: {
        Trigger.PREPARED: RunState.RUNNING,
        Trigger.STOP: RunState.STOPPING,
        Trigger.ABORT: RunState.FINISHED,
        Trigger.FAIL: RunState.FINISHED,
    },
    RunState.RUNNING: {
        Trigger.PAUSE: RunState.PAUSED,
        Trigger.STOP: RunState.STOPPING,
        Trigger.DONE: RunState.STOPPING,
        Trigger.ABORT: RunState.FINISHED,
        Trigger.FAIL: RunState.FINISHED,
    },
    RunState.PAUSED: {
        Trigger.RESUME: RunState.RUNNING,
        Trigger.STOP: RunState.STOPPING,
        Trigger.ABORT: RunState.FINISHED,
        Trigger.FAIL: RunState.FINISHED,
    },
    RunState.STOPPING: {
        Trigger.DONE: RunState.FINISHED,
        Trigger.ABORT: RunState.FINISHED,
        Trigger.FAIL: RunState.FINISHED,
    },
    RunState.FINISHED: {Trigger.RESET: RunState.IDLE},
}


def move(state: RunState, trigger: Trigger) -> RunState:
    """The state that `trigger` leads to from `state`.

    Raises:
        IllegalState: the table holds no such move.
    """
    try:
        return MOVES[state][trigger]
    except KeyError:
        raise IllegalState(_refusal(state, trigger), field="state", value=state) from None


_WORDS: Final = {
    Trigger.PAUSE: "paused",
    Trigger.RESUME: "resumed",
    Trigger.STOP: "stopped",
    Trigger.ABORT: "aborted",
}
"""What an operator may say to a run, and what then is done to it."""


def _refusal(state: RunState, trigger: Trigger) -> str:
    done, can = _WORDS.get(trigger), [word for word in _WORDS if word in MOVES[state]]
    said = f"A run that is {state} cannot be {done}" if done else f"A run that is {state} knows no {trigger}"
    return f"{said}; what it takes now: {', '.join(can) or 'nothing, for none goes on'}."
