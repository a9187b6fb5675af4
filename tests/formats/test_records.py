"""Rows of text to records: each type by its own library, a bad row by its column."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
from typing import Any, NamedTuple, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import MissingExtra, UsageError
from streamflow.formats.records import Records, RefusedRow


@dataclasses.dataclass
class Data:
    id: int
    price: float | None = None
    name: str | None = None


class Dictionary(TypedDict):
    id: int
    price: NotRequired[float | None]
    name: NotRequired[str | None]


class Tuple(NamedTuple):
    id: int
    price: float | None = None
    name: str | None = None


class Struct(msgspec.Struct):
    id: int
    price: float | None = None
    name: str | None = None


class Model(pydantic.BaseModel):
    id: int
    price: float | None = None
    name: str | None = None


@pydantic.dataclasses.dataclass
class Validated:
    id: int
    price: float | None = None
    name: str | None = None


KINDS: list[Any] = [Data, Dictionary, Tuple, Struct, Model, Validated]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def made(kind: Any, *rows: dict[str, Any]) -> list[Any]:
    out: list[Any] = []
    for records in Records(kind, "csv.parse(rows=...)").items(list(rows)):
        out += [records] if isinstance(records, RefusedRow) else records
    return out


@every_kind
def test_text_becomes_what_the_type_says(kind: Any) -> None:
    assert made(kind, {"id": "7", "price": "9.5", "name": "Ann"}) == [kind(id=7, price=9.5, name="Ann")]


@every_kind
def test_an_empty_field_is_none_where_no_text_may_stand(kind: Any) -> None:
    row = {"id": "7", "price": "", "name": ""}
    assert made(kind, row, {"id": "8", "price": "1", "name": "x"}) == [
        kind(id=7, price=None, name=""),
        kind(id=8, price=1.0, name="x"),
    ]
    assert row["price"] == ""


@every_kind
def test_columns_may_be_left_out_or_be_too_many(kind: Any) -> None:
    assert made(kind, {"id": "7", "other": "x"}) == [kind(id=7)]
    assert made(kind) == []


@every_kind
def test_a_bad_row_has_its_place_and_names_its_column(kind: Any) -> None:
    good, bad = {"id": "7"}, {"id": "seven", "price": "1"}
    first, refused, second, last = made(kind, good, bad, good, {"id": "8", "price": "x"})

    assert first == second == kind(id=7)
    assert (refused.at, refused.row) == (1, bad)
    assert refused.reason.startswith("column 'id': ")
    assert (last.at, last.reason[:16]) == (3, "column 'price': ")


def test_the_reason_shows_the_field() -> None:
    assert made(Data, {"id": "seven"})[0].reason == "column 'id': 'seven' is no `int`"
    assert made(Tuple, {"id": "1", "price": "x"})[0].reason == "column 'price': 'x' is no `float | null`"
    assert made(Data, {"name": "x"})[0].reason == "column 'id': it is missing"
    assert made(Data, {"id": None})[0].reason == "column 'id': Expected `int`, got `null`"
    assert "unable to parse" in made(Model, {"id": "seven"})[0].reason


@every_kind
def test_columns_that_a_header_lacks_are_known_before_any_row(kind: Any) -> None:
    records = Records(kind, "csv.parse")
    assert records.missing(["name", "id"]) == []
    assert records.missing(["name", "price"]) == ["id"]


def test_names_in_the_data_may_differ_from_those_in_the_code() -> None:
    struct = msgspec.defstruct("S", [("unit_price", float | None)], rename="camel")
    assert made(struct, {"unitPrice": "1.5"}, {"unitPrice": ""}) == [struct(1.5), struct(None)]
    assert Records(struct, "csv.parse").missing(["unit_price"]) == ["unitPrice"]

    class Aliased(pydantic.BaseModel):
        price: float | None = pydantic.Field(alias="Unit price")

    assert [row.price for row in made(Aliased, {"Unit price": "1.5"}, {"Unit price": ""})] == [1.5, None]


def test_many_types_of_columns_are_converted() -> None:
    @dataclasses.dataclass
    class Wide:
        on: bool
        day: dt.date
        sum: decimal.Decimal
        kind: Any = None

    row = {"on": "true", "day": "2024-05-01", "sum": "1.10", "kind": ""}
    # The annotations are texts and the names they use stand in this module, or here.
    assert made(Wide, row) == [Wide(True, dt.date(2024, 5, 1), decimal.Decimal("1.10"), "")]


@given(st.lists(st.tuples(st.integers(-(2**60), 2**60), st.floats(allow_nan=False), st.text()), max_size=5))
def test_what_was_written_as_text_is_read_again(rows: list[tuple[int, float, str]]) -> None:
    """L1."""
    texts = [{"id": str(a), "price": repr(b), "name": c} for a, b, c in rows]
    for kind in (Data, Model):
        assert made(kind, *texts) == [kind(id=a, price=b, name=c) for a, b, c in rows]


def test_an_error_of_the_user_s_own_code_stays_bare_after_the_records_before_it() -> None:
    @dataclasses.dataclass
    class Own:
        id: int

        def __post_init__(self) -> None:
            if self.id == 3:
                raise KeyError("mine")
            if self.id == 2:
                raise ValueError("not two")

    out: list[Any] = []
    with pytest.raises(KeyError, match="mine"):
        out.extend(Records(Own, "csv.parse").items([{"id": "1"}, {"id": "2"}, {"id": "3"}, {"id": "4"}]))
    assert out[0] == [Own(1)]
    assert "not two" in out[1].reason


@pytest.mark.parametrize("kind", [int, str, dict, list[int], 5, "x", None, object(), Data(1)])
def test_what_is_no_type_of_rows_is_refused(kind: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match="is no type of rows"):
        Records(kind, "csv.parse")


def test_types_with_columns_that_no_library_knows_are_refused() -> None:
    @dataclasses.dataclass
    class Odd:
        a: dict[str, int] | dict[str, str]

    with pytest.raises(UsageError, match="cannot make items of"):
        Records(Odd, "csv.parse")


@pytest.mark.parametrize("kind", [Data, Dictionary, Tuple])
def test_without_msgspec_only_pydantic_s_types_are_made(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    monkeypatch.setattr("streamflow.formats.json_library._installed", lambda: None)
    with pytest.raises(MissingExtra, match=r'needs msgspec: pip install -e "\.\[json\]"'):
        Records(kind, "csv.parse")
    assert made(Model, {"id": "1"}) == [Model(id=1)]
