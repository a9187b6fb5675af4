"""Arrow batches to CSV: for text, the bytes of `csv.writer`; for the rest, values that come back."""

from __future__ import annotations

import csv as stdlib
import datetime as dt
import decimal
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, UsageError
from streamflow.formats.arrow_csv_parser import CsvParser
from streamflow.formats.arrow_csv_writer import SLICE, CsvWriter

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.csv")
pytest.importorskip("pyarrow.compute")

pa.csv.read_csv(pa.BufferReader(b"a\n1\n"))  # opens a pipe for signals, for as long as the process lives

VALUES = st.text(st.sampled_from('ab1,"\n\r ä李'), max_size=6)


def written(batches: Iterable[Any], **options: Any) -> bytes:
    writer = CsvWriter(pa, **options)
    return b"".join([*(piece for batch in batches for piece in writer.feed(batch)), *writer.finish()])


def standard(rows: Iterable[Sequence[object]], **options: Any) -> bytes:
    out = io.StringIO(newline="")
    stdlib.writer(out, **options).writerows(rows)
    return out.getvalue().encode()


def strings(rows: Sequence[Sequence[Any]], names: Sequence[str], kind: Any = None) -> Any:
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.record_batch([pa.array(column, kind or pa.string()) for column in columns], names=list(names))


@given(st.lists(st.tuples(VALUES, VALUES), max_size=30), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_text_is_written_as_the_csv_module_writes_it(
    rows: list[tuple[str, str]], delimiter: str, repeated: bool
) -> None:
    """Also where values repeat, which is another way through."""
    rows = rows * 20 if repeated else rows
    expected = standard([("x", "y"), *rows], delimiter=delimiter)

    assert written([strings(rows, "xy")], delimiter=delimiter) == expected
    assert written([strings(rows, "xy", pa.large_string())], delimiter=delimiter) == expected
    dictionary = pa.dictionary(pa.int32(), pa.string())
    assert written([strings(rows, "xy", dictionary)], delimiter=delimiter) == expected


@given(st.lists(VALUES, max_size=30))
def test_one_column_gives_no_blank_lines(values: list[str]) -> None:
    rows = [(value,) for value in values]

    assert written([strings(rows, "x")]) == standard([("x",), *rows])


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30), st.data())
def test_slices_and_several_batches_give_the_same_bytes(rows: list[tuple[str, str]], data: st.DataObject) -> None:
    """L1."""
    batch = strings(rows, "xy")
    at = data.draw(st.integers(0, len(rows)))
    parts = [batch.slice(0, at), batch.slice(at)]

    assert written(parts) == written([batch]) == written([pa.Table.from_batches(parts)])


def test_a_large_batch_is_written_in_slices() -> None:
    batch = strings([("x" * 100, "y")] * 30_000, "xy")
    pieces = list(CsvWriter(pa).feed(batch))

    assert len(pieces) == 1 + -(-batch.nbytes // SLICE)
    assert max(map(len, pieces)) < 1.1 * SLICE
    assert b"".join(pieces) == standard([("x", "y"), *[("x" * 100, "y")] * 30_000])


def test_values_of_all_kinds_come_back() -> None:
    day = dt.date(2024, 5, 1)
    time = dt.datetime(2024, 5, 1, 12, 30, 15, tzinfo=dt.UTC)
    columns = {
        "int": pa.array([1, None, -3]),
        "float": pa.array([1.5, 1e300, None]),
        "bool": pa.array([True, False, None]),
        "date": pa.array([day, None, day]),
        "time": pa.array([time, None, time], pa.timestamp("s", "UTC")),
        "decimal": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-2.25")], pa.decimal128(5, 2)),
        "text": pa.array(["a,b", "", 'say "x"']),
    }
    batch = pa.record_batch(columns)
    parser = CsvParser(pa, types=batch.schema)

    assert pa.Table.from_batches([*parser.feed(written([batch])), *parser.finish()]).to_pylist() == batch.to_pylist()


def test_numbers_that_hold_the_delimiter_are_quoted() -> None:
    assert written([pa.record_batch({"a": [1.5, 2.0], "b": [1, 2]})], delimiter=".", header=False) == (
        b'"1.5".1\r\n2.2\r\n'
    )


def test_values_that_are_missing() -> None:
    batch = pa.record_batch({"a": pa.array([1, None]), "b": pa.array([None, "x"]), "c": pa.nulls(2)})

    assert written([batch], header=False) == b"1,,\r\n,x,\r\n"
    assert written([batch], header=False, null="NULL") == b"1,NULL,NULL\r\nNULL,x,NULL\r\n"
    assert written([batch.select(["b"])], header=False) == b'""\r\nx\r\n'


def test_the_header_is_written_once() -> None:
    one = strings([("1", "2")], ['say "x"', "b"])

    assert written([one, one]) == b'"say ""x""",b\r\n1,2\r\n1,2\r\n'
    assert written([one, one], header=False) == b"1,2\r\n1,2\r\n"
    assert written([one], header=["p", "q"], lineterminator="\n") == b"p,q\n1,2\n"


def test_without_rows_there_is_the_header_that_is_known() -> None:
    assert written([]) == b""
    assert written([], header=["a", "b"]) == b"a,b\r\n"
    assert written([strings([], "ab")]) == b"a,b\r\n"
    assert written([strings([], "ab").schema.empty_table()]) == b"a,b\r\n"


def test_a_batch_with_other_columns_is_refused_behind_those_before_it() -> None:
    writer = CsvWriter(pa)
    assert b"".join(writer.feed(strings([("1", "2")], "ab"))) == b"a,b\r\n1,2\r\n"

    with pytest.raises(FormatError, match="batch 2: it has the columns a, c, not a, b"):
        list(writer.feed(strings([("1", "2")], "ac")))
    with pytest.raises(FormatError, match=r"batch 3: its schema differs .*: a: int64 and not a: string"):
        list(writer.feed(pa.record_batch({"a": [1], "b": ["2"]})))


def test_columns_that_have_no_form_in_csv_are_refused() -> None:
    with pytest.raises(FormatError, match="column 'a' is of type list"):
        list(CsvWriter(pa).feed(pa.record_batch({"a": [[1]]})))
    with pytest.raises(FormatError, match=r"batch 1, column 'a': .*UTF8"):
        list(CsvWriter(pa).feed(pa.record_batch({"a": [b"\xff"]})))
    with pytest.raises(FormatError, match="2 columns, but the header has 1"):
        list(CsvWriter(pa, header=["a"]).feed(strings([("1", "2")], "ab")))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delimiter": ",,"}, "delimiter must be one character"),
        ({"lineterminator": ";"}, "lineterminator="),
        ({"null": "a,b"}, "null="),
        ({"header": "ab"}, "header="),
        ({"header": []}, "header="),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], words: str) -> None:
    """F14, P10."""
    with pytest.raises(UsageError, match=words):
        CsvWriter(pa, **options)


def test_items_that_are_no_batches_are_refused() -> None:
    with pytest.raises(UsageError, match=r"items of pyarrow.RecordBatch, not dict. Put arrow.from_rows\(\) before it"):
        list(CsvWriter(pa).feed({"a": 1}))
