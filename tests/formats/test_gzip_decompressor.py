"""The decompressor: equal to the standard library; every cut, damage and bomb is visible. With zlib and with isal."""

from __future__ import annotations

import functools
import gzip as stdlib
import itertools
import random
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, TruncatedError
from streamflow.formats import compression_limits
from streamflow.formats.gzip_decompressor import Decompressor

ROWS = b"".join(b"%d,%d,row of text\n" % (n, n * n) for n in range(30_000))

cuts = st.lists(st.integers(0, 300), max_size=8)

pytestmark = pytest.mark.usefixtures("library")


def chunks_of(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def run(codec: Any, *chunks: Any) -> bytes:
    return b"".join([out for chunk in chunks for out in codec.feed(chunk)] + list(codec.finish()))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(0, 9), cuts)
def test_members_one_after_the_other_equal_the_standard_library(
    members: list[bytes], padding: int, at: list[int]
) -> None:
    """L1, H59: all members, zeros after them."""
    data = b"".join(map(stdlib.compress, members)) + bytes(padding if members else 0)

    assert stdlib.decompress(data) == run(Decompressor(), *chunks_of(data, at)) == b"".join(members)


def test_every_cut_and_byte_by_byte_give_the_same() -> None:
    """L1, C7."""
    data = stdlib.compress(b"one" * 30) + b"\0\0" + stdlib.compress(b"") + stdlib.compress(b"two") + bytes(3)
    expected = b"one" * 30 + b"two"

    for at in range(len(data) + 1):
        assert run(Decompressor(), data[:at], data[at:]) == expected
    assert run(Decompressor(), *(data[at : at + 1] for at in range(len(data)))) == expected
    assert run(Decompressor(), bytearray(data[:9]), memoryview(data)[9:]) == expected


def test_no_data_gives_no_data_as_in_the_standard_library() -> None:
    """C7."""
    assert run(Decompressor()) == run(Decompressor(), b"", b"") == stdlib.decompress(b"") == b""


def member_with(head: bytes) -> bytes:
    raw = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = raw.compress(b"data") + raw.flush()
    return head + body + zlib.crc32(b"data").to_bytes(4, "little") + (4).to_bytes(4, "little")


@pytest.mark.parametrize("flags", range(32))
def test_headers_with_names_comments_and_checksums_are_read_at_every_cut(flags: int) -> None:
    """L1."""
    head = b"\x1f\x8b\x08" + bytes([flags]) + b"\1\2\3\4\0\x03"
    head += b"\x02\0\0b" * bool(flags & 4) + b"name\0" * bool(flags & 8) + b"comment\0" * bool(flags & 16)
    data = member_with(head + (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") * bool(flags & 2))

    assert stdlib.decompress(data) == b"data"
    for at in range(len(data)):
        assert run(Decompressor(), data[:at], data[at:]) == b"data"
        with pytest.raises(TruncatedError if at else AssertionError):
            assert run(Decompressor(), data[:at]) == b"data"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\x1f\x8b\x07\0\0\0\0\0\0\3", "unknown compression method 7"),
        (b"\x1f\x8b\x08\x20\0\0\0\0\0\3", "unknown header flags 0x20"),
        (b"\x1f\x8b\x08\2\0\0\0\0\0\3xx", "the checksum of its header is wrong"),
        (b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"n" * 300_000, "its header has no end"),
    ],
)
def test_headers_that_cannot_be_are_damage(head: bytes, words: str) -> None:
    data = stdlib.compress(b"first") + member_with(head)

    with pytest.raises(FormatError, match=f"damaged in member 2, near byte 25: {words}"):
        run(Decompressor(), data)


@pytest.mark.parametrize("members", [1, 2])
def test_a_cut_at_every_byte_is_truncation(members: int) -> None:
    """H59, P5."""
    member = stdlib.compress(b"row,of,text\n" * 40)
    data = member * members

    for size in range(1, len(data)):
        if size == len(member):
            assert run(Decompressor(), data[:size]) == b"row,of,text\n" * 40
            continue
        with pytest.raises(TruncatedError, match=f"inside member {1 + size // (len(member) + 1)}, after {size} bytes"):
            run(Decompressor(), data[:size])


@pytest.mark.parametrize("place", range(1, 9))
def test_a_wrong_byte_in_the_trailer_is_damage(place: int) -> None:
    """H59: checksum and length."""
    data = bytearray(stdlib.compress(b"row\n" * 1000))
    data[-place] ^= 1

    for at in (0, len(data) - 9, len(data) - 4):
        with pytest.raises(FormatError, match="damaged in member 1"):
            run(Decompressor(), data[:at], data[at:])


@pytest.mark.parametrize("data", [b"hello world, not gzip", b"\0\0\0\0", b"PK\x03\x04", b"\x1fx"])
def test_what_is_not_gzip_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError, match="this is not gzip data"):
        run(Decompressor(), data)


@pytest.mark.parametrize("garbage", [b"garbage!", b"\x1fx", b"\0\0x", b"\x1f\x8c"])
def test_something_else_behind_the_members_is_an_error_or_ignored(garbage: bytes) -> None:
    """H59."""
    data = stdlib.compress(b"rows") + garbage
    start = len(data) - len(garbage.lstrip(b"\0"))

    for at in range(len(data)):
        with pytest.raises(FormatError, match=rf"after member 1 .* at byte {start}.*trailing='ignore'"):
            run(Decompressor(), data[:at], data[at:])
        assert run(Decompressor(trailing="ignore"), data[:at], data[at:], b"more") == b"rows"


def test_a_first_byte_of_a_member_behind_the_last_is_truncation_unless_ignored() -> None:
    data = stdlib.compress(b"rows") + b"\x1f"

    with pytest.raises(TruncatedError, match="inside member 2"):
        run(Decompressor(), data)
    assert run(Decompressor(trailing="ignore"), data) == b"rows"


@pytest.mark.parametrize("size", [256 * 1024, 256 * 1024 + 1, 512 * 1024, 3 << 20])
def test_output_that_fills_the_pieces_exactly_is_whole(size: int) -> None:
    data = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)

    assert run(Decompressor(), stdlib.compress(data)) == data


def test_pieces_are_bounded_and_lazy() -> None:
    """H60."""
    bomb = stdlib.compress(bytes(8 << 20))
    pieces = Decompressor(max_ratio=None).feed(bomb)

    assert len(next(pieces)) <= 256 * 1024
    assert max(map(len, pieces)) <= 256 * 1024


# --- limits ----------------------------------------------------------------------------------------------------------


@functools.cache
def bomb_of(size: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(compressor.compress(bytes(1 << 20)) for _ in range(size >> 20)) + compressor.flush()


@pytest.mark.parametrize("size", [20 << 20, pytest.param(200 << 20, marks=pytest.mark.slow)])
def test_a_bomb_needs_little_memory(size: int) -> None:
    """H60: 200 MB of zeros in 200 KB, taken as one chunk."""
    bomb = bomb_of(size)
    tracemalloc.start()
    try:
        expanded = sum(map(len, Decompressor(max_ratio=None).feed(bomb)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert expanded == size
    assert peak < 4 << 20


def test_a_bomb_is_stopped_by_its_ratio() -> None:
    """H60."""
    with pytest.raises(LimitExceeded, match=r"expands 1\d\d\d times .* max_ratio=200.*bomb"):
        run(Decompressor(), bomb_of(64 << 20))


def test_a_bomb_behind_ordinary_data_is_stopped_too() -> None:
    """H60: the ratio is judged over a window, not over the whole."""
    with pytest.raises(LimitExceeded, match="max_ratio=200"):
        run(Decompressor(), stdlib.compress(random.Random(1).randbytes(1 << 20)) + bomb_of(64 << 20))


def test_ordinary_data_is_no_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression_limits, "RATIO_WINDOW", 1 << 17)

    assert run(Decompressor(), stdlib.compress(ROWS, 9)) == ROWS


@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
def test_max_output_bytes_is_exact(size: int, fits: bool) -> None:
    """H60."""
    data = stdlib.compress(b"x" * (size - 500)) + stdlib.compress(b"y" * 500)
    if fits:
        assert len(run(Decompressor(max_output_bytes=1000), data)) == size
    else:
        with pytest.raises(LimitExceeded, match="more than max_output_bytes=1000"):
            run(Decompressor(max_output_bytes=1000), data)
