"""The JSON stages: options reach the codecs, bad ones are refused, bad lines are skipped, nothing cut looks whole."""

from __future__ import annotations

import dataclasses
import json as stdlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

import streamflow as sf
from streamflow.errors import FormatError, MissingExtra, TruncatedError, UsageError
from streamflow.formats import json
from tests.formats.json_cases import library

__all__ = ["library"]

ROWS = [{"id": number, "name": "é" * (number % 9), "price": number / 3} for number in range(3_000)]


@dataclasses.dataclass
class Data:
    id: int
    name: str
    price: float


class Dictionary(TypedDict):
    id: int
    name: str
    price: float


class Struct(msgspec.Struct):
    id: int
    name: str
    price: float


class Model(pydantic.BaseModel):
    id: int
    name: str
    price: float


class Pair(NamedTuple):
    a: int
    b: str


async def written(stage: sf.Stage[Any, bytes], items: Any) -> bytes:
    return b"".join(await sf.pipeline(items, stage, sf.collect()))


def chunked(data: bytes, size: int = 50_000) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1_000, 65_536, 10_000_000])
async def test_lines_and_arrays_come_back(library: str, size: int) -> None:
    """L1, P2."""
    lines = await written(json.format_lines(), ROWS)
    array = await written(json.format_array(), ROWS)

    assert [stdlib.loads(line) for line in lines.splitlines()] == ROWS
    assert stdlib.loads(array) == ROWS
    assert await sf.pipeline(chunked(lines, size), json.parse_lines(), sf.collect()) == ROWS
    assert await sf.pipeline(chunked(array, size), json.parse_array(), sf.collect()) == ROWS


@pytest.mark.parametrize("kind", [Data, Dictionary, Struct, Model], ids=lambda kind: kind.__name__)
async def test_typed_items_come_back(kind: Any) -> None:
    """L1."""
    items = [kind(**row) for row in ROWS[:500]]
    lines = await written(json.format_lines(), items)
    array = await written(json.format_array(), items)

    assert await sf.pipeline(chunked(lines), json.parse_lines(type=kind), sf.collect()) == items
    assert await sf.pipeline(chunked(array), json.parse_array(type=kind), sf.collect()) == items


async def test_other_types_are_read_too() -> None:
    assert await sf.pipeline([b'[1,"x"]\n'], json.parse_lines(type=Pair), sf.collect()) == [Pair(1, "x")]
    assert await sf.pipeline([b'1\n"x"\n'], json.parse_lines(type=int | str), sf.collect()) == [1, "x"]
    models = await sf.pipeline([b'[[{"id":1,"name":"x","price":2}]]'], json.parse_array(type=list[Model]), sf.collect())
    assert models == [[Model(id=1, name="x", price=2)]]


async def test_no_data() -> None:
    """C7."""
    assert await written(json.format_lines(), []) == b""
    assert await written(json.format_array(), []) == b"[]\n"
    assert await sf.pipeline([], json.parse_lines(), sf.collect()) == []
    with pytest.raises(TruncatedError):
        await sf.pipeline([], json.parse_array(), sf.collect())


async def test_an_upstream_that_fails_leaves_no_ended_array() -> None:
    """P5, P6."""

    async def rows() -> AsyncIterator[int]:
        for number in range(100):
            yield number
        raise OSError("source")

    out: list[bytes] = []
    with pytest.raises(OSError, match="source"):
        await sf.pipeline(rows(), json.format_array(block_bytes=20), sf.for_each(out.append))
    assert len(out) > 3
    with pytest.raises(stdlib.JSONDecodeError):
        stdlib.loads(b"".join(out))


BAD_LINES = b'{"id":1,"name":"a","price":1}\n{"id":"x"}\n\nfoo\n{"id":2,"name":"b","price":2}\n[]\n'


@pytest.mark.parametrize("kind", [Data, Model])
@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_bad_lines_go_to_the_dead_letters(kind: Any, size: int) -> None:
    letters: list[sf.DeadLetter[Any]] = []
    stage = json.parse_lines(type=kind, bad=sf.skip_errors(FormatError, to=letters.append))

    items = await sf.pipeline(chunked(BAD_LINES, size), stage, sf.collect())

    assert [item.id for item in items] == [1, 2]
    assert [(letter.number, letter.item, letter.stage) for letter in letters] == [
        (2, b'{"id":"x"}', "json.parse_lines"),
        (4, b"foo", "json.parse_lines"),
        (6, b"[]", "json.parse_lines"),
    ]
    assert [str(letter.error)[:7] for letter in letters] == ["line 2:", "line 4,", "line 6:"]


async def test_bad_items_of_an_array_go_to_a_channel() -> None:
    letters: sf.Channel[sf.DeadLetter[Any]] = sf.Channel(10)
    stage = json.parse_array(type=dict[str, int], bad=sf.skip_errors(to=letters))

    items = await sf.pipeline([b'[{"a":1},{"a":"x"},nul', b'l,{"b":2}]'], stage, sf.collect())

    letters.close()
    assert items == [{"a": 1}, {"b": 2}]
    assert [(letter.number, letter.item) async for letter in letters] == [(2, b'{"a":"x"}'), (3, b"null")]


async def test_one_bad_line_too_many_ends_the_stream_after_the_items_before_it() -> None:
    """P3."""
    out: list[Any] = []
    stage = json.parse_lines(bad=sf.skip_errors(budget=1))
    with pytest.raises(FormatError, match="line 4") as caught:
        await sf.pipeline([b"1\nx\n2\ny\n3\n"], stage, sf.for_each(out.append))
    assert out == [1, 2]
    assert any("2 of 4 items failed" in note for note in caught.value.__notes__)


async def test_data_that_is_cut_is_never_skipped() -> None:
    """P5."""
    for stage, data in ((json.parse_lines, b'1\n{"a":'), (json.parse_array, b'[1,{"a":')):
        out: list[Any] = []
        with pytest.raises(TruncatedError):
            await sf.pipeline([data], stage(bad=sf.skip_errors()), sf.for_each(out.append))
        assert out == [1]


async def test_an_error_is_the_stage_s() -> None:
    """P4."""
    with pytest.raises(FormatError, match=r"line 2, column 1: Expecting value") as caught:
        await sf.pipeline([b"1\nx\n"], json.parse_lines(), sf.collect())
    assert any("'json.parse_lines'" in note for note in caught.value.__notes__)
    with pytest.raises(FormatError, match="item 2 cannot be written as JSON") as caught:
        await sf.pipeline([1, object()], json.format_lines(), sf.collect())
    assert any("'json.format_lines'" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("parse", [json.parse_lines, json.parse_array])
def test_types_need_the_extra_at_once(parse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamflow.formats.json_library._installed", lambda: None)
    with pytest.raises(MissingExtra, match=r'type=Data\) needs msgspec: pip install -e "\.\[json\]"'):
        parse(type=Data)
    parse(type=Model)
    parse()


@pytest.mark.parametrize("options", [{"bad": "skip"}, {"bad": None}, {"encoding": "nope"}, {"type": 5}, {"errors": 5}])
@pytest.mark.parametrize("parse", [json.parse_lines, json.parse_array])
def test_options_that_mean_nothing_are_refused_at_once(parse: Any, options: dict[str, Any]) -> None:
    """F14."""
    with pytest.raises(UsageError):
        parse(**options)


def test_limits_that_mean_nothing_are_refused_at_once() -> None:
    """F14."""
    with pytest.raises(UsageError, match="max_line_bytes"):
        json.parse_lines(max_line_bytes=0)
    with pytest.raises(UsageError, match="max_item_bytes"):
        json.parse_array(max_item_bytes=0)
    for format_ in (json.format_lines, json.format_array):
        with pytest.raises(UsageError, match="block_bytes"):
            format_(block_bytes=0)


def test_the_stages_say_what_they_hold() -> None:
    assert json.parse_lines(max_line_bytes=100).holds == 200
    assert json.parse_array(max_item_bytes=100).holds == 200
    assert json.format_lines(block_bytes=100).holds == json.format_array(block_bytes=100).holds == 200
    assert json.parse_lines().name == "json.parse_lines"
