"""What can be written as JSON, with msgspec and without; and what is refused."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import sqlite3
import uuid
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from streamflow.errors import MissingExtra
from streamflow.formats.json_encoder import Encoder
from tests.formats.json_cases import library

__all__ = ["library"]


@dataclasses.dataclass
class Point:
    x: int
    y: float | None = None


class Model(pydantic.BaseModel):
    when: dt.date


class Pair(NamedTuple):
    a: int
    b: str


class Name(str):
    __slots__ = ()


class Colour(enum.Enum):
    RED = "red"


def database_row() -> Any:
    connection = sqlite3.connect(":memory:")
    try:
        connection.row_factory = sqlite3.Row
        return connection.execute("select 1 as id, 'x' as name").fetchone()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"é": "\x00\n"}, '{"é":"\\u0000\\n"}'),
        ((1, [2]), "[1,[2]]"),
        (2**70, str(2**70)),
        (-0.0, "-0.0"),
        ({1: 2}, '{"1":2}'),
        (collections.OrderedDict(a=1), '{"a":1}'),
        (Name("x"), '"x"'),
        ({"a": Name("x"), Name("k"): True}, '{"a":"x","k":true}'),
        (Pair(1, "x"), '[1,"x"]'),
        (Model(when=dt.date(2024, 5, 1)), '{"when":"2024-05-01"}'),
        ([Model(when=dt.date(2024, 5, 1))], '[{"when":"2024-05-01"}]'),
    ],
)
def test_plain_values_and_models_are_written_alike_with_each_library(library: str, item: Any, text: str) -> None:
    assert Encoder().one(item) == text.encode()
    assert Encoder().many([1, item]) == f"1\n{text}\n".encode()


def test_keys_that_only_the_standard_library_knows_are_written(library: str) -> None:
    assert Encoder().one({None: 1, True: 2}) == b'{"null":1,"true":2}'


def test_rows_of_databases_are_objects(library: str) -> None:
    assert Encoder().one(database_row()) == b'{"id":1,"name":"x"}'


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (Point(1), '{"x":1,"y":null}'),
        (dt.datetime(2024, 5, 1, tzinfo=dt.UTC), '"2024-05-01T00:00:00Z"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (decimal.Decimal("1.10"), '"1.10"'),
        (Colour.RED, '"red"'),
        (b"ab", '"YWI="'),
        (msgspec.defstruct("S", ["a"])(1), '{"a":1}'),
    ],
)
def test_msgspec_writes_more(item: Any, text: str) -> None:
    assert Encoder().one([item]) == f"[{text}]".encode()


@pytest.mark.parametrize("item", [Point(1), dt.date(2024, 5, 1), dt.time(1)])
def test_without_msgspec_that_needs_the_extra(monkeypatch: pytest.MonkeyPatch, item: Any) -> None:
    monkeypatch.setattr("streamflow.formats.json_library._installed", lambda: None)
    with pytest.raises(MissingExtra, match=r'of type \w+ needs msgspec: pip install -e "\.\[json\]"'):
        Encoder().one({"a": item})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("within", [lambda x: x, lambda x: [None, x], lambda x: {"a": ({"b": x},), "c": 1.0}])
def test_numbers_that_are_no_json_are_refused(library: str, bad: float, within: Any) -> None:
    """msgspec alone would write null."""
    for encode in (Encoder().one, lambda item: Encoder().many([1.5, None, item])):
        with pytest.raises(ValueError, match="JSON"):
            encode(within(bad))


@pytest.mark.parametrize("item", [Point(1, float("nan")), [Point(1, float("inf"))], {"a": {Point(1).y, float("nan")}}])
def test_they_are_refused_inside_objects_too(item: Any) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        Encoder().one(item)


def test_a_null_that_is_meant_is_written(library: str) -> None:
    items = [None, "null", {"null": [1.5, None]}, (None,), {"a": None, "b": 2**70}]
    assert [json.loads(line) for line in Encoder().many(items).splitlines()] == [*items[:3], [None], items[4]]


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize("item", ["\ud800", {"\udfff": 1}, {(1,): 2}, object(), circle()])
def test_what_json_does_not_know_is_refused(library: str, item: Any) -> None:
    with pytest.raises((ValueError, TypeError, RecursionError)):
        Encoder().one(item)


def test_a_raw_text_must_stand_on_one_line() -> None:
    assert Encoder().one(msgspec.Raw(b"[1, null]")) == b"[1, null]"
    with pytest.raises(ValueError, match="Raw"):
        Encoder().one(msgspec.Raw(b"[1,\n2]"))


def test_default_makes_something_known(library: str) -> None:
    encoder = Encoder(default=lambda item: {"real": item.real, "imag": [item.imag]})
    assert encoder.one({"z": 1 + 2j}) == b'{"z":{"real":1.0,"imag":[2.0]}}'
