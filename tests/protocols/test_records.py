"""Records: what was written comes back, and damage costs no record but the one it hit."""

from __future__ import annotations

import struct

import google_crc32c
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grainloop.protocols import records
from grainloop.protocols.files.record_marks import whole_records
from grainloop.protocols.records import (
    FORMAT_VERSION,
    FRAME_BYTES,
    HEADER_BYTES,
    MARK,
    Damage,
    NoJournal,
    Record,
    file_header,
    read_header,
    read_records,
    record_bytes,
)

PAYLOADS = st.lists(st.binary(max_size=40) | st.just(MARK * 3) | st.just(record_bytes(7, b"within")), max_size=6)


def written(payloads: list[bytes], first: int = 0) -> tuple[bytes, list[int]]:
    """A file, and the offset behind each of its records."""
    data, ends = file_header(first), list[int]()
    for number, payload in enumerate(payloads, first):
        data += record_bytes(number, payload)
        ends.append(len(data))
    return data, ends


def payloads_in(data: bytes) -> list[bytes]:
    return [found.payload for found in read_records(data) if isinstance(found, Record)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bytes(32), 0x8A9136AA),
        (bytes([0xFF] * 32), 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_the_checksum_is_that_of_rfc_3720(data: bytes, expected: int) -> None:
    assert google_crc32c.value(data) == expected


def test_the_checksum_covers_number_and_length() -> None:
    first, second = record_bytes(1, b"x"), record_bytes(2, b"x")
    assert first[12:16] != second[12:16]


@given(PAYLOADS, st.integers(0, 2**32 - 8))
def test_what_was_written_comes_back(payloads: list[bytes], first: int) -> None:
    data, ends = written(payloads, first)
    assert read_header(data) == (FORMAT_VERSION, first)
    found = list(read_records(data))
    assert found == [Record(first + n, p, end) for n, (p, end) in enumerate(zip(payloads, ends, strict=True))]


@given(PAYLOADS, st.data())
def test_a_file_that_was_cut_gives_up_all_whole_records(payloads: list[bytes], draw: st.DataObject) -> None:
    data, ends = written(payloads)
    cut = draw.draw(st.integers(HEADER_BYTES, len(data)))
    whole = [payload for payload, end in zip(payloads, ends, strict=True) if end <= cut]
    found = list(read_records(data[:cut]))
    if cut in (HEADER_BYTES, *ends):
        assert [one.payload for one in found if isinstance(one, Record)] == whole
        assert not any(isinstance(one, Damage) for one in found)
        return
    inside = payloads[len(whole)]
    at = max([HEADER_BYTES, *(end for end in ends if end <= cut)])
    assert found[len(whole)] == Damage(at, cut, at_end=True) or record_bytes(7, b"within") in inside
    assert [one.payload for one in found[: len(whole)] if isinstance(one, Record)] == whole


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4), st.data())
def test_a_flipped_bit_costs_one_record_at_most(payloads: list[bytes], draw: st.DataObject) -> None:
    data, ends = written(payloads)
    place = draw.draw(st.integers(HEADER_BYTES, len(data) - 1))
    flipped = bytearray(data)
    flipped[place] ^= 1 << draw.draw(st.integers(0, 7))
    hit = sum(end <= place for end in ends)
    assert payloads_in(bytes(flipped)) == payloads[:hit] + payloads[hit + 1 :]
    damage = [found for found in read_records(bytes(flipped)) if isinstance(found, Damage)]
    assert [(one.start, one.end, one.at_end) for one in damage] == [
        ([HEADER_BYTES, *ends][hit], ends[hit], hit == len(payloads) - 1)
    ]


@given(st.binary(max_size=200))
def test_noise_is_no_record(noise: bytes) -> None:
    found = list(read_records(file_header(0) + noise))
    assert all(isinstance(one, Damage) for one in found)
    assert bool(found) == bool(noise)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin like a journal"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "does not begin like a journal"),
        (file_header(0).replace(b"\r\n", b"\n"), "does not begin like a journal"),
        (file_header(0)[:-1], "ends within its header"),
        (records.SIGNATURE + b"\x63\x00\x00\x00\x00\x00", "it has format 99"),
        (records.SIGNATURE + bytes(6), "it has format 0"),
    ],
)
def test_other_files_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(NoJournal, match=words):
        read_header(data)


def test_a_length_beyond_the_file_is_damage() -> None:
    huge = bytearray(record_bytes(0, b"x"))
    huge[8:12] = b"\xff\xff\xff\x7f"
    assert list(read_records(file_header(0) + bytes(huge))) == [
        Damage(HEADER_BYTES, HEADER_BYTES + FRAME_BYTES + 1, at_end=True)
    ]


def many_false_marks(size: int) -> bytes:
    """A torn end that is full of marks, each of which claims all that follows."""
    data = bytearray(file_header(0) + record_bytes(0, b"before"))
    while len(data) < size:
        data += struct.pack("<4sIII", MARK, 1, max(0, size - len(data) - FRAME_BYTES), 1)
    return bytes(data)


def test_what_is_hashed_of_a_torn_file_grows_with_its_size_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = dict[int, int]()
    for size in (20_000, 200_000):
        spent = list[int]()

        def counted(number: int, payload: bytes, spent: list[int] = spent) -> int:
            spent.append(len(payload))
            return google_crc32c.extend(google_crc32c.value(struct.pack("<II", number, len(payload))), payload)

        monkeypatch.setattr("grainloop.protocols.records._checksum", counted)
        found = list(read_records(many_false_marks(size)))
        assert [type(one) for one in found] == [Record, Damage]
        hashed[size] = sum(spent)
    assert all(spent <= 6 * size for size, spent in hashed.items()), hashed


@given(PAYLOADS, st.data())
@example([b"", b"x" * 9000, b"last"], None)
def test_records_behind_false_marks_are_found_all_at_once_as_one_by_one(
    payloads: list[bytes], draw: st.DataObject | None
) -> None:
    data, _ = written(payloads)
    noise = MARK * 3 if draw is None else draw.draw(st.binary(max_size=30) | st.just(MARK * 3))
    place = HEADER_BYTES if draw is None else draw.draw(st.integers(HEADER_BYTES, len(data)))
    data = data[:place] + noise + data[place:]
    one_by_one = list(read_records(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("grainloop.protocols.records._PATIENCE", 0)
        assert list(read_records(data)) == one_by_one
    expected = [at for at in range(len(data)) if whole_at(data, at)]
    assert whole_records(data, MARK).tolist() == expected


def whole_at(data: bytes, at: int) -> bool:
    if at + FRAME_BYTES > len(data):
        return False
    mark, number, length, _ = struct.unpack_from("<4sIII", data, at)
    payload = data[at + FRAME_BYTES : at + FRAME_BYTES + length]
    return mark == MARK and data.startswith(record_bytes(number, payload), at) and len(payload) == length
