"""A run whose instrument or model tells one lie, as the wire would bring it, and what must hold afterwards.

`lies` says what is told, `services` who else takes part, `truth` what must not be stored. A reply goes through the
codec as at a client: what that refuses ends the request, as there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grainloop.controller.run.observer import RunObserver
from grainloop.controller.run.run import Run
from grainloop.controller.serve.updates import RunTold
from grainloop.protocols.codec import validator
from grainloop.protocols.errors import BadMessage, ErrorCode, GrainloopError
from grainloop.protocols.frames import pack, unpack
from grainloop.protocols.messages import RunFinished, Sync
from grainloop.protocols.observability import NO_METRICS
from grainloop.protocols.states import FinishReason
from tests.controller.virtual_time import run
from tests.integration.liars.lies import REPLIES, Lie, told_in
from tests.integration.liars.services import PLAN, SHAPED_PLAN, executed, honest, services
from tests.integration.liars.truth import require_readable

FAULTS = ("a fault in the controller", "Traceback", "internal error")


def refused_by_codec(lie: Lie) -> str:
    """What a client says of a lie before anybody sees it; nothing where it passes."""
    for tree in honest(shapes="pieces" in lie.path):
        if tree["kind"] != lie.kind:
            continue
        try:
            told = told_in(tree, lie.path, lie.make)
        except KeyError:
            continue
        try:
            validator(REPLIES[lie.service])(unpack([bytes(frame) for frame in pack(told)]))
        except BadMessage as error:
            return str(error)
        return ""
    raise AssertionError(f"{lie} cannot be told: the honest services never say this")


class Liar:
    """A service that tells a lie in the place of the truth, every time.

    Attributes:
        told: how often.
    """

    def __init__(self, service: Any, lie: Lie) -> None:
        self._service, self._lie, self.told = service, lie, 0
        self._read = validator(REPLIES[lie.service])

    def cancel(self, request: Any) -> None:
        self._service.cancel(request)

    async def request(self, message: Any, *, deadline_s: float = 0.0, on_progress: Any = None) -> Any:
        def progress(news: Any) -> None:
            news = self._said(news)
            if on_progress is not None:
                on_progress(news)

        return self._said(await self._service.request(message, deadline_s=deadline_s, on_progress=progress))

    def _said(self, reply: Any) -> Any:
        told = self.told_tree(reply)
        return reply if told is None else self._read(unpack([bytes(frame) for frame in pack(told)]))

    def told_tree(self, reply: Any) -> Any:
        """The reply with the lie in it, as a tree of the wire; nothing where there is no place for it."""
        if reply.kind != self._lie.kind:
            return None
        try:
            tree = told_in(unpack([bytes(frame) for frame in pack(reply)]), self._lie.path, self._lie.make)
        except KeyError:
            return None
        self.told += 1
        return tree


class LiarAtTheWire(Liar):
    """The same as a service says it: what it sends is not looked at on its side."""

    def _said(self, reply: Any) -> Any:
        told = self.told_tree(reply)
        return reply if told is None else type(reply).model_construct(**told)


class Told:
    """One lie told to one run.

    Attributes:
        finished: how the run ended; nothing where it was refused.
        refused: why it never began.
    """

    def __init__(self, lie: Lie, folder: Path) -> None:
        self.lie, self.folder, self.finished, self.refused = lie, folder, None, None
        shapes = "pieces" in lie.path
        instrument, model = services(shapes=shapes)
        asked = {"instrument": instrument, "model": model}
        self.liar = asked[lie.service] = Liar(asked[lie.service], lie)
        plan = SHAPED_PLAN if shapes else PLAN
        self.run = Run(plan, folder, asked["instrument"], asked["model"], sync=Sync.NEVER)
        views = [RunObserver(self.run.standing, NO_METRICS), RunTold()]
        for view in views:
            self.run.standing.views.add(view)
        try:
            self.finished = run(executed(self.run, instrument))
        except GrainloopError as error:
            self.refused = error
        self.views_left = len(self.run.standing.views._views) - len(views)


def require_not_believed(lie: Lie, folder: Path) -> None:
    """Tell a lie to a run, unless the codec refuses it anyway; of those that it does, each field is told once."""
    refused = refused_by_codec(lie)
    if refused:
        _require_sentence(ErrorCode.BAD_MESSAGE, refused)
    if not refused or lie.name == "none":
        require_truth(Told(lie, folder))


def require_truth(told: Told) -> None:
    """What must hold whatever was told."""
    assert told.liar.told, f"{told.lie} was not told: the honest services never say this"
    assert told.views_left == 0, "somebody who looks at the run could not bear it"
    if told.refused is not None:
        _require_sentence(told.refused.code, str(told.refused))
        return
    finished = told.finished
    assert isinstance(finished, RunFinished)
    assert finished.reason in (FinishReason.COMPLETED, FinishReason.FAILED)
    _require_sentence(None, finished.detail)
    if told.lie.service == "model":
        assert finished.reason is FinishReason.COMPLETED, finished.detail
    require_readable(told.folder, finished)


def _require_sentence(code: ErrorCode | None, text: str) -> None:
    assert code is not ErrorCode.INTERNAL
    assert text.strip()
    assert not any(fault in text for fault in FAULTS), text
