"""The CSV formatter: bytes equal to those of the standard library, blocks that follow from the rows alone."""

from __future__ import annotations

import csv
import io
import itertools
import sqlite3
from collections import UserDict, namedtuple
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streamflow.errors import FormatError, UsageError
from streamflow.formats.csv_dialect import resolve_dialect
from streamflow.formats.csv_parser import Parser
from streamflow.formats.csv_writer import Formatter

EXCEL = resolve_dialect("excel", {})
fields = st.one_of(
    st.text(alphabet="a,\"'\n\r;\\é😀 ", max_size=6), st.none(), st.integers(), st.floats(allow_nan=False)
)
dialects = st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from(",;\t"),
        "quotechar": st.sampled_from(['"', "'"]),
        "doublequote": st.booleans(),
        "escapechar": st.sampled_from([None, "\\"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE]),
        "lineterminator": st.sampled_from(["\n", "\r\n", ";\n"]),
    },
)


def blocks_of(rows: list[Any], *, sizes: list[int] | None = None, dialect: Any = EXCEL, **options: Any) -> list[bytes]:
    """Format rows in stretches of the given sizes (one row each if `None`)."""
    formatter = Formatter(dialect, **options)
    blocks: list[bytes] = []
    rest = iter(rows)
    if sizes is None:
        blocks += [block for row in rest for block in formatter.feed(row)]
    for size in sizes or ():
        blocks += formatter.apply(itertools.islice(rest, size))
    return [*blocks, *formatter.apply(rest), *formatter.finish()]


def bytes_of(rows: list[Any], **options: Any) -> bytes:
    return b"".join(blocks_of(rows, sizes=[], **options))


# --- equal to the standard library -----------------------------------------------------------------------------------


@given(st.lists(st.tuples(fields, fields, fields), min_size=1, max_size=6), dialects)
def test_bytes_equal_those_of_the_csv_module(rows: list[tuple[Any, ...]], options: dict[str, Any]) -> None:
    """L1."""
    names = ["id", "näme", "x"]
    expected = io.StringIO(newline="")
    try:
        dialect = resolve_dialect("excel", options)
        csv.writer(expected, **options).writerows([names, *rows])
    except (csv.Error, UsageError):
        assume(False)  # options that cannot write these fields
    written = expected.getvalue().encode()

    assert written == bytes_of(list(rows), dialect=dialect, header=names)
    assert written == bytes_of([dict(zip(names, row, strict=True)) for row in rows], dialect=dialect)


@given(st.lists(st.fixed_dictionaries({"id": st.text(alphabet='a,"\n\ré', max_size=6), "b": st.text()}), min_size=1))
def test_parsing_what_was_formatted_gives_it_back(rows: list[dict[str, str]]) -> None:
    """L1."""
    parser = Parser(resolve_dialect("excel", {"strict": True}))
    data = bytes_of(rows, errors="surrogatepass")
    again = [row for at in range(0, len(data), 7) for row in parser.feed(data[at : at + 7])] + list(parser.finish())

    assert rows == again


def test_other_encodings_write_one_mark() -> None:
    assert bytes_of([{"é": 1}] * 9, encoding="utf-8-sig", block_bytes=4) == ("é\r\n" + "1\r\n" * 9).encode("utf-8-sig")
    assert bytes_of([{"é": 1}] * 9, encoding="utf-16", block_bytes=4) == ("é\r\n" + "1\r\n" * 9).encode("utf-16")
    assert bytes_of([{"日": 1}], encoding="iso2022_jp") == "日\r\n1\r\n".encode("iso2022_jp")


# --- blocks ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(alphabet="abé", max_size=9)), st.lists(st.integers(0, 9), max_size=9), st.integers(1, 40))
def test_blocks_do_not_depend_on_how_the_rows_were_grouped(words: list[str], sizes: list[int], size: int) -> None:
    """L2."""
    rows = [{"word": word} for word in words]
    whole = blocks_of(rows, sizes=[], block_bytes=size)

    assert whole == blocks_of(rows, sizes=sizes, block_bytes=size)
    assert whole == blocks_of(rows, block_bytes=size)
    assert all(block.endswith(b"\r\n") and len(block.decode()) >= size for block in whole[:-1])


def test_blocks_have_about_the_size_that_was_asked_for() -> None:
    blocks = blocks_of([{"n": n, "text": "x" * 80} for n in range(5000)], sizes=[])

    assert all(64 * 1024 <= len(block) < 64 * 1024 + 100 for block in blocks[:-1])
    assert len(blocks) > 5


# --- header ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("header", "expected"), [(True, b""), (False, b""), (["a", "b"], b"a,b\r\n")])
def test_no_rows_give_the_header_if_its_names_are_known(header: Any, expected: bytes) -> None:
    """C7."""
    assert bytes_of([], header=header) == expected
    assert blocks_of([], header=header) == ([expected] if expected else [])


def test_the_names_of_the_first_row_are_the_columns() -> None:
    assert bytes_of([{"b": 1, "a": 2}, {"a": 3, "b": 4}]) == b"b,a\r\n1,2\r\n4,3\r\n"
    assert bytes_of([{"b": 1, "a": 2}, {"a": 3, "b": 4}], header=False) == b"1,2\r\n4,3\r\n"
    assert bytes_of([{"b": 1, "a": 2}], header=["a", "b"]) == b"a,b\r\n2,1\r\n"
    assert bytes_of([{"only": 1}, {"only": None}]) == b'only\r\n1\r\n""\r\n'


def test_lists_and_tuples_are_rows() -> None:
    point = namedtuple("point", "x y")  # noqa: PYI024  # the plain kind is what users have

    assert bytes_of([[1, 2], (3, 4), point(5, 6)], header=["x", "y"]) == b"x,y\r\n1,2\r\n3,4\r\n5,6\r\n"
    assert bytes_of([[1], [1, 2]], header=False) == b"1\r\n1,2\r\n"


def test_database_rows_and_other_mappings_are_rows() -> None:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    try:
        rows = connection.execute("select 1 as id, 'a' as name union select 2, 'b'").fetchall()
    finally:
        connection.close()

    assert bytes_of(rows) == b"id,name\r\n1,a\r\n2,b\r\n"
    assert bytes_of(rows, header=["name", "more"], extra="ignore", missing="-") == b"name,more\r\na,-\r\nb,-\r\n"
    assert bytes_of([UserDict({"a": 1}), {"a": 2}]) == b"a\r\n1\r\n2\r\n"


# --- errors ----------------------------------------------------------------------------------------------------------


def failure(rows: list[Any], *, sizes: list[int] | None = None, **options: Any) -> str:
    with pytest.raises(FormatError) as caught:
        blocks_of(rows, sizes=sizes, **options)
    return str(caught.value)


@pytest.mark.parametrize("sizes", [None, [], [3, 1]])
@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([{"a": 1, "b": 2}] * 4 + [{"a": 1}], {}, "row 5: the columns b are missing"),
        ([{"a": 1, "b": 2}] * 4 + [{"a": 1, "c": 2}], {}, "row 5: the columns b are missing"),
        ([{"a": 1}] * 4 + [{"a": 1, "b": 2}], {}, "row 5: it has the columns b, which the header lacks"),
        ([{"a": 1}] * 4 + [{"b": 2, "a": 1}], {"missing": ""}, "row 5: it has the columns b"),
        ([{"a": 1}] * 4 + [{"b": 2}], {"extra": "ignore"}, "row 5: the columns a are missing"),
        ([[1, 2]] * 4 + [[1]], {"header": ["a", "b"]}, "row 5: it has 1 fields, but the header has 2"),
        ([[1, 2]] * 4 + [{"a": 1}], {"header": False}, "row 5: it is a dict, not a list or tuple like the first row"),
        ([{"a": 1}] * 4 + [[1]], {}, "row 5: it is a list, not a dictionary like the first row"),
        ([[1]] * 4 + ["x"], {"header": False}, "row 5: it is a str, not a list"),
        ([[1, 2]], {}, "row 1 is a list, which has no names for the header. Write header="),
        (["abc"], {"header": False}, "row 1: it is a str"),
        ([{}], {}, "row 1: header=()"),
    ],
)
def test_a_bad_row_is_named_with_what_is_wrong(rows: Any, options: Any, words: str, sizes: list[int] | None) -> None:
    """P10: the same words however the rows are grouped."""
    assert failure(rows, sizes=sizes, **options).startswith(words)


def test_blocks_before_a_bad_row_are_given() -> None:
    """P3."""
    formatter = Formatter(EXCEL, block_bytes=10)
    blocks = formatter.apply(iter([{"a": "12345678"}] * 3 + [{"b": 1}]))

    assert [next(blocks), next(blocks)] == [b"a\r\n12345678\r\n", b"12345678\r\n"]
    assert next(blocks) == b"12345678\r\n"
    with pytest.raises(FormatError, match="row 4"):
        next(blocks)


def test_a_failing_input_comes_after_the_blocks_of_the_rows_before_it() -> None:
    """P3: the input's own exception, as it is."""

    def rows() -> Iterator[dict[str, str]]:
        yield from [{"a": "12345678"}] * 3
        raise KeyError("mine")

    blocks = Formatter(EXCEL, block_bytes=10).apply(rows())

    assert [len(next(blocks)) for _ in range(3)] == [13, 10, 10]
    with pytest.raises(KeyError, match="mine"):
        next(blocks)


def test_a_fields_own_exception_stays_bare() -> None:
    """P4."""

    class Broken:
        def __str__(self) -> str:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        bytes_of([{"a": 1}, {"a": Broken()}])


def test_a_field_that_the_dialect_cannot_write_names_the_row() -> None:
    dialect = resolve_dialect("excel", {"quoting": csv.QUOTE_NONE})

    assert failure([["a"], ["b,c"]], header=False, dialect=dialect).startswith("row 2: need to escape")


@pytest.mark.parametrize("block_bytes", [1, 4, 1000])
def test_a_character_that_the_encoding_lacks_names_the_row(block_bytes: int) -> None:
    rows = [{"a": "x"}] * 3 + [{"a": "é"}, {"a": "y"}]

    assert "row 4: character U+00E9" in failure(rows, encoding="ascii", block_bytes=block_bytes)
    assert "the header: character U+00E9" in failure([{"é": 1}], encoding="ascii", block_bytes=block_bytes)


def test_missing_columns_can_be_filled_and_extra_ones_ignored() -> None:
    rows = [{"a": 1, "b": 2}, {"a": 3}, {"b": 4, "c": 5}]

    assert bytes_of(rows, header=["a", "b"], missing="-", extra="ignore") == b"a,b\r\n1,2\r\n3,-\r\n-,4\r\n"
    assert bytes_of(rows[:2], missing=None) == b"a,b\r\n1,2\r\n3,\r\n"


# --- formulas --------------------------------------------------------------------------------------------------------


def test_formulas_are_made_harmless_where_asked() -> None:
    """H62."""
    rows = [{"a": "=cmd|'/c calc'!A1", "b": "-5"}, {"a": "+1e3", "b": "@x"}, {"a": -7, "b": "plain"}]

    assert bytes_of(rows[:1]) == b"a,b\r\n=cmd|'/c calc'!A1,-5\r\n"
    assert bytes_of(rows, escape_formulas=True) == b"a,b\r\n'=cmd|'/c calc'!A1,-5\r\n+1e3,'@x\r\n-7,plain\r\n"
    assert bytes_of([["=x"]], header=["=y"], escape_formulas=True) == b"'=y\r\n'=x\r\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"header": "abc"}, "header='abc'"),
        ({"header": []}, "header="),
        ({"header": ["a", "a"]}, "'a' more than once"),
        ({"block_bytes": 0}, "block_bytes must be"),
        ({"extra": "drop"}, "extra='drop'"),
        ({"encoding": "utf-9"}, "encoding='utf-9'"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], words: str) -> None:
    """P10, F14."""
    with pytest.raises(UsageError, match=words):
        Formatter(EXCEL, **options)
