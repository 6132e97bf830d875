"""CURVE over real sockets: who gets in, who does not, and that it fails closed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
import zmq

from grainloop.protocols.aio import Client, Service
from grainloop.protocols.aio.authenticator import ADDRESS, Authenticator
from grainloop.protocols.errors import ErrorCode, GrainloopError, NotPermitted, RemoteError, Unavailable
from grainloop.protocols.messages import CheckHealth, InstrumentReply
from grainloop.protocols.security import Access, Credentials
from grainloop.protocols.security.keys import make_key
from tests.patience import HANG_S
from tests.protocols.aio.services import Handlers, running
from tests.protocols.security.conftest import Lab


def serving(access: Access | None, service: Service | None = None) -> AbstractAsyncContextManager[str]:
    """An instrument service with keys while it runs; gives its endpoint."""
    return running(service or Handlers().service(), access=access)


async def ask(endpoint: str, credentials: Credentials | None, message: Any = None) -> Any:
    async with Client(endpoint, InstrumentReply, service="instrument", credentials=credentials) as client:
        return await client.request(message or CheckHealth(), deadline_s=HANG_S)


@pytest.fixture
def authenticators(monkeypatch: pytest.MonkeyPatch) -> list[Authenticator]:
    """Those that are started, so that a test can stop them."""
    made: list[Authenticator] = []
    plain = Authenticator.__init__

    def remember(self: Authenticator, *args: Any) -> None:
        plain(self, *args)
        made.append(self)

    monkeypatch.setattr(Authenticator, "__init__", remember)
    return made


def wrong_server(lab: Lab) -> Credentials:
    return replace(lab.credentials("owner"), server=make_key("other").public)


MATRIX: dict[str, tuple[Callable[[Lab], Credentials | None], str | None]] = {
    "a key on the list": (lambda lab: lab.credentials("operator"), None),
    "an unknown key": (lambda lab: lab.credentials("stranger"), "does not know the key stranger"),
    "no key": (lambda _: None, "talks only to keys"),
    "the wrong key of the server": (wrong_server, "breaks off every handshake"),
}


@pytest.mark.parametrize(("who", "refusal"), MATRIX.values(), ids=MATRIX.keys())
async def test_who_gets_in(lab: Lab, who: Callable[[Lab], Credentials | None], refusal: str | None) -> None:
    handlers = Handlers()
    async with serving(lab.access, handlers.service()) as endpoint:
        if refusal is None:
            assert (await ask(endpoint, who(lab))).ok
        else:
            with pytest.raises(NotPermitted, match=refusal):
                await ask(endpoint, who(lab))
        assert (await ask(endpoint, lab.credentials("owner"))).ok


@pytest.mark.parametrize("who", ["operator", "stranger"])
async def test_when_the_authenticator_is_gone_nobody_new_gets_in(
    lab: Lab, authenticators: list[Authenticator], who: str
) -> None:
    async with (
        serving(lab.access) as endpoint,
        Client(endpoint, InstrumentReply, service="instrument", credentials=lab.credentials("owner")) as inside,
    ):
        assert (await inside.request(CheckHealth(), deadline_s=HANG_S)).ok
        authenticators[0]._port.socket.unbind(ADDRESS)  # closing happens in a thread of libzmq, some time later
        authenticators[0].close()
        with pytest.raises(NotPermitted, match="cannot check keys now"):
            await ask(endpoint, lab.credentials(who))
        assert (await inside.request(CheckHealth(), deadline_s=HANG_S)).ok


async def test_a_list_that_cannot_be_believed_lets_nobody_in_until_it_is_mended(lab: Lab) -> None:
    async with serving(lab.access) as endpoint:
        async with Client(
            endpoint, InstrumentReply, service="instrument", credentials=lab.credentials("owner")
        ) as inside:
            assert (await inside.request(CheckHealth(), deadline_s=HANG_S)).ok
            lab.folder.allowed_path.chmod(0o666)
            with pytest.raises(RemoteError, match="cannot use its list of allowed keys") as caught:
                await inside.request(CheckHealth(), deadline_s=HANG_S)
            assert caught.value.code is ErrorCode.UNAVAILABLE
            with pytest.raises(NotPermitted, match="cannot check keys now, and serves nobody"):
                await ask(endpoint, lab.credentials("owner"))
            lab.folder.allowed_path.chmod(0o600)
            assert (await inside.request(CheckHealth(), deadline_s=HANG_S)).ok
        assert (await ask(endpoint, lab.credentials("owner"))).ok


async def test_a_key_given_to_a_service_without_keys_is_told(lab: Lab) -> None:
    async with serving(None) as endpoint:
        with pytest.raises(GrainloopError, match=r"uses no keys|breaks off every handshake") as caught:
            await ask(endpoint, lab.credentials("owner"))
        assert caught.value.code is ErrorCode.NOT_PERMITTED


async def test_the_service_does_not_start_when_nobody_could_check_keys(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else answers for keys in the context of the service."""
    plain_init, plain_term = zmq.Context.__init__, zmq.Context.term

    def occupied(self: zmq.Context[Any], *args: Any, **options: Any) -> None:
        plain_init(self, *args, **options)
        taken.append(self.socket(zmq.REP))
        taken[-1].bind(ADDRESS)

    def term(self: zmq.Context[Any]) -> None:
        taken.pop().close()
        plain_term(self)

    taken: list[zmq.Socket[bytes]] = []
    monkeypatch.setattr(zmq.Context, "__init__", occupied)
    monkeypatch.setattr(zmq.Context, "term", term)
    with pytest.raises(Unavailable, match="does not start, because nobody could check keys"):
        await Handlers().service().run("tcp://127.0.0.1:0", access=lab.access)
    assert not taken
