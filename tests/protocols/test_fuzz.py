"""Malformed messages: no crash, no hang, nothing undeclared. The long form is `make fuzz`."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.protocols.rpc.envelope import EnvelopeKind, from_frames
from tests.protocols.fuzz import LONGEST_S, Target, fuzz
from tests.protocols.malformed import BARE, ENVELOPES, VALID, malformed


def test_malformed_messages_are_refused_and_nothing_else_happens() -> None:
    seed = random.randrange(2**32)  # noqa: S311
    found = fuzz(4_000, seed)
    assert found["slowest_ms"] < 1e3 * LONGEST_S, found


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_frames_made_of_nothing(frames: list[bytes]) -> None:
    Target().eat(frames)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_a_valid_message_with_any_byte_changed(message: list[bytes], data: st.DataObject) -> None:
    frame = data.draw(st.integers(0, len(message) - 1))
    if not message[frame]:
        return
    at = data.draw(st.integers(0, len(message[frame]) - 1))
    changed = bytearray(message[frame])
    changed[at] = data.draw(st.integers(0, 255))
    Target().eat([*message[:frame], bytes(changed), *message[frame + 1 :]])


def test_what_is_spoiled_was_valid() -> None:
    """Else the fuzzer would knock at one closed door for ever."""
    assert {from_frames(message).kind for message in ENVELOPES} == set(EnvelopeKind)
    target = Target()
    for message in [*ENVELOPES, *BARE] * 6:
        target.eat(message)
    assert min(target.decoded, target.served, target.answered) >= 6


def test_the_same_seed_gives_the_same_messages() -> None:
    one, other = random.Random(3), random.Random(3)  # noqa: S311
    assert [malformed(one) for _ in range(200)] == [malformed(other) for _ in range(200)]
