"""The dialect of CSV is guessed on request: by `csv.Sniffer`, from the same start however the text arrives."""

from __future__ import annotations

import csv
import io
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats.csv_parser import Parser
from streamflow.formats.csv_sniffer import DELIMITERS, QUOTES, SAMPLE, Sniffer, sample_of
from tests.formats.json_cases import chunks_of, each_cut, outcome, run

SAMPLES = [
    "id;näme;price\r\n1;Ann;1,5\r\n2;Zoë;2,5\r\n",
    "id\tname\n1\tAnn, the first\n2\tZoë\n",
    "id|name|note\n1|'Ann'|'a|b'\n2|'Zoë'|'c\nd'\n",
    'id, name\n1, "Ann"\n2, "Zoë"\n',
    'id,name\r1,"a ""b"""\r2,"😀"',
    "a,b",
]


def parser(options: dict[str, Any] | None = None, **others: Any) -> Parser:
    return Parser(Sniffer({"strict": True} | (options or {})), **{"header": False, "rows": "lists"} | others)


def expected_of(text: str, start: str | None = None) -> list[list[str]]:
    """The rows of the standard library alone: sniffed (with `\n`, which is all that it knows), then read."""
    start = text if start is None else start
    dialect = csv.Sniffer().sniff(start.replace("\r\n", "\n").replace("\r", "\n"), DELIMITERS)
    return list(csv.reader(io.StringIO(text, newline=""), dialect, doublequote=True))


# --- equal to the standard library -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_what_is_guessed_is_what_the_standard_library_guesses_at_every_cut(text: str, mark: str) -> None:
    """L1, C7: with and without a byte order mark, which is no part of the first name."""
    expected = expected_of(text)
    assert len(expected[0]) > 1

    for chunks in itertools.chain(each_cut(mark + text), each_cut((mark + text).encode())):
        assert run(parser(), chunks) == expected


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_other_marks_are_skipped_too(text: str, encoding: str) -> None:
    assert run(parser(encoding=encoding), [text.encode(encoding)]) == expected_of(text)


@given(
    st.lists(
        st.lists(st.text('a1 ,;"\n\ré', max_size=6), min_size=2, max_size=4).filter(any),
        min_size=1,
        max_size=1500,
    ),
    st.sampled_from(DELIMITERS),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(0, 9000), max_size=6),
)
def test_any_table_gives_the_same_rows_or_the_same_error_however_it_is_cut(
    rows: list[list[str]], delimiter: str, end: str, at: list[int]
) -> None:
    """L1."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    text = out.getvalue()

    whole = outcome(parser(), [text])

    assert outcome(parser(), chunks_of(text, at)) == whole
    assert outcome(parser(), chunks_of(text.encode(), at)) == whole
    assert not whole[1] or "no dialect can be guessed" in whole[1] or "line" in whole[1]


@pytest.mark.parametrize("beyond", range(-3, 4))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_sample_counts_to_the_character(beyond: int, end: str) -> None:
    """L1: what comes behind it changes nothing, also where the cut is in the middle of a line end."""
    line = "a;b" + end
    start = line * (SAMPLE // len(line) - 1)
    start += "x;" + "y" * (SAMPLE + beyond - len(start) - 2 - len(end)) + end
    text = start + ",,,,,,,,," * 10 + end

    expected = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    for at in range(SAMPLE - 5, SAMPLE + 6):
        assert run(parser(), [text[:at], text[at:]]) == expected
        assert sample_of(text) == sample_of(text[: max(at, SAMPLE)])


def test_rows_come_when_the_sample_is_full_and_then_at_once() -> None:
    reading = parser()

    assert list(reading.feed("1;2\n" * (SAMPLE // 4 - 1))) == []
    assert len(list(reading.feed("1;2\n"))) == SAMPLE // 4
    assert list(reading.feed("3;4\n")) == [["3", "4"]]


# --- where the sniffer alone is wrong --------------------------------------------------------------------------------


def test_letters_and_line_ends_are_no_delimiters() -> None:
    """The sniffer alone takes `e`, or the carriage return."""
    assert csv.Sniffer().sniff("one\r\nthe\r\n").delimiter not in DELIMITERS
    assert "no dialect can be guessed" in outcome(parser(), ["one\r\nthe\r\n"])[1]


def test_a_quote_that_is_doubled_behind_the_sample_is_read() -> None:
    text = 'a;"b"\n' * SAMPLE + 'c;"d ""e"""\n'

    assert csv.Sniffer().sniff(sample_of(text)).doublequote is False
    assert run(parser(), [text])[-1] == ["c", 'd "e"']


@pytest.mark.parametrize("unit", [',"",""x', '"\n', ',"', '""x', "a\n", ";;;"])
def test_a_text_that_keeps_the_sniffer_busy_is_cut_short(unit: str) -> None:
    """Its time grows with the cube of the quotes: 16 KiB of the first kind take it 20 seconds."""
    sample = sample_of(unit * 50_000)

    assert len(sample) <= SAMPLE
    assert sample.count('"') <= QUOTES
    assert sample


# --- what is given ---------------------------------------------------------------------------------------------------


def test_what_is_given_is_not_guessed() -> None:
    """The apostrophes would be quotes."""
    text = "a;'b'\nc;'d'\n"

    assert run(parser(), [text]) == [["a", "b"], ["c", "d"]]
    assert run(parser({"quotechar": '"'}), [text]) == [["a", "'b'"], ["c", "'d'"]]
    assert run(parser({"delimiter": ":"}), ["1:2,3\n4:5,6\n"]) == [["1", "2,3"], ["4", "5,6"]]
    assert run(parser({"delimiter": ":"}), ["'1':'2'\n'3':'4'\n"]) == [["1", "2"], ["3", "4"]]


def test_where_the_delimiter_is_given_the_guess_never_fails() -> None:
    assert run(parser({"delimiter": ":"}), ["one\ntwo\n"]) == [["one"], ["two"]]
    assert run(parser({"delimiter": ":"}), ['1:2:3\n4\n"5:6"\n']) == [["1", "2", "3"], ["4"], ["5:6"]]


def test_options_that_cannot_be_are_refused_at_once() -> None:
    """P10."""
    with pytest.raises(UsageError, match="delimiter=';;'"):
        Sniffer({"delimiter": ";;"})
    with pytest.raises(UsageError, match="delimiter=';;'"):
        sf.csv.parse(dialect="sniff", delimiter=";;")
    with pytest.raises(UsageError, match="unknown dialect"):
        sf.csv.format(dialect="sniff")


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["word\nanother\n", "x", "a b c\n" * 5000, "\0\n"])
def test_a_text_of_which_nothing_can_be_guessed_is_an_error_that_says_what_to_write(text: str) -> None:
    for chunks in ([text], [text[:1], text[1:]]):
        out, error = outcome(parser(), chunks)
        assert out == []
        assert error.startswith("FormatError: line 1: no dialect can be guessed from the first ")
        assert "delimiter=';'" in error


@pytest.mark.parametrize("text", ["", "\n\r\n", "\n" * 10_000])
def test_a_text_without_content_needs_no_dialect(text: str) -> None:
    assert run(parser(header=True, rows="dicts"), [text]) == []
    assert run(parser(), [text]) == list(csv.reader(io.StringIO(text, newline="")))


def test_rows_before_undecodable_bytes_are_given_though_they_are_in_the_sample() -> None:
    """P3, L1."""
    for chunks in each_cut(b"a;b\n1;2\n\xff"):
        out, error = outcome(parser(), chunks)
        assert out == [["a", "b"], ["1", "2"]]
        assert "byte 0xff" in error
        assert "byte offset 8 (line 3)" in error


def test_data_that_ends_inside_a_character_or_inside_quotes_is_truncated() -> None:
    """P5."""
    for chunks in each_cut(b"a;b\n1;2\n\xc3"):
        out, error = outcome(parser(), chunks)
        assert out == [["a", "b"], ["1", "2"]]
        assert error.startswith("TruncatedError: the data ends inside a character")
        assert "offset 8 (line 3)" in error
    for chunks in each_cut('a;"b"\n1;"2"\n"3'):
        out, error = outcome(parser(), chunks)
        assert out == [["a", "b"], ["1", "2"]]
        assert error.startswith("TruncatedError: the data ends inside quotes; the quote opened on line 3")


def test_undecodable_bytes_are_named_before_a_dialect_that_cannot_be_guessed() -> None:
    with pytest.raises(FormatError, match="byte 0xff") as caught:
        run(parser(), ["a,b\n".encode("utf-16")])
    assert not isinstance(caught.value, TruncatedError)


def test_the_lines_of_faults_behind_the_sample_are_right() -> None:
    text = "a;b\n" * 5000 + "1;2;3\n"
    for at in (0, 7, SAMPLE, 9000):
        rows, error = outcome(parser(header=True, rows="dicts"), [text[:at], text[at:]])
        assert len(rows) == 4999
        assert error.startswith("FormatError: line 5001: 2 fields expected")


def test_limits_hold_in_the_sample() -> None:
    with pytest.raises(LimitExceeded, match="line 2 is longer than max_row_bytes=5"):
        run(parser(max_row_bytes=5), ["1;2\n3;456\n"])
    with pytest.raises(LimitExceeded, match="line 21: the row has 3 fields"):
        run(parser(max_columns=2), ["1;2\n" * 20 + "3;4;5\n"])


async def test_the_stage_sniffs() -> None:
    data = "id;näme\n1;Ann\n".encode()

    assert await sf.pipeline([data[:9], data[9:]], sf.csv.parse(dialect="sniff"), sf.collect()) == [
        {"id": "1", "näme": "Ann"}
    ]
    stage = sf.csv.parse(dialect="sniff", bad=sf.skip_errors(budget=3))
    assert await sf.pipeline([data, b"2;Zo\n" * SAMPLE, b"1\n2;Zo\n"], stage, sf.collect()) == [
        {"id": "1", "näme": "Ann"},
        *[{"id": "2", "näme": "Zo"}] * (SAMPLE + 1),
    ]
