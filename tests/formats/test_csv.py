"""The two CSV stages: their options reach the codecs, and bad ones are refused where they are written."""

from __future__ import annotations

import csv as stdlib
import io
import traceback
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import pytest

from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats import csv
from streamflow.stages import Stage


def run(stage: Stage[Any, Any], items: Iterable[Any]) -> list[Any]:
    """Run a stage in its fused form."""
    assert stage.transform is not None
    transform = stage.transform()
    return [*transform.apply(iter(items)), *transform.finish()]


async def run_by_hand(stage: Stage[Any, Any], items: Iterable[Any]) -> list[Any]:
    """Run a stage in its async form."""

    async def source() -> AsyncIterator[Any]:
        for item in items:
            yield item

    async with aclosing(source()) as opened:
        return [item async for item in stage(opened)]


@pytest.mark.parametrize(
    ("options", "data", "rows"),
    [
        ({}, b"a,b\r\n1,2\r\n", [{"a": "1", "b": "2"}]),
        ({"header": ["x", "y"]}, b"1,2\n", [{"x": "1", "y": "2"}]),
        ({"header": False}, b"a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
        ({"rows": "lists"}, b"a,b\n1,2\n", [["1", "2"]]),
        ({"delimiter": ";"}, b"a;b\n1;2\n", [{"a": "1", "b": "2"}]),
        ({"dialect": "excel-tab"}, b"a\tb\n1\t2\n", [{"a": "1", "b": "2"}]),
        ({"quotechar": "'"}, b"a\n'1\n2'\n", [{"a": "1\n2"}]),
        ({"escapechar": "\\", "doublequote": False}, b'a\n"x\\"y"\n', [{"a": 'x"y'}]),
        ({"skipinitialspace": True}, b"a, b\n1, 2\n", [{"a": "1", "b": "2"}]),
        ({"quoting": stdlib.QUOTE_NONE}, b'a\n"1"\n', [{"a": '"1"'}]),
        ({"quoting": stdlib.QUOTE_NONNUMERIC}, b'"a"\n1.5\n', [{"a": 1.5}]),
        ({"strict": False}, b'a\n"1"2\n', [{"a": "12"}]),
        ({"encoding": "latin-1"}, b"a\n\xe9\n", [{"a": "é"}]),
        ({"errors": "ignore"}, b"a\n1\xff\n", [{"a": "1"}]),
        ({"max_columns": 2}, b"a,b\n1,2\n", [{"a": "1", "b": "2"}]),
        ({"dialect": "sniff"}, b"a;b\n1;2\n", [{"a": "1", "b": "2"}]),
        ({"ragged": "pad"}, b"a,b\n1\n", [{"a": "1", "b": None}]),
    ],
)
async def test_every_option_of_parse_works(options: dict[str, Any], data: bytes, rows: list[Any]) -> None:
    stage = csv.parse(**options)

    assert rows == run(stage, [data])
    assert rows == await run_by_hand(stage, [data[:4], data[4:]])


@pytest.mark.parametrize(
    ("options", "rows", "data"),
    [
        ({}, [{"a": 1, "b": "x,y"}], b'a,b\r\n1,"x,y"\r\n'),
        ({"header": ["b", "a"]}, [{"a": 1, "b": 2}], b"b,a\r\n2,1\r\n"),
        ({"header": False}, [[1, 2]], b"1,2\r\n"),
        ({"delimiter": ";"}, [{"a": 1, "b": 2}], b"a;b\r\n1;2\r\n"),
        ({"dialect": "unix"}, [{"a": 1}], b'"a"\n"1"\n'),
        ({"quotechar": "'"}, [{"a": "x,y"}], b"a\r\n'x,y'\r\n"),
        ({"escapechar": "\\", "doublequote": False}, [{"a": '"'}], b'a\r\n\\"\r\n'),
        ({"quoting": stdlib.QUOTE_ALL}, [{"a": 1}], b'"a"\r\n"1"\r\n'),
        ({"lineterminator": "\n"}, [{"a": 1}], b"a\n1\n"),
        ({"encoding": "utf-16-le"}, [{"a": 1}], "a\r\n1\r\n".encode("utf-16-le")),
        ({"encoding": "ascii", "errors": "replace"}, [{"a": "é"}], b"a\r\n?\r\n"),
        ({"extra": "ignore"}, [{"a": 1}, {"a": 2, "b": 3}], b"a\r\n1\r\n2\r\n"),
        ({"missing": ""}, [{"a": 1, "b": 2}, {"a": 3}], b"a,b\r\n1,2\r\n3,\r\n"),
        ({"escape_formulas": True}, [{"a": "=1+1"}], b"a\r\n'=1+1\r\n"),
    ],
)
async def test_every_option_of_format_works(options: dict[str, Any], rows: list[Any], data: bytes) -> None:
    stage = csv.format(**options)

    assert data == b"".join(run(stage, rows))
    assert data == b"".join(await run_by_hand(stage, rows))


def test_block_bytes_sets_the_size_of_the_blocks() -> None:
    assert run(csv.format(block_bytes=4), [{"a": 1}, {"a": 2}, {"a": 3}]) == [b"a\r\n1\r\n", b"2\r\n3\r\n"]


def test_stages_can_be_used_again() -> None:
    parse, format_ = csv.parse(), csv.format()

    for _ in range(2):
        assert run(parse, [b"a\n1\n"]) == [{"a": "1"}]
        assert run(format_, [{"b": 1}]) == [b"b\r\n1\r\n"]


def test_zero_items_give_nothing() -> None:
    """C7."""
    assert run(csv.parse(), []) == []
    assert run(csv.format(), []) == []
    assert run(csv.format(header=["a"]), []) == [b"a\r\n"]


def test_the_output_of_csv_equals_that_of_format() -> None:
    rows = [{"id": str(n), "text": f'line\n"{n}", é'} for n in range(3000)]
    expected = io.StringIO(newline="")
    writer = stdlib.DictWriter(expected, ["id", "text"])
    writer.writeheader()
    writer.writerows(rows)

    blocks = run(csv.format(), rows)

    assert b"".join(blocks).decode() == expected.getvalue()
    assert run(csv.parse(), blocks) == rows


@pytest.mark.parametrize("make", [csv.parse, csv.format])
@pytest.mark.parametrize(
    "options", [{"dialect": "no"}, {"delimiter": "::"}, {"encoding": "no"}, {"header": []}, {"header": ["a", "a"]}]
)
def test_bad_options_are_refused_where_they_are_written(make: Any, options: dict[str, Any]) -> None:
    """P10, E9."""
    with pytest.raises(UsageError):
        make(**options)


def test_the_limits_of_parse_are_kept() -> None:
    """H63."""
    with pytest.raises(LimitExceeded, match="max_row_bytes=10"):
        run(csv.parse(max_row_bytes=10), [b"a\n" + b"1" * 11])
    with pytest.raises(LimitExceeded, match="max_field=5"):
        run(csv.parse(max_field=5), [b"a\n123456\n"])
    with pytest.raises(UsageError, match="field_size_limit"):
        csv.parse(max_field=1 << 30)


def test_a_cut_file_is_truncated_and_not_a_clean_end() -> None:
    """P5."""
    with pytest.raises(TruncatedError, match="quote opened on line 2"):
        run(csv.parse(), [b'a\n"1'])


@pytest.mark.parametrize(
    ("stage", "items"),
    [
        (csv.parse(), [b"a,b\n1\n"]),
        (csv.parse(), [b"a\n\xff"]),
        (csv.format(), [{"a": 1}, {"b": 1}]),
        (csv.format(), [3]),
    ],
)
def test_an_error_can_be_traced_to_its_stage(stage: Stage[Any, Any], items: list[Any]) -> None:
    with pytest.raises(FormatError) as caught:
        run(stage, items)

    codes = [frame.f_code for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert stage.callable is not None
    assert stage.callable.__code__ in codes  # type: ignore[attr-defined]  # a plain function


def test_an_error_of_the_input_is_not_taken_for_one_of_the_stage() -> None:
    def rows() -> Any:
        yield {"a": 1}
        raise ZeroDivisionError

    stage = csv.format()
    with pytest.raises(ZeroDivisionError) as caught:
        run(stage, rows())

    codes = [frame.f_code for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert stage.callable is not None
    assert stage.callable.__code__ not in codes  # type: ignore[attr-defined]  # a plain function
