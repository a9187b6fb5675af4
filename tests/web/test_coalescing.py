"""Small chunks are joined, large ones split, no byte is lost, moved or held for longer than it may be."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.web.coalescing import PIECE, Coalescer, Pieces

CHUNKS = st.lists(st.sampled_from([0, 1, 5, 99, 100, 101, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7]), max_size=12)


def numbered(sizes):
    """Chunks of these sizes, in which each byte says where it stands."""
    total = bytes(range(251)) * (sum(sizes) // 251 + 1)
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    return [total[end - size : end] for end, size in zip(ends, sizes, strict=True)]


@given(CHUNKS, st.sampled_from([1, 100, PIECE, 10 * PIECE]))
def test_however_the_bytes_are_cut_they_come_out_as_they_went_in(sizes, least):
    coalescer, chunks = Coalescer(least), numbered(sizes)
    pieces = [piece for chunk in chunks for piece in coalescer.feed(chunk)]
    assert b"".join([*pieces, coalescer.take()]) == b"".join(chunks)
    assert all(0 < len(piece) <= PIECE for piece in pieces)


@given(CHUNKS)
def test_less_than_what_is_worth_sending_is_held(sizes):
    coalescer = Coalescer(100)
    for chunk in numbered(sizes):
        list(coalescer.feed(chunk))
        assert coalescer.held < 100


@given(st.lists(st.integers(0, 200), max_size=100))
def test_small_chunks_leave_together(sizes):
    coalescer = Coalescer(1000)
    pieces = [piece for chunk in numbered(sizes) for piece in coalescer.feed(chunk)]
    assert all(1000 <= len(piece) < 1200 for piece in pieces)


def test_a_chunk_of_the_right_size_is_not_copied():
    chunk = bytes(20_000)
    (piece,) = Coalescer(16_384).feed(chunk)
    assert piece is chunk


def test_a_chunk_that_has_no_room_beside_what_is_held_is_not_copied_either():
    coalescer, chunk = Coalescer(100), bytes(PIECE)
    list(coalescer.feed(b"small"))
    first, second = coalescer.feed(chunk)
    assert first == b"small"
    assert second is chunk


def test_a_huge_chunk_is_cut_only_as_far_as_it_is_taken():
    """H80: it is not there twice."""
    pieces = iter(Coalescer(1).feed(bytes(100 * PIECE)))
    assert len(next(pieces)) == PIECE


# --- with a clock ----------------------------------------------------------------------------------------------------


async def timeline(source, *, min_chunk=100, within=0.5):
    """When pieces left, and what they were; the rest at the end."""
    now = asyncio.get_running_loop().time
    start, left = now(), []

    async def taking(reader):
        pieces = Pieces(reader, min_chunk=min_chunk, within=within)
        while (some := await pieces.more()) is not None:
            left.append((round(now() - start, 3), b"".join(some)))
        return pieces.rest()

    return left, await sf.pipeline(source, taking)


async def at(*moments):
    """Give each item at its moment."""
    start = asyncio.get_running_loop().time()
    for moment, item in moments:
        await asyncio.sleep(start + moment - asyncio.get_running_loop().time())
        yield item


@pytest.mark.virtual_time
async def test_a_byte_is_held_for_no_longer_than_within():
    left, rest = await timeline(at((0, b"a"), (0.2, b"b"), (0.9, b"c"), (2, b"d")))
    assert left == [(0.5, b"ab"), (1.4, b"c")]
    assert rest == b"d"


@pytest.mark.virtual_time
async def test_a_full_piece_leaves_at_once():
    left, rest = await timeline(at((0.1, b"a" * 60), (0.2, b"b" * 60), (0.3, b"c")))
    assert left == [(0.2, b"a" * 60 + b"b" * 60)]
    assert rest == b"c"


@pytest.mark.virtual_time
async def test_the_clock_starts_anew_with_what_is_left_of_a_piece():
    left, rest = await timeline(at((0.1, b"a"), (0.4, b"b" * (PIECE + 3)), (2, b"")), min_chunk=10)
    assert [(moment, len(data)) for moment, data in left] == [(0.4, PIECE + 1), (0.9, 3)]
    assert rest == b""


@pytest.mark.virtual_time
async def test_without_time_nothing_is_held():
    left, _ = await timeline(at((0.1, b"a"), (0.2, b"b"), (0.3, b"")), within=0)
    assert left == [(0.1, b"a"), (0.2, b"b")]


@pytest.mark.virtual_time
async def test_an_empty_chunk_starts_no_clock_and_makes_no_piece():
    left, rest = await timeline(at((0.1, b""), (0.9, b"a"), (1.0, "")))
    assert (left, rest) == ([], b"a")


async def test_text_is_utf_8_and_anything_like_bytes_is_taken():
    _, rest = await timeline(["grün ", bytearray(b"ab "), memoryview(b"cd")])
    assert rest.decode() == "grün ab cd"


async def test_a_buffer_that_is_used_again_does_not_change_what_is_held():
    async def reused():
        buffer = bytearray(b"1")
        yield buffer
        await asyncio.sleep(0)
        buffer[:] = b"2"
        yield buffer

    assert (await timeline(reused()))[1] == b"12"


@pytest.mark.parametrize("item", [{"row": 1}, None, 3])
async def test_anything_else_is_refused_with_what_to_write(item):
    with pytest.raises(sf.UsageError, match=r"item 2 of its stream is of type .*web\.ndjson"):
        await timeline([b"a", item])


async def test_what_the_stream_raises_comes_through():
    async def failing():
        yield b"a"
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await timeline(failing())
