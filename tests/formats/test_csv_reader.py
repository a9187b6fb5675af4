"""The row reader: whatever the dialect, the text and the cuts, the rows are those of `csv.reader` on the whole text."""

from __future__ import annotations

import csv
import io
import itertools
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats import csv_reader
from streamflow.formats.csv_dialect import resolve_dialect
from streamflow.formats.csv_lines import split_lines
from streamflow.formats.csv_reader import Row, RowReader

NASTY = (
    "id,text,more\r\n"
    '1,"two\nlines, with ""quotes""",x\n'
    "\n"
    '2,"é\u2028\x0b😀",\r'
    '3,"\r\n\r",""\r\r\n'
    "4,\0,' \n"
    ',,\n"5",last,"end"'
)

texts = st.text(alphabet="ab1,;\"'\n\r\\ \0\x0b\u2028é😀", max_size=30)
cuts = st.lists(st.integers(0, 30), max_size=8)
dialects = st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from(",; \t|"),
        "quotechar": st.sampled_from(['"', "'"]),
        "doublequote": st.booleans(),
        "escapechar": st.sampled_from([None, "\\", "'"]),
        "skipinitialspace": st.booleans(),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE]),
        "strict": st.booleans(),
    },
)

MANY = settings(max_examples=6 * settings().max_examples)
Outcome = tuple[list[Row], Exception | None]


def chunks_of(text: str, at: list[int]) -> list[str]:
    edges = [0, *sorted(min(place, len(text)) for place in at), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def reader_for(options: dict[str, Any], max_row_bytes: int = 1 << 20, max_field: int = 131072) -> RowReader:
    return RowReader(resolve_dialect("excel", options), max_row_bytes, max_field)


def read(reader: RowReader, chunks: list[str]) -> Outcome:
    rows: list[Row] = []
    for batch in itertools.chain(map(reader.feed, chunks), (reader.finish() for _ in (0,))):
        if batch is not None:
            rows += batch.rows
            if batch.error is not None:
                return rows, batch.error
    return rows, None


def reference(text: str, options: dict[str, Any]) -> Outcome:
    rows: list[Row] = []
    try:
        rows.extend(csv.reader(io.StringIO(text, newline=""), **options))
    except (csv.Error, ValueError) as error:
        return rows, error
    return rows, None


def check_equal(text: str, options: dict[str, Any], ours: Outcome) -> None:
    rows, error = ours
    expected, fault = reference(text, options)
    if not options.get("strict") and isinstance(error, TruncatedError):
        # Refused although csv takes it: data that ends inside quotes. A quote behind it then changes nothing.
        assert rows == expected[:-1]
        closed = text + ("" if text.endswith(("\n", "\r")) else "\n") + options.get("quotechar", '"')
        assert reference(closed, options)[0][len(rows)][:-1] == expected[-1][:-1]
        return
    assert rows == expected
    assert (fault is None) == (error is None)
    if fault is not None:
        assert isinstance(error, FormatError)
        assert isinstance(error, TruncatedError) == ("unexpected end of data" in str(fault))


# --- differential ----------------------------------------------------------------------------------------------------


@MANY
@given(texts, dialects, cuts)
@example('a"b\n"x\ny"\n', {"strict": True}, [3])
@example('5" disk\n', {"strict": True}, [])
@example("a\\\nb\n", {"escapechar": "\\", "strict": True}, [3])
@example("a\\\n", {"escapechar": "\\", "strict": False}, [])
@example('"a\\', {"escapechar": "\\", "strict": False}, [1])
@example("a\r\r\nb", {"strict": True}, [2])
@example('1,"a"\n', {"quoting": csv.QUOTE_NONNUMERIC}, [4])
@example('x,"a"\n', {"quoting": csv.QUOTE_NONNUMERIC, "strict": True}, [4])
@example(";\\", {"quoting": csv.QUOTE_NONNUMERIC, "escapechar": "\\"}, [])
def test_rows_equal_those_of_the_csv_module_for_every_dialect_and_cut(
    text: str, options: dict[str, Any], at: list[int]
) -> None:
    """L1, H62."""
    try:
        reader = reader_for(options)
        csv.reader((), **options)
    except (UsageError, csv.Error, TypeError, ValueError):
        assume(False)  # options that exclude each other

    check_equal(text, options, read(reader, chunks_of(text, at)))


@given(texts, dialects, cuts, st.integers(1, 40))
def test_errors_and_limits_do_not_depend_on_the_cuts(
    text: str, options: dict[str, Any], at: list[int], limit: int
) -> None:
    """L1: the same rows, and the same words about the same line."""
    try:
        whole_rows, whole_error = read(reader_for(options, limit), [text])
    except UsageError:
        assume(False)  # options that exclude each other

    rows, error = read(reader_for(options, limit), chunks_of(text, at))

    assert rows == whole_rows
    assert (type(error), str(error)) == (type(whole_error), str(whole_error))


@pytest.mark.parametrize("strict", [True, False])
def test_every_cut_of_a_nasty_sample_gives_the_same_rows(strict: bool) -> None:
    """L1, C7, H62."""
    options = {"strict": strict}
    expected, _ = reference(NASTY, options)

    for at in range(len(NASTY) + 1):
        assert read(reader_for(options), [NASTY[:at], NASTY[at:]]) == (expected, None)
    assert read(reader_for(options), list(NASTY)) == (expected, None)


def test_nothing_gives_no_rows() -> None:
    """C7."""
    assert read(reader_for({}), []) == ([], None)
    assert read(reader_for({}), ["", ""]) == ([], None)


def test_a_row_is_given_as_soon_as_its_line_end_is_there() -> None:
    reader = reader_for({"strict": True})

    given = [
        batch.rows if (batch := reader.feed(chunk)) else None for chunk in ("a,b", "\n", '5" disk,c\n', '"x\n', 'y"\n')
    ]

    assert given == [None, [["a", "b"]], [['5" disk', "c"]], [], [["x\ny"]]]


# --- lines -----------------------------------------------------------------------------------------------------------


@given(texts, cuts)
def test_each_row_knows_the_line_it_starts_at(text: str, at: list[int]) -> None:
    lines = io.StringIO(text, newline="")
    expected = []
    source = csv.reader(lines)
    start = 1
    for _ in source:
        expected.append(start)
        start = source.line_num + 1

    reader = reader_for({"strict": False})
    found: list[int] = []
    for batch in (*map(reader.feed, chunks_of(text, at)), reader.finish()):
        if batch is not None:
            found += map(batch.line_of, range(len(batch.rows)))

    assert found == expected[: len(found)]
    assert len(found) >= len(expected) - 1


# --- errors ----------------------------------------------------------------------------------------------------------


def error_of(text: str, **options: Any) -> Exception | None:
    limits = {name: options.pop(name) for name in ("max_row_bytes", "max_field") if name in options}
    return read(reader_for({"strict": True} | options, **limits), [text])[1]


def test_data_that_ends_inside_quotes_names_the_line_of_the_quote() -> None:
    """H62, P5."""
    error = error_of('a,b\n"x\ny",z\n1,"open\nmore\n')

    assert isinstance(error, TruncatedError)
    assert "the quote opened on line 4" in str(error)


@pytest.mark.parametrize("text", ['"', 'a,"', 'a,"b', '"a\n', '"a""', '"a\r\n', "\n\n\"a,'"])
def test_every_way_to_end_inside_quotes_is_truncation(text: str) -> None:
    for strict in (True, False):
        error = error_of(text, strict=strict)
        assert isinstance(error, TruncatedError), text
        assert f"line {1 + text[: text.index(chr(34))].count(chr(10))} is never closed" in str(error)


def test_a_quote_that_opens_late_in_a_row_of_many_lines_is_named() -> None:
    error = error_of('"a\nb","c\nd","e\nf')

    assert "the quote opened on line 3" in str(error)


def test_an_escape_at_the_end_is_truncation_when_strict() -> None:
    error = error_of("a\nb\\", escapechar="\\")

    assert isinstance(error, TruncatedError)
    assert "the row that starts on line 2" in str(error)


def test_bad_quoting_names_its_line_and_the_row() -> None:
    assert str(error_of('a\n"b"c\n')) == "line 2: ',' expected after '\"'"
    assert str(error_of('a\n"b\n"c\n')) == "line 3: ',' expected after '\"' (in the row that starts on line 2)"


def test_a_stray_quote_is_stopped_by_the_row_limit_and_named() -> None:
    """H63."""
    text = "a,b\n" * 5 + '"' + "a,b\n" * 300_000
    error = error_of(text, max_row_bytes=1000)

    assert isinstance(error, LimitExceeded)
    assert "longer than max_row_bytes=1000, and the quote opened on line 6 is not closed yet" in str(error)


def test_a_stray_quote_is_stopped_by_the_process_wide_field_limit_and_named() -> None:
    """H63: csv.field_size_limit() is respected, never set."""
    limit = csv.field_size_limit()
    rows, error = read(reader_for({"strict": True}), ["a,b\n" * 5 + '"', *["a,b\n" * 1000] * 300])

    assert rows == [["a", "b"]] * 5
    assert isinstance(error, LimitExceeded)
    assert f"line 6: the field in quotes that opens here is longer than {limit} characters" in str(error)
    assert limit == csv.field_size_limit()


def test_a_line_without_end_is_stopped_by_the_row_limit() -> None:
    reader = reader_for({"strict": True}, 10_000)
    batches = [reader.feed("x" * 999) for _ in range(11)]

    assert batches[:10] == [None] * 10
    assert isinstance(batches[10].error if batches[10] else None, LimitExceeded)


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_the_row_limit_is_exact_in_bytes(letter: str) -> None:
    size = len(letter.encode())
    row = letter * (1000 // size) + "\n"
    length = len(row.encode())

    assert error_of(row, max_row_bytes=length) is None
    assert isinstance(error_of(row, max_row_bytes=length - 1), LimitExceeded)


def test_a_field_limit_below_that_of_the_process_is_kept() -> None:
    rows, error = read(reader_for({"strict": True}, max_field=5), ["12345,1\n", "123456,2\n"])

    assert rows == [["12345", "1"]]
    assert str(error) == "line 2: a field is longer than max_field=5 characters"


def test_rows_before_a_fault_in_the_same_block_are_given() -> None:
    rows, error = read(reader_for({"strict": True}), ['1\n2\n"3"x\n4\n'])

    assert rows == [["1"], ["2"]]
    assert "line 3" in str(error)


# --- work ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["x\n", '""x\n', '","x\n', '",x,"\n'])
def test_a_long_open_row_in_tiny_chunks_is_not_read_again_and_again(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """H63: linear work, whatever the quotes on each line pretend."""
    split = 0

    def counting(text: str) -> list[str]:
        nonlocal split
        lines = split_lines(text)
        split += len(lines)
        return lines

    monkeypatch.setattr(csv_reader, "split_lines", counting)
    count = 20_000
    reader = reader_for({"strict": False})
    for chunk in ['"', *[line] * count]:
        reader.feed(chunk)

    assert split < 6 * count
