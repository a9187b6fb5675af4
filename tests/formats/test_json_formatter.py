"""Items to JSON: what is written is what `json.loads` reads, in blocks that follow from the items alone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, UsageError
from streamflow.formats.json_formatter import ArrayFormatter, LineFormatter
from tests.formats.json_cases import library, same, values

__all__ = ["library"]

BOTH = pytest.mark.parametrize("kind", [LineFormatter, ArrayFormatter])


def blocks_of(formatter: LineFormatter, items: list[Any]) -> list[bytes]:
    return [*formatter.apply(iter(items)), *formatter.finish()]


def read(kind: type[LineFormatter], data: bytes) -> list[Any]:
    if kind is ArrayFormatter:
        return list(json.loads(data))
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


@BOTH
@pytest.mark.parametrize("name", ["json", "msgspec"])
@given(st.lists(values, max_size=8), st.integers(1, 40))
def test_what_is_written_is_read_again(name: str, kind: type[LineFormatter], items: list[Any], size: int) -> None:
    """L1, with each library."""
    with pytest.MonkeyPatch.context() as patch:
        if name == "json":
            patch.setattr("streamflow.formats.json_library._installed", lambda: None)
        assert same(read(kind, b"".join(blocks_of(kind(block_bytes=size), items))), items)


@BOTH
def test_blocks_follow_from_the_items_alone(library: str, kind: type[LineFormatter]) -> None:
    """L2: however the items are grouped on the way."""
    items = [{"id": number, "text": "x" * (number % 50)} for number in range(700)]
    at_once = blocks_of(kind(block_bytes=1_000), items)
    singly, stretches = kind(block_bytes=1_000), kind(block_bytes=1_000)

    assert [*itertools.chain.from_iterable(map(singly.feed, items)), *singly.finish()] == at_once
    grouped = [block for at in range(0, 700, 7) for block in stretches.apply(iter(items[at : at + 7]))]
    assert grouped + list(stretches.finish()) == at_once
    assert read(kind, b"".join(at_once)) == items
    assert all(1_000 <= len(block) < 1_200 for block in at_once[:-1])
    assert len(at_once) > 10


def test_the_bytes_are_plain(library: str) -> None:
    items = [{"a": "é\n", "b": [1, 2.5, None]}, "x"]
    assert blocks_of(LineFormatter(), items) == ['{"a":"é\\n","b":[1,2.5,null]}\n"x"\n'.encode()]
    assert blocks_of(ArrayFormatter(), items) == ['[\n{"a":"é\\n","b":[1,2.5,null]},\n"x"\n]\n'.encode()]


def test_no_items_give_no_lines_and_an_empty_array(library: str) -> None:
    """C7."""
    assert blocks_of(LineFormatter(), []) == []
    assert blocks_of(ArrayFormatter(), []) == [b"[]\n"]
    assert blocks_of(ArrayFormatter(block_bytes=1), [1, 2]) == [b"[\n1", b",\n2", b"\n]\n"]


@BOTH
def test_what_cannot_be_written_is_named_after_the_blocks_before_it(library: str, kind: type[LineFormatter]) -> None:
    out: list[bytes] = []
    with pytest.raises(FormatError, match=r"^item 301 cannot be written as JSON: .*object.*pass default="):
        out.extend(kind(block_bytes=8).apply(iter([*range(300), {"a": [object()]}, 5])))

    written = b"".join(out)
    assert written.count(b"\n") >= 290
    assert not written.rstrip().endswith(b"]")


@BOTH
def test_an_input_that_fails_leaves_no_ended_array(kind: type[LineFormatter]) -> None:
    """P5, P6: the blocks of the items before it are given, and no `]`."""

    def items() -> Iterator[int]:
        yield from range(10)
        raise OSError

    out: list[bytes] = []
    with pytest.raises(OSError):  # noqa: PT011
        out.extend(kind(block_bytes=4).apply(items()))
    assert len(out) >= 4
    assert b"]" not in b"".join(out)


@BOTH
def test_what_is_nested_too_deeply_is_named(library: str, kind: type[LineFormatter]) -> None:
    deep: list[Any] = []
    for _ in range(10**6):
        deep = [deep]
    with pytest.raises(FormatError, match=r"^item 2 cannot be written as JSON: it is nested too deeply"):
        blocks_of(kind(), [1, deep])


def test_an_error_of_default_stays_bare(library: str) -> None:
    def default(item: object) -> Any:
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        blocks_of(LineFormatter(default=default), [1, object()])


@pytest.mark.parametrize("options", [{"block_bytes": 0}, {"block_bytes": True}, {"default": 5}])
@BOTH
def test_options_that_mean_nothing_are_refused(kind: type[LineFormatter], options: dict[str, Any]) -> None:
    """F14."""
    with pytest.raises(UsageError):
        kind(**options)
