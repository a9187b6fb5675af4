"""A stream of rows of any kind as a CSV download."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import io
import sqlite3
from typing import NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.formats.csv_dialect import resolve_dialect
from streamflow.web.tables import Rows, csv_download
from tests.web.calling import call
from tests.web.servers import fetch, serving
from tests.web.test_ndjson import app_of, reading


@dataclasses.dataclass
class Order:
    id: int
    name: str


@dataclasses.dataclass(slots=True)
class Slotted:
    id: int
    name: str


class Named(NamedTuple):
    id: int
    name: str


class Struct(msgspec.Struct):
    id: int
    name: str


class Model(pydantic.BaseModel):
    id: int
    name: str


class Priced(pydantic.BaseModel):
    cents: int

    @pydantic.computed_field
    @property
    def price(self) -> str:
        return f"{self.cents / 100:.2f} EUR"


def rows_of(make):
    return [make(id=1, name='Größe, "x"'), make(id=2, name="a\nb")]


async def sent(*args, **options):
    return await call(csv_download(*args, **{"filename": "rows.csv", **options}))


async def served(*args):
    async with serving(app_of(lambda: csv_download(*args, filename="rows.csv"))) as url:
        return await fetch(url)


EXPECTED = 'id,name\r\n1,"Größe, ""x"""\r\n2,"a\nb"\r\n'.encode()


@pytest.mark.parametrize("make", [dict, Order, Slotted, Named, Struct, Model])
async def test_rows_of_every_kind_become_the_same_file(make):
    answer = await sent(rows_of(make))

    assert answer.complete
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == 'attachment; filename="rows.csv"'
    assert answer.body == EXPECTED


async def test_rows_of_a_database_become_the_same_file():
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    try:
        rows = connection.execute("select 1 as id, 'x' as name").fetchall()
        assert (await sent(rows)).body == b"id,name\r\n1,x\r\n"
    finally:
        connection.close()


async def test_lists_and_tuples_need_the_names_of_their_columns():
    assert (await sent([[1, "a"], (2, "b")], columns=["id", "name"])).body == b"id,name\r\n1,a\r\n2,b\r\n"
    with pytest.raises(sf.FormatError, match="row 1 is a list, which has no names for the header"):
        await sent([[1, "a"]])


async def test_columns_are_in_the_order_that_was_asked_for():
    answer = await sent([Order(1, "a")], columns=("name", "id"))

    assert answer.body == b"name,id\r\na,1\r\n"


async def test_fields_that_are_no_column_are_an_error_or_left_out():
    with pytest.raises(sf.FormatError, match="row 1: it has the columns name"):
        await sent([Order(1, "a")], columns=["id"])
    assert (await sent([Order(1, "a")], columns=["id"], extra="ignore")).body == b"id\r\n1\r\n"


async def test_columns_that_a_row_lacks_are_an_error_or_filled():
    rows = [{"id": 1, "name": "a"}, {"id": 2}]

    with pytest.raises(sf.FormatError, match="row 2: the columns name are missing"):
        await sent(rows)
    assert (await sent(rows, missing="-")).body == b"id,name\r\n1,a\r\n2,-\r\n"


async def test_without_rows_the_header_is_sent_if_it_is_known():
    assert (await sent([], columns=["id", "name"])).body == b"id,name\r\n"
    empty = await sent([])
    assert (empty.status, empty.body, empty.complete) == (200, b"", True)


async def test_text_that_a_spreadsheet_would_run_is_disarmed_on_request():
    rows = [{"=a": "=1+1", "b": -1}]

    assert (await sent(rows)).body == b"=a,b\r\n=1+1,-1\r\n"
    assert (await sent(rows, escape_formulas=True)).body == b"'=a,b\r\n'=1+1,-1\r\n"


async def test_the_dialect_and_the_encoding_are_the_users():
    answer = await sent(
        [{"a": "ä", "b": "1;2"}], delimiter=";", lineterminator="\n", quoting=csv.QUOTE_ALL, encoding="utf-8-sig"
    )

    assert answer.body == '\ufeff"a";"b"\n"ä";"1;2"\n'.encode()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    latin = await sent([{"a": "ä"}], encoding="latin-1", dialect="excel-tab")
    assert latin.body == b"a\r\n\xe4\r\n"
    assert latin.headers["content-type"] == "text/csv; charset=iso8859-1; header=present"


async def test_a_name_with_any_characters_reaches_the_browser():
    answer = await sent([], filename="Größe “€” 表.csv")

    told = answer.headers["content-disposition"]
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%E2%80%9C%E2%82%AC%E2%80%9D%20%E8%A1%A8.csv" in told
    assert told.isascii()


async def test_options_are_those_of_a_response():
    response = csv_download([], filename="a.csv", status_code=203, headers={"x-rows": "1"}, media_type="text/plain")

    assert response.status_code == 203
    assert response.headers["x-rows"] == "1"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "wrong",
    [
        {"delimiter": "::"},
        {"encoding": "utf-99"},
        {"extra": "drop"},
        {"columns": ["a", "a"]},
        {"columns": "id"},
        {"columns": []},
        {"filename": "a/b"},
    ],
)
def test_options_that_mean_nothing_are_refused_at_once(wrong):
    with pytest.raises(sf.UsageError):
        csv_download([], **{"filename": "a.csv", **wrong})


async def test_a_row_is_with_the_client_before_the_next_is_made():
    go_on = asyncio.Event()

    async def rows():
        yield Order(1, "a")
        await go_on.wait()
        yield Order(2, "b")

    async with serving(app_of(lambda: csv_download(rows(), filename="a.csv"))) as url, reading(url) as (_, chunk):
        assert await chunk() == b"id,name\r\n1,a\r\n"
        go_on.set()
        assert await chunk() == b"2,b\r\n"


async def test_a_row_that_cannot_be_written_at_the_beginning_is_a_500():
    """H78"""
    answer = await served([{"a": 1}, {"b": 1}])

    assert (answer.status, answer.complete) == (500, True)


async def test_a_row_that_cannot_be_written_later_breaks_the_connection_behind_whole_rows():
    """H79"""
    rows = [*({"id": number, "name": "x" * 20} for number in range(5_000)), {"id": 5_000}]

    answer = await served(rows)

    assert (answer.status, answer.complete) == (200, False)
    got = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["id"] for row in got] == [str(number) for number in range(len(got))]
    assert len(got) > 100


async def test_a_failure_names_the_row_of_all_that_were_sent():
    formatter = Rows(resolve_dialect("excel", {}))

    for number in range(10):
        list(formatter.apply(iter([{"id": number}])))
        list(formatter.flush())
    with pytest.raises(sf.FormatError, match="row 11: "):
        list(formatter.apply(iter([{"name": "x"}])))


def test_a_model_decides_how_its_fields_are_written():
    formatter = Rows(resolve_dialect("excel", {}))

    assert (
        b"".join([*formatter.apply(iter([Priced(cents=950)])), *formatter.finish()])
        == b"cents,price\r\n950,9.50 EUR\r\n"
    )


texts = st.text(alphabet='ab,"\r\n=é\ud7ff', max_size=4)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("header", [True, ("a", "b")])
@given(data=st.data())
def test_the_bytes_are_the_same_wherever_they_are_brought_out(encoding, header, data):
    rows = data.draw(st.lists(st.fixed_dictionaries({"a": texts | st.integers(), "b": texts}), max_size=12))
    flushes = data.draw(st.lists(st.booleans(), min_size=len(rows) + 1, max_size=len(rows) + 1))
    made = [Rows(resolve_dialect("excel", {}), header=header, encoding=encoding, block_bytes=30) for _ in range(2)]
    apart, together = made
    got = b"".join(apart.flush())
    for row, flushed in zip(rows, flushes, strict=False):
        got += b"".join([*apart.apply(iter([row])), *(apart.flush() if flushed else ())])
    got += b"".join(apart.finish())

    assert got == b"".join([*together.apply(iter(rows)), *together.finish()])
