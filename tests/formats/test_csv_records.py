"""Rows of CSV that become records, and bad ones that are skipped: with their lines, at every cut."""

from __future__ import annotations

import dataclasses
from typing import Any

import pydantic
import pytest

import streamflow as sf
from streamflow.errors import FormatError, TruncatedError, UsageError
from streamflow.formats import csv
from streamflow.formats.csv_records import RecordParser
from tests.formats.json_cases import each_cut, outcome, run

DIALECT = csv.resolve_dialect("excel", {"strict": True})


@dataclasses.dataclass
class Order:
    id: int
    name: str
    price: float | None = None


class Model(pydantic.BaseModel):
    id: int
    name: str


def parser(rows: Any = Order, **options: Any) -> RecordParser:
    return RecordParser(DIALECT, rows=rows, **options)


GOOD = b'\xef\xbb\xbfid,name,price\r\n1,"a\nb",\r\n\r\n2,"\xc3\xa9",2.5\r\n3,c,1'
ORDERS = [Order(1, "a\nb"), Order(2, "é", 2.5), Order(3, "c", 1.0)]


def test_rows_become_records_at_every_cut() -> None:
    """L1."""
    for chunks in each_cut(GOOD):
        assert run(parser(), chunks) == ORDERS
    assert run(parser(Model), [GOOD]) == [Model(id=1, name="a\nb"), Model(id=2, name="é"), Model(id=3, name="c")]
    assert run(parser(header=["id", "name"]), ["1,a\n"]) == [Order(1, "a")]


def test_a_bad_field_is_named_with_its_line_after_the_records_before_it() -> None:
    """L1: lines count, also those in quotes and blank ones."""
    data = b'id,name,price\n\n1,"a\nb",\n\n2,x,cheap\n3,y,1\n'
    for chunks in each_cut(data):
        assert outcome(parser(), chunks) == (
            [ORDERS[0]],
            "FormatError: line 6: column 'price': 'cheap' is no `float | null`",
        )


def test_rows_of_a_wrong_length_are_named_with_their_line() -> None:
    data = b"id,name,price\n1,a,1\n\n2,b\n3,c,1,1\n"
    for chunks in each_cut(data):
        out, error = outcome(parser(), chunks)
        assert out == [Order(1, "a", 1.0)]
        assert error.startswith("FormatError: line 4: 3 fields expected")
    assert run(parser(ragged="pad"), [data[:-8]]) == [Order(1, "a", 1.0), Order(2, "b")]


def test_a_header_without_a_column_that_is_needed_is_named_at_once() -> None:
    with pytest.raises(FormatError, match=r"^line 2: the header has no column 'id', 'name', which the type needs"):
        list(parser().feed(b"\nprice\n1\n"))
    with pytest.raises(UsageError, match="no column 'name'"):
        parser(header=["id"])


def test_what_ends_the_rows_comes_after_the_records() -> None:
    """P5."""
    out, error = outcome(parser(), [GOOD + b'\n4,"d'])
    assert out == ORDERS
    assert error.startswith("TruncatedError")
    with pytest.raises(TruncatedError):
        run(parser(), [b"id,name\n1,\xc3"])


async def collect(data: bytes, **options: Any) -> tuple[list[Any], list[Any]]:
    letters: list[Any] = []
    stage = csv.parse(bad=sf.skip_errors(to=letters.append), **options)
    rows = await sf.pipeline([data[:9], data[9:]], stage, sf.collect())
    return rows, [(letter.number, letter.item, str(letter.error)) for letter in letters]


MIXED = b"id,name,price\n1,a,1\nx,b,\n2,b\n\n3,c,3\n4,d,4,4\n5,e,\n"


async def test_bad_rows_go_to_the_dead_letters() -> None:
    rows, letters = await collect(MIXED, rows=Order)

    assert rows == [Order(1, "a", 1.0), Order(3, "c", 3.0), Order(5, "e")]
    assert [letter[:2] for letter in letters] == [
        (3, {"id": "x", "name": "b", "price": ""}),
        (4, ["2", "b"]),
        (7, ["4", "d", "4", "4"]),
    ]
    assert letters[0][2] == "line 3: column 'id': 'x' is no `int`"


async def test_rows_without_a_type_are_skipped_too() -> None:
    rows, letters = await collect(MIXED)
    assert [row["id"] for row in rows] == ["1", "x", "3", "5"]
    assert [letter[:2] for letter in letters] == [(4, ["2", "b"]), (7, ["4", "d", "4", "4"])]

    lists, letters = await collect(MIXED, rows="lists")
    assert [row[0] for row in lists] == ["1", "x", "3", "5"]
    assert len(letters) == 2


async def test_one_bad_row_too_many_ends_the_stream() -> None:
    stage = csv.parse(rows=Order, bad=sf.skip_errors(budget=1))
    out: list[Any] = []
    with pytest.raises(FormatError, match="line 4") as caught:
        await sf.pipeline([MIXED], stage, sf.for_each(out.append))
    assert out == [Order(1, "a", 1.0)]
    assert any("budget=1" in note for note in caught.value.__notes__)


async def test_the_stage_gives_records() -> None:
    assert await sf.pipeline([GOOD], csv.parse(rows=Order), sf.collect()) == ORDERS


@pytest.mark.parametrize(
    "options",
    [
        {"rows": int},
        {"rows": Order, "header": False},
        {"rows": Order, "ragged": "keep"},
        {"rows": "tuples", "bad": sf.skip_errors()},
        {"rows": Order, "bad": "skip"},
        {"bad": "skip"},
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    """F14."""
    with pytest.raises(UsageError):
        csv.parse(**options)
