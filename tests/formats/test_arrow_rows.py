"""Rows to batches and back: nothing changes, batches depend on the rows alone, and a bad row is named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, UsageError
from streamflow.formats.arrow_rows import STRETCH, FromRows, ToRows

pa = pytest.importorskip("pyarrow")

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])
ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(-(2**63), 2**63 - 1) | st.none(), "name": st.text(max_size=5) | st.none()}
    ),
    max_size=30,
)


def batches(stretches: Iterable[list[Any]], **options: Any) -> list[Any]:
    from_rows = FromRows(pa, **options)
    return [*(batch for rows in stretches for batch in from_rows.apply(iter(rows))), *from_rows.finish()]


def taken(rows: list[Any], size: int) -> Iterator[Any]:
    from_rows = FromRows(pa, schema=SCHEMA, batch=size)
    yield from from_rows.apply(iter(rows))
    yield from from_rows.finish()


def rows_of(items: Iterable[Any], rows: str = "dicts") -> list[Any]:
    to_rows = ToRows(pa, rows)
    return [*(row for batch in items for row in to_rows.feed(batch)), *to_rows.finish()]


@given(ROWS, st.integers(1, 8), st.integers(0, 30))
def test_rows_come_back_and_batches_depend_on_the_rows_alone(rows: list[Any], size: int, at: int) -> None:
    """L1."""
    whole = batches([rows], schema=SCHEMA, batch=size)

    assert rows_of(whole) == rows
    assert [batch.num_rows for batch in whole[:-1]] == [size] * (len(whole) - 1)
    assert batches([rows[:at], rows[at:]], schema=SCHEMA, batch=size) == whole
    assert batches([[row] for row in rows], schema=SCHEMA, batch=size) == whole


@given(ROWS)
def test_tuples_and_lists_come_back_as_tuples(rows: list[dict[str, Any]]) -> None:
    tuples = [(row["id"], row["name"]) for row in rows]

    assert rows_of(batches([tuples], schema=SCHEMA), "tuples") == tuples
    assert rows_of(batches([[list(row) for row in tuples]], schema=SCHEMA), "tuples") == tuples


def test_one_row_at_a_time_gives_the_same() -> None:
    from_rows = FromRows(pa, batch=2)
    found = [[batch.num_rows for batch in from_rows.feed({"a": n})] for n in range(3)]

    assert found == [[], [2], []]
    assert [batch.num_rows for batch in from_rows.finish()] == [1]


def test_types_follow_from_the_first_batch_where_there_is_no_schema() -> None:
    first, second = batches([[{"a": 1, "b": "x"}, {"b": "y", "a": 2}, {"a": None, "b": None}]], batch=2)

    assert first.schema == second.schema == pa.schema([("a", pa.int64()), ("b", pa.string())])
    assert rows_of([first, second]) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": None, "b": None}]


def test_values_are_those_of_python() -> None:
    row = {"at": dt.datetime(2024, 5, 1, tzinfo=dt.UTC), "many": [1, 2], "raw": b"x", "deep": {"a": 1}}

    assert rows_of(batches([[row]])) == [row]


def test_rows_of_a_large_batch_are_made_as_they_are_taken() -> None:
    batch = pa.record_batch({"n": range(3 * STRETCH + 1)})
    rows = ToRows(pa).feed(batch)

    assert next(rows) == {"n": 0}
    assert [row["n"] for row in rows] == list(range(1, 3 * STRETCH + 1))


def test_tables_and_empty_batches_are_taken() -> None:
    empty = SCHEMA.empty_table()

    assert rows_of([empty, pa.table({"a": [1]})]) == [{"a": 1}]


def test_columns_of_the_same_name_need_tuples() -> None:
    batch = pa.record_batch([pa.array([1]), pa.array([2])], names=["a", "a"])

    assert rows_of([batch], "tuples") == [(1, 2)]
    with pytest.raises(FormatError, match="the columns a, a are not all different"):
        rows_of([batch])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"id": "x", "name": "a"}, "row 4: "),
        ({"id": 2**70, "name": "a"}, "row 4: "),
        ({"id": 1}, "row 4: the fields id, name expected, found id"),
        ({"id": 1, "other": "a"}, "row 4: no field 'name'"),
        ({"id": 1, "name": "a", "more": 1}, "row 4: the fields id, name expected, found id, name, more"),
        ((1, "a"), "row 4: "),
        (5, "row 4: "),
        (None, "row 4: "),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_bad_row_is_named_behind_the_rows_before_it(bad: Any, words: str, size: int) -> None:
    """P3."""
    good = [{"id": n, "name": "a"} for n in range(3)]
    got: list[Any] = []

    with pytest.raises(FormatError) as caught:
        got.extend(row for batch in taken([*good, bad, *good], size) for row in batch.to_pylist())
    assert str(caught.value).startswith(words)
    assert got == good


@pytest.mark.parametrize("bad", [(1,), (1, "a", 2), "ab", {"id": 1, "name": "a"}])
def test_a_bad_row_among_tuples_is_named(bad: Any) -> None:
    with pytest.raises(FormatError, match="row 2: "):
        batches([[(1, "a"), bad]], schema=SCHEMA)


def test_tuples_need_a_schema() -> None:
    with pytest.raises(FormatError, match="row 1 is a tuple, which has no names for the columns"):
        batches([[(1, 2)]])


def test_no_rows_give_no_batch() -> None:
    assert batches([[]], schema=SCHEMA) == []


@pytest.mark.parametrize("options", [{"batch": 0}, {"batch": True}, {"schema": {"a": "int64"}}])
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    """F14, P10."""
    with pytest.raises(UsageError, match=next(iter(options))):
        FromRows(pa, **options)
    with pytest.raises(UsageError, match="rows='lists' is neither"):
        ToRows(pa, "lists")


def test_items_that_are_no_batches_are_refused() -> None:
    with pytest.raises(UsageError, match="not bytes"):
        rows_of([b"x"])
