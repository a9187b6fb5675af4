"""The CSV parser: headers, dictionaries, encodings and rows that do not fit, however the bytes are cut."""

from __future__ import annotations

import csv
import io
import itertools
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats import csv_parser
from streamflow.formats.csv_dialect import resolve_dialect
from streamflow.formats.csv_parser import Parser

STRICT = resolve_dialect("excel", {"strict": True})
SAMPLE = 'id,näme,note\r\n1,Ann,"two\nlines"\r\n\r\n2,😀,"a ""b"""\r\n3,Zoë,\r\n'

Cells = st.lists(st.lists(st.text(alphabet='a,"\n\r;é😀 ', max_size=5), min_size=3, max_size=3), max_size=6)
cuts = st.lists(st.integers(0, 80), max_size=8)


def chunks_of(data: Any, at: list[int]) -> list[Any]:
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def parse(*chunks: Any, **options: Any) -> list[Any]:
    parser = Parser(STRICT, **options)
    return [row for chunk in chunks for row in parser.feed(chunk)] + list(parser.finish())


def outcome(chunks: list[Any], **options: Any) -> tuple[list[Any], str]:
    parser = Parser(STRICT, **options)
    rows: list[Any] = []
    try:
        for chunk in chunks:
            rows.extend(parser.feed(chunk))
        rows.extend(parser.finish())
    except FormatError as error:
        return rows, f"{type(error).__name__}: {error}"
    return rows, ""


# --- equal to the standard library -----------------------------------------------------------------------------------


@given(Cells, cuts, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be"]))
def test_dictionaries_equal_those_of_dictreader_however_the_bytes_are_cut(
    cells: list[list[str]], at: list[int], encoding: str
) -> None:
    """L1, H62."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["id", "näme", "note"], *cells])
    expected = list(csv.DictReader(io.StringIO(text.getvalue(), newline="")))

    data = text.getvalue().encode(encoding)

    assert expected == parse(*chunks_of(data, at), encoding=encoding)
    assert expected == parse(*chunks_of(text.getvalue(), at))


def test_every_cut_and_byte_by_byte_give_the_same_rows() -> None:
    """L1, C7."""
    data = b"\xef\xbb\xbf" + SAMPLE.encode()
    expected = list(csv.DictReader(io.StringIO(SAMPLE, newline="")))

    for at in range(len(data) + 1):
        assert expected == parse(data[:at], data[at:])
    assert expected == parse(*[data[at : at + 1] for at in range(len(data))])
    assert expected == parse(*("\ufeff" + SAMPLE))
    assert expected == parse(bytearray(data[:50]), memoryview(data)[50:])


def test_lists_without_a_header_equal_csv_reader_blank_lines_included() -> None:
    expected = list(csv.reader(io.StringIO(SAMPLE, newline="")))

    assert expected == parse(SAMPLE.encode(), header=False, rows="lists")
    assert [] in expected


def test_big_data_equals_the_standard_library() -> None:
    """Many pieces of 64 KiB with quoted newlines across their edges."""
    text = "id,text\n" + "".join(f'{n},"line {n}\nmore ""{n % 7}"" é"\n' for n in range(30_000))

    expected = list(csv.DictReader(io.StringIO(text, newline="")))

    assert expected == parse(text.encode())
    assert expected == parse(*chunks_of(text.encode(), list(range(0, 900_000, 70_001))))


# --- header ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [True, ["a", "b"]])
def test_empty_input_gives_no_rows(header: Any) -> None:
    """C7."""
    assert parse(header=header) == []
    assert parse(b"", b"", header=header) == []
    assert parse(b"\n\r\n", header=header) == []


def test_a_header_alone_gives_no_rows() -> None:
    assert parse(b"id,name") == []
    assert parse(b"id,name\r\n") == []


def test_blank_lines_are_skipped_where_there_is_a_header() -> None:
    assert parse(b"\n\nid,n\n\n1,a\n\n") == [{"id": "1", "n": "a"}]
    assert parse(b"id,n\n\n1,a\n\n", rows="lists") == [["1", "a"]]


def test_given_names_make_the_first_row_data() -> None:
    assert parse(b"1,a\n2,b\n", header=["id", "name"]) == [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]


def test_a_name_twice_in_the_header_is_an_error() -> None:
    with pytest.raises(FormatError, match=r"line 2: the header has 'id' more than once"):
        parse(b"\nid,name,id\n1,2,3\n")
    assert parse(b"id,name,id\n1,2,3\n", rows="lists") == [["1", "2", "3"]]
    with pytest.raises(UsageError, match="'id' more than once"):
        Parser(STRICT, header=["id", "id"])


@pytest.mark.parametrize("header", [[], "id,name"])
def test_a_header_that_is_no_list_of_names_is_refused(header: Any) -> None:
    with pytest.raises(UsageError, match="header="):
        Parser(STRICT, header=header)


def test_rows_are_independent_dictionaries() -> None:
    first, second = parse(b"a\n1\n2\n")
    first["a"] = "changed"

    assert second == {"a": "2"}


# --- rows that do not fit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"3\n", "line 5: 2 fields expected (id, name), 1 found; name missing"),
        (b"3,c,x\n", "line 5: 2 fields expected"),
    ],
)
def test_a_row_of_another_length_is_an_error_after_the_rows_before_it(bad: bytes, words: str) -> None:
    """H62, P3."""
    data = b'id,name\n1,"a\nb"\n2,b\n' + bad + b"4,d\n"
    good = [{"id": "1", "name": "a\nb"}, {"id": "2", "name": "b"}]

    for at in range(len(data)):
        rows, error = outcome([data[:at], data[at:]])
        assert (rows, error.startswith(f"FormatError: {words}")) == (good, True), error


def test_the_message_for_many_columns_is_short() -> None:
    names = ",".join(f"c{n}" for n in range(500)).encode()
    _, error = outcome([names + b"\n1\n"])

    assert "500 fields expected (c0, c1" in error
    assert len(error) < 400


def test_pad_fills_short_rows_and_refuses_long_ones() -> None:
    assert parse(b"a,b,c\n1\n1,2,3\n", ragged="pad") == [
        {"a": "1", "b": None, "c": None},
        {"a": "1", "b": "2", "c": "3"},
    ]
    assert parse(b"a,b\n1\n", ragged="pad", rows="lists") == [["1", None]]
    with pytest.raises(FormatError, match=r"line 2: 2 fields expected .* 3 found"):
        parse(b"a,b\n1,2,3\n", ragged="pad")


def test_keep_gives_what_dictreader_gives() -> None:
    data = b"a,b\n1\n1,2\n1,2,3,4\n\n"

    assert parse(data, ragged="keep") == list(csv.DictReader(io.StringIO(data.decode())))
    assert parse(data, ragged="keep", rows="lists") == [["1", None], ["1", "2"], ["1", "2", "3", "4"]]


# --- bytes -----------------------------------------------------------------------------------------------------------


def test_undecodable_bytes_name_line_and_offset_after_the_rows_before_them() -> None:
    """H62."""
    data = b"id,name\n1,a\n2,\xffb\n"

    for at in range(len(data)):
        rows, error = outcome([data[:at], data[at:]])
        assert rows == [{"id": "1", "name": "a"}]
        assert "0xff" in error
        assert "byte offset 14 (line 3)" in error


@pytest.mark.parametrize("first", [b'"1 and more of it\n",a"b\n', b'"1\n2\n3\n4\n5\n6\n7\n8\n9\n",a"b"c"\n'])
def test_rows_before_undecodable_bytes_are_given_though_their_quotes_seem_open(first: bytes) -> None:
    """P3, L1: a stray quote in a row of several lines."""
    data = b"id,name\n" + first + b"2,\xffb\n"
    whole = outcome([data])

    assert len(whole[0]) == 1
    for at in range(len(data)):
        assert outcome([data[:at], data[at:]]) == whole
    assert outcome([data[at : at + 1] for at in range(len(data))]) == whole


def test_data_that_ends_inside_a_character_is_truncated() -> None:
    """P5."""
    rows, error = outcome([b"id\n1\n\xc3"])

    assert rows == [{"id": "1"}]
    assert error.startswith("TruncatedError: the data ends inside a character")
    assert "offset 5 (line 3)" in error


def test_data_that_ends_inside_quotes_is_truncated() -> None:
    """P5, H62."""
    with pytest.raises(TruncatedError, match="quote opened on line 3"):
        parse(b'id\n1\n"2\n')


def test_other_encodings_and_error_handlers() -> None:
    assert parse("id\nZoë\n".encode("latin-1"), encoding="latin-1") == [{"id": "Zoë"}]
    assert parse(b"id\n\xff\n", errors="replace") == [{"id": "\ufffd"}]


def test_bytes_and_text_are_not_mixed() -> None:
    parser = Parser(STRICT)
    list(parser.feed(b"id\n"))

    with pytest.raises(UsageError, match=r"csv\.parse takes items of one kind"):
        parser.feed("1\n")
    with pytest.raises(UsageError, match=r"csv\.parse takes items of bytes"):
        parser.feed({"id": 1})  # type: ignore[arg-type]  # the mistake is the point


# --- memory ----------------------------------------------------------------------------------------------------------


def test_a_big_chunk_is_parsed_as_its_rows_are_taken() -> None:
    """P1: a chunk of megabytes does not become all its rows at once."""
    data = b"a,b,c,d,e\n" + b"11111,22222,33333,44444,55555\n" * 100_000
    rows = Parser(STRICT).feed(data)
    before = sys.getallocatedblocks()

    assert next(rows)["a"] == "11111"
    assert sys.getallocatedblocks() - before < 50_000


def test_a_fault_far_behind_in_a_chunk_does_not_hold_back_the_rows_before_it() -> None:
    """P3."""
    rows = Parser(STRICT).feed(b"a\n" + b"1\n" * 200_000 + b"1,2\n")

    assert [next(rows) for _ in range(200_000)] == [{"a": "1"}] * 200_000
    with pytest.raises(FormatError, match="line 200002"):
        next(rows)


def test_a_stray_quote_does_not_swallow_the_data() -> None:
    """H63."""
    rows, error = outcome([b'a,b\n1,2\n"3,4\n' + b"5,6\n" * 500_000])

    assert rows == [{"a": "1", "b": "2"}]
    assert error.startswith("LimitExceeded: line 3: the field in quotes that opens here")


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"header": False}, "rows='dicts' needs names"),
        ({"rows": "tuples"}, "rows='tuples' is none of"),
        ({"ragged": "skip"}, "ragged='skip' is none of"),
        ({"header": False, "rows": "lists", "ragged": "pad"}, "ragged='pad' has no effect"),
        ({"max_row_bytes": 0}, "max_row_bytes must be"),
        ({"max_columns": 0}, "max_columns must be"),
        ({"max_field": -1}, "max_field must be"),
        ({"max_field": 1 << 40}, "call csv.field_size_limit"),
        ({"encoding": "utf-9"}, "encoding='utf-9'"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], words: str) -> None:
    """P10, F14."""
    with pytest.raises(UsageError, match=words):
        Parser(STRICT, **options)


def test_max_field_is_kept() -> None:
    with pytest.raises(LimitExceeded, match="line 2: a field is longer than max_field=3"):
        parse(b"a\n1234\n", max_field=3)


# --- batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [1, 5, 200])
@pytest.mark.parametrize("rows", ["lists", "dicts"])
def test_a_large_chunk_becomes_batches_of_some_hundred_rows(fields: int, rows: Any) -> None:
    """P1: few enough that the cycle collector never looks at them, however long the rows are."""
    line = ",".join(f"{n:05}" for n in range(fields)).encode() + b"\n"
    parser = Parser(STRICT, header=[f"c{n}" for n in range(fields)], rows=rows)

    sizes = [len(list(batch)) for batch in parser.batches(line * (1_000_000 // len(line)))]

    settled = sizes[8:-1]
    assert sum(sizes) == 1_000_000 // len(line)
    assert settled
    assert max(settled) <= csv_parser.ROWS + 64
    if fields < 100:
        assert min(settled) >= csv_parser.ROWS // 2


def test_rows_longer_than_a_piece_are_read_whole() -> None:
    """L1."""
    data = "".join(f'{n},"{"x" * n * 997}"\n' for n in range(130))

    assert parse(data.encode(), header=False, rows="lists") == list(csv.reader(io.StringIO(data)))
