"""All whole records of a file at once: every mark is checked in constant time, whatever length it claims.

A checksum over any stretch follows from those of two prefixes of the file, as CRCs are linear: with S(v, n) the state v
after n zero bytes, state(a..b) from v is S(v ^ state(0..a), b - a) ^ state(0..b). What a record is stands in
`protocols.records`; marks are looked at one by one there while that is cheaper.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import google_crc32c
import numpy as np
from numpy.typing import NDArray

U32 = NDArray[np.uint32]
_POLYNOMIAL: Final = 0x82F63B78
"""Castagnoli, bits reflected."""
_ONES: Final = np.uint32(0xFFFFFFFF)
_ROW_BYTES: Final = 4096
_DIGIT_BITS: Final = 4
_HEAD_BYTES: Final = 8
"""Number and length, which the checksum covers too."""
_FRAME_BYTES: Final = 16
_SLICE: Final = 1 << 18


def whole_records(data: bytes, mark: bytes) -> NDArray[np.int64]:
    """Offsets of all whole records behind a mark of 4 bytes, in order; takes 15 times the memory of the data."""
    octets = np.frombuffer(data, np.uint8)
    at = _marks(octets, mark)
    at = at[at + _FRAME_BYTES <= len(octets)]
    at = at[at + _FRAME_BYTES + _words(octets, at + 8) <= len(octets)]
    if not len(at):
        return at
    states = _prefix_states(octets)
    parts = [part[_agree(octets, states, part)] for part in np.split(at, range(_SLICE, len(at), _SLICE))]
    return np.concatenate(parts)


def _marks(octets: NDArray[np.uint8], mark: bytes) -> NDArray[np.int64]:
    at = np.flatnonzero(octets == mark[0])
    for n in range(1, len(mark)):
        at = at[at + n < len(octets)]
        at = at[octets[at + n] == mark[n]]
    return at


def _words(octets: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Little-endian words of 4 bytes."""
    return sum((octets[at + n].astype(np.int64) << (8 * n) for n in range(4)), np.zeros(len(at), np.int64))


def _agree(octets: NDArray[np.uint8], states: U32, at: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which marks have the checksum of what is behind them."""
    table, length = _table(), _words(octets, at + 8)
    head = np.full(len(at), _ONES, np.uint32)
    for n in range(_HEAD_BYTES):
        head = table[(head ^ octets[at + 4 + n]) & 255] ^ (head >> np.uint32(8))
    begin = at + _FRAME_BYTES
    found = _after_zeros(head ^ _at(states, begin), length) ^ _at(states, begin + length) ^ _ONES
    return found == _words(octets, at + 12).astype(np.uint32)


def _prefix_states(octets: NDArray[np.uint8]) -> U32:
    """(row bytes, rows) the state, from 0, before each byte, rows side by side; one row begins behind the last byte."""
    rows = len(octets) // _ROW_BYTES + 1
    padded = np.zeros(rows * _ROW_BYTES, np.uint8)
    padded[: len(octets)] = octets
    columns = np.ascontiguousarray(padded.reshape(rows, _ROW_BYTES).T)
    table, state = _table(), _row_begins(padded)
    states = np.empty((_ROW_BYTES, rows), np.uint32)
    for n, column in enumerate(columns):
        states[n] = state
        state = table.take((state ^ column) & 255) ^ (state >> 8)
    return states


def _at(states: U32, place: NDArray[np.int64]) -> U32:
    return states[place % _ROW_BYTES, place // _ROW_BYTES]


def _row_begins(padded: NDArray[np.uint8]) -> U32:
    """The state, from 0, before each row."""
    length, state, begins = np.array([_ROW_BYTES]), np.zeros(1, np.uint32), list[U32]()
    ones = _after_zeros(np.array([_ONES]), length)
    for n in range(0, len(padded), _ROW_BYTES):
        begins.append(state)
        crc = np.uint32(google_crc32c.value(padded[n : n + _ROW_BYTES].tobytes()))
        state = _after_zeros(state, length) ^ ones ^ crc ^ _ONES
    return np.concatenate(begins)


def _after_zeros(state: U32, count: NDArray[np.int64]) -> U32:
    """States after so many zero bytes each."""
    place, most = 0, int(count.max(initial=0))
    while most >> place:
        digit = (count >> place) & ((1 << _DIGIT_BITS) - 1)
        state = _applied(_operators(place), digit, state)
        place += _DIGIT_BITS
    return state


def _applied(operators: U32, digit: NDArray[np.int64], state: U32) -> U32:
    moved = np.zeros_like(state)
    for n in range(4):
        moved ^= operators.reshape(-1)[(digit << 10) | (n << 8) | ((state >> np.uint32(8 * n)) & 255)]
    return moved


@cache
def _operators(place: int) -> U32:
    """(16, 4, 256) what digit * 2**place zero bytes make of a state, by each of its bytes."""
    one = _zeros(place)
    every = [np.arange(256, dtype=np.uint32) << np.uint32(8 * n) for n in range(4)]
    made = [np.stack(every)]
    for _ in range((1 << _DIGIT_BITS) - 1):
        made.append(_through(one, made[-1]))
    return np.stack(made)


@cache
def _zeros(place: int) -> U32:
    """(4, 256) what 2**place zero bytes make of a state, by each of its bytes."""
    if place:
        half = _zeros(place - 1)
        return _through(half, half)
    every = np.stack([np.arange(256, dtype=np.uint32) << np.uint32(8 * n) for n in range(4)])
    return _table()[every & 255] ^ (every >> np.uint32(8))


def _through(operator: U32, states: U32) -> U32:
    moved = np.zeros_like(states)
    for n in range(4):
        moved ^= operator[n][(states >> np.uint32(8 * n)) & 255]
    return moved


@cache
def _table() -> U32:
    """(256,) of the checksum, byte by byte."""
    state = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        state = (state >> np.uint32(1)) ^ np.where(state & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return state
