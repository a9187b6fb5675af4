from __future__ import annotations

import array

import hypothesis
import hypothesis.strategies as st
import pytest

from streamflow.errors import UsageError
from streamflow.places.blocks import Gather, positive


@hypothesis.given(items=st.lists(st.binary(max_size=20)), sizes=st.lists(st.integers(0, 25)))
def test_however_it_is_cut_the_bytes_stay_the_same(items, sizes):
    gather = Gather("sink")
    for item in items:
        gather.add(item)
    whole = b"".join(items)
    taken = [gather.take(size) for size in sizes]

    assert all(len(block) == size or not len(gather) for block, size in zip(taken, sizes, strict=True))
    assert len(gather) == len(whole) - sum(map(len, taken))
    assert b"".join(taken) + gather.take() == whole
    assert len(gather) == 0


def test_a_buffer_that_is_used_again_is_copied():
    """H56."""
    gather, buffer = Gather("sink"), bytearray(b"abc")
    gather.add(buffer)
    gather.add(memoryview(buffer)[1:])
    buffer[:] = b"xyz"

    assert gather.take() == b"abcbc"


def test_any_buffer_is_taken_as_its_bytes():
    gather = Gather("sink")
    gather.add(array.array("H", [1, 2]))

    assert gather.take() == array.array("H", [1, 2]).tobytes()


@pytest.mark.parametrize(
    ("item", "advice"),
    [("text", "str.encode"), ({"a": 1}, r"csv\.format"), ([1], "format"), (None, "format"), (7, "format")],
)
def test_items_that_are_not_bytes_are_refused_with_what_to_put_before(item, advice):
    with pytest.raises(UsageError, match=advice) as caught:
        Gather("files.write(x)").add(item)
    assert "files.write(x)" in str(caught.value)
    assert type(item).__name__ in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8", None])
def test_a_size_is_a_whole_number_of_at_least_one(value):
    with pytest.raises(UsageError, match="block"):
        positive("block", value)
    assert positive("block", 1) == 1


def test_large_pieces_stay_as_they_came_and_small_ones_are_put_end_to_end():
    """A part of ten thousand small items would hold ten thousand views otherwise."""
    gather, large = Gather("test"), bytes(100_000)
    for _ in range(3):
        gather.add(large)
    pieces = gather.pieces(250_000)
    assert [view.obj for view in pieces.views] == [large] * 3
    assert all(view.obj is large for view in pieces.views)
    assert (len(pieces), pieces.whole(), len(gather)) == (250_000, bytes(250_000), 50_000)

    small = Gather("test")
    for number in range(1000):
        small.add(b"%03d" % number)
    assert len((pieces := small.pieces()).views) == 1
    assert pieces.whole() == b"".join(b"%03d" % number for number in range(1000))
    assert small.pieces().whole() == b""
