"""The parser of frames: wherever the bytes are cut, the frames and the errors are the same."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats.frames_parser import Parser
from streamflow.formats.frames_prefix import prefix_of

NAMES = ["u8", "u16be", "u16le", "u32be", "u32le", "u64be", "u64le", "varint"]
FRAMES = [b"", b"a", b"x" * 200, b"", b"", b"\x80\x01", b"last"]

cuts = st.lists(st.integers(0, 300), max_size=12)


def packed(name: Any, frames: list[bytes]) -> bytes:
    return b"".join(prefix_of(name).write(len(frame)) + frame for frame in frames)


def chunks_of(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def outcome(parser: Parser, chunks: list[bytes]) -> tuple[list[bytes], str]:
    """What came out, and the error that ended it."""
    out: list[bytes] = []
    try:
        for chunk in chunks:
            out.extend(parser.feed(chunk))
        out.extend(parser.finish())
    except FormatError as error:
        return out, f"{type(error).__name__}: {error}"
    return out, ""


@pytest.mark.parametrize("name", NAMES)
def test_frames_come_back_at_every_cut_and_byte_by_byte(name: Any) -> None:
    """L1, C7."""
    data = packed(name, FRAMES)

    for at in range(len(data) + 1):
        assert outcome(Parser(name), [data[:at], data[at:]]) == (FRAMES, "")
    assert outcome(Parser(name), [data[at : at + 1] for at in range(len(data))]) == (FRAMES, "")


@given(st.sampled_from(NAMES), st.lists(st.binary(max_size=255), max_size=8), cuts)
def test_frames_come_back_at_any_cuts(name: Any, frames: list[bytes], at: list[int]) -> None:
    """L1."""
    assert outcome(Parser(name), chunks_of(packed(name, frames), at)) == (frames, "")


def test_frames_larger_than_what_is_looked_at_in_one_step_come_back() -> None:
    frames = [bytes([n]) * size for n, size in enumerate([65_535, 65_536, 200_000, 0, 3])]
    data = packed("u32be", frames)

    assert outcome(Parser(), [data]) == (frames, "")
    assert outcome(Parser(), [data[at : at + 1000] for at in range(0, len(data), 1000)]) == (frames, "")


def test_no_data_is_no_frame() -> None:
    """C7."""
    assert outcome(Parser(), []) == ([], "")
    assert outcome(Parser(), [b"", b""]) == ([], "")


@pytest.mark.parametrize("name", NAMES)
def test_data_that_ends_inside_a_frame_is_truncated_wherever_it_ends(name: Any) -> None:
    """P2: no end but a clean one looks clean."""
    data = packed(name, FRAMES)
    ends = {0: 0}
    for count in range(1, len(FRAMES) + 1):
        ends[len(packed(name, FRAMES[:count]))] = count
    for end in range(len(data)):
        out, error = outcome(Parser(name), [data[:end]])
        whole = max(count for edge, count in ends.items() if edge <= end)
        begins = max(edge for edge in ends if edge <= end)

        assert out == FRAMES[:whole]
        if end in ends:
            assert not error
        else:
            assert error.startswith("TruncatedError: the data ends inside")
            assert f"frame {whole + 1}, which begins at byte offset {begins}" in error


def test_the_error_for_a_cut_frame_says_how_much_is_missing() -> None:
    parser = Parser("u8")
    assert list(parser.feed(b"\x01a\x05bcd")) == [b"a"]
    with pytest.raises(TruncatedError, match="inside frame 2, which begins at byte offset 2: 3 of its 5 bytes"):
        parser.finish()


@pytest.mark.parametrize("name", NAMES)
def test_a_length_beyond_the_limit_is_an_error_after_the_frames_before_it(name: Any) -> None:
    """The same at every cut."""
    good = [b"ok", b"x" * 100]
    data = packed(name, [*good, b"y" * 101, b"never"])
    offset = len(packed(name, good))
    expected = (
        good,
        f"LimitExceeded: frame 3 at byte offset {offset} is said to have 101 bytes, more than max_frame=100",
    )

    for at in range(len(data) + 1):
        out, error = outcome(Parser(name, max_frame=100), [data[:at], data[at:]])
        assert (out, error.split(";")[0]) == expected


@pytest.mark.parametrize("name", ["u32be", "u64le", "varint"])
def test_a_length_is_refused_when_it_is_read_and_no_memory_is_taken(name: Any) -> None:
    """A hostile length: gigabytes are announced, nothing is taken."""
    head = prefix_of(name).write(0xFFFF_FFFF)
    parser = Parser(name)
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded, match="4294967295 bytes"):
            list(parser.feed(head))
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


def test_a_long_frame_in_tiny_chunks_takes_no_more_than_its_size() -> None:
    """One object for each chunk would take forty times as much."""
    parser = Parser("u32be", max_frame=1 << 15)
    tracemalloc.start()
    try:
        list(parser.feed(prefix_of("u32be").write(1 << 15)))
        for _ in range((1 << 14) - 1):
            assert not list(parser.feed(b"ab"))
        assert tracemalloc.get_traced_memory()[1] < 2 << 15
    finally:
        tracemalloc.stop()


def test_frames_of_a_big_chunk_are_made_lazily() -> None:
    data = packed("u8", [b"ok"] * 100_000) + b"\xff"
    frames = iter(Parser("u8", max_frame=10).feed(data))

    assert next(frames) == b"ok"


def test_a_varint_without_end_is_named() -> None:
    out, error = outcome(Parser("varint"), [b"\x01a", *[b"\xff"] * 10])

    assert out == [b"a"]
    assert error.startswith("FormatError: frame 2 at byte offset 2 begins with a varint of more than 64 bits")


def test_mutable_chunks_are_taken_as_they_were() -> None:
    """H56."""
    parser = Parser("u8")
    buffer = bytearray(b"\x04ab")
    list(parser.feed(buffer))
    buffer[:] = b"zzz"

    assert list(parser.feed(memoryview(b"cd"))) == [b"abcd"]


def test_options_and_items_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="max_frame"):
        Parser(max_frame=0)
    with pytest.raises(UsageError, match=r"frames.parse takes items of bytes, not str. Put text.encode\(\) before it"):
        Parser().feed("text")  # type: ignore[arg-type]  # the mistake is the point


def test_fuzzed_the_parser_gives_frames_or_a_named_error_the_same_at_every_cut() -> None:
    """Any bytes: never anything but frames and a FormatError, and what is held is never more than the limit."""
    inputs = 3000
    for seed in range(inputs):
        rng = random.Random(seed)
        name: Any = rng.choice(NAMES)
        data = bytearray(packed(name, [rng.randbytes(rng.randrange(40)) for _ in range(rng.randrange(6))]))
        for _ in range(rng.randrange(4)):
            if data:
                data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        whole = outcome(Parser(name, max_frame=30), [bytes(data)])
        parts = chunks_of(bytes(data), [rng.randrange(len(data) + 1) for _ in range(rng.randrange(6))])

        assert outcome(Parser(name, max_frame=30), parts) == whole
        assert all(len(frame) <= 30 for frame in whole[0])
    print(f"frames.parse: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`
