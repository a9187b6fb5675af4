"""CSV to Arrow batches: what pyarrow gives for the whole, at every cut; and errors that name the line."""

from __future__ import annotations

import csv as stdlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats.arrow_csv_parser import CsvParser

pa = pytest.importorskip("pyarrow")
pa_csv = pytest.importorskip("pyarrow.csv")

DATA = 'id,name,price,note\n1,Zoë,1.5,"a, b"\n2,李雷,2.5,"line\none"\n3,Ann,,"said ""x"""\n\n4,"",3.25,\n'.encode()

# The first call in the main thread opens a pipe for signals, for as long as the process lives.
pa_csv.read_csv(pa.BufferReader(DATA))


def parsed(chunks: Iterable[bytes], **options: Any) -> tuple[list[Any], Exception | None]:
    parser = CsvParser(pa, **options)
    batches: list[Any] = []
    try:
        for chunk in chunks:
            batches.extend(parser.feed(chunk))
        batches.extend(parser.finish())
    except FormatError as error:
        return batches, error
    return batches, None


def table(chunks: Iterable[bytes], **options: Any) -> Any:
    batches, error = parsed(chunks, **options)
    assert error is None
    return pa.Table.from_batches(batches).combine_chunks()


def failure(data: bytes, **options: Any) -> tuple[list[dict[str, Any]], Exception]:
    """Return the rows before the error, and the error."""
    batches, error = parsed([data], **options)
    assert error is not None
    return [row for batch in batches for row in batch.to_pylist()], error


def whole(data: bytes, **options: Any) -> Any:
    parsing = pa_csv.ParseOptions(newlines_in_values=True)
    return pa_csv.read_csv(
        pa.BufferReader(data), parse_options=parsing, convert_options=pa_csv.ConvertOptions(**options)
    ).combine_chunks()


def text_of(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    stdlib.writer(out).writerows(rows)
    return out.getvalue().encode()


def test_it_gives_what_pyarrow_gives_for_the_whole_at_every_cut() -> None:
    """L1."""
    expected = whole(DATA)

    for at in range(len(DATA) + 1):
        assert table([DATA[:at], DATA[at:]]).equals(expected)
    assert table([DATA[at : at + 1] for at in range(len(DATA))]).equals(expected)


VALUES = st.text(st.sampled_from('ab1,"\n\r ä李'), max_size=6)


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=20), st.integers(60, 200), st.data())
def test_strings_come_back_however_cut(rows: list[tuple[str, ...]], block: int, data: st.DataObject) -> None:
    """L1: also where batches end follows from the data alone."""
    text = text_of([("a", "b", "c"), *rows])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    chunks = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    options: dict[str, Any] = {"infer": False, "block_bytes": block}
    batches, error = parsed(chunks, **options)

    assert error is None
    assert [tuple(row.values()) for batch in batches for row in batch.to_pylist()] == rows
    assert batches == parsed([text], **options)[0]
    assert {batch.schema for batch in batches} == {pa.schema([(name, pa.string()) for name in "abc"])}


@given(st.text(st.sampled_from('ab1,"\n\r\0ä'), max_size=30).map(str.encode), st.integers(1, 40), st.data())
def test_whatever_comes_the_outcome_does_not_depend_on_the_cut(raw: bytes, block: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    (one, error), (two, other) = (
        parsed(chunks, block_bytes=block, header=["x", "y"]) for chunks in ([raw], [raw[:at], raw[at:]])
    )

    assert one == two
    assert (type(error), str(error)) == (type(other), str(other))


def test_types_are_fixed_by_the_first_block() -> None:
    data = b"n,text\n" + b"1,a\n" * 10 + b"x,b\n"
    rows, error = failure(data, block_bytes=20)

    assert rows == [{"n": 1, "text": "a"}] * 10
    assert str(error).startswith("line 12: column 'n': to int64: invalid value 'x'")
    assert "write types={'n': 'string'}" in str(error)
    assert table([data], block_bytes=20, types={"n": "string"}).column("n").to_pylist() == ["1"] * 10 + ["x"]


def test_a_column_without_a_value_in_the_first_block_is_one_of_strings() -> None:
    got = table([b"a,b\n1,\n2,\n3,x\n"], block_bytes=10)

    assert got.schema.field("b").type == pa.string()
    assert got.to_pylist() == [{"a": 1, "b": ""}, {"a": 2, "b": ""}, {"a": 3, "b": "x"}]


def test_types_may_be_given_by_name_by_object_and_as_a_schema() -> None:
    for types in ({"id": "int8"}, {"id": pa.int8()}, pa.schema([("id", pa.int8())])):
        got = table([DATA], types=types)
        assert got.schema.types == [pa.int8(), pa.string(), pa.float64(), pa.string()]
        assert got.equals(whole(DATA, column_types={"id": pa.int8()}))
    assert set(table([DATA], infer=False).schema.types) == {pa.string()}
    assert table([DATA], infer=False, types={"id": "int8"}).schema.types == [pa.int8(), *[pa.string()] * 3]


@pytest.mark.parametrize("infer", [True, False])
def test_only_the_columns_wanted_come_and_in_that_order(infer: bool) -> None:
    got = table([DATA], columns=["note", "id"], infer=infer)

    assert got.column_names == ["note", "id"]
    assert got.column("note").to_pylist() == ["a, b", "line\none", 'said "x"', ""]


def test_headers_of_all_kinds() -> None:
    assert table([b"1,2\n3,4\n"], header=["x", "y"]).to_pylist() == [{"x": 1, "y": 2}, {"x": 3, "y": 4}]
    assert table([b"1,2\n3,4\n"], header=False).to_pylist() == [{"f0": 1, "f1": 2}, {"f0": 3, "f1": 4}]
    assert table([b"1,2\n"], header=False, columns=["f1"]).to_pylist() == [{"f1": 2}]
    assert table([b'\n\n"a\nb",c\n1,2\n']).to_pylist() == [{"a\nb": 1, "c": 2}]
    assert table([b"\xef\xbb\xbfa\n1\n"]).to_pylist() == [{"a": 1}]


def test_a_header_without_rows_says_what_the_columns_are() -> None:
    for data in (b"id,name\n", b"id,name", b"\n\nid,name\n\n"):
        (batch,), error = parsed([data], types={"id": "int64"})
        assert error is None
        assert (batch.num_rows, batch.schema) == (0, pa.schema([("id", pa.int64()), ("name", pa.string())]))
    assert parsed([b"id,name\n"], columns=["name"])[0][0].schema.names == ["name"]
    assert parsed([b""], header=["a"])[0][0].schema.names == ["a"]


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n\r\n"])
@pytest.mark.parametrize("header", [True, False])
def test_no_data_gives_no_batch(data: bytes, header: bool) -> None:
    assert parsed([data], header=header) == ([], None)


@pytest.mark.parametrize("block", [16, 1000])
@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"5,6,7", "2 fields expected (a, b), 3 found"),
        (b"5", "2 fields expected (a, b), 1 found"),
        (b"x,6", "column 'a'"),
        (b"5,\xff", "column 'b': to string: invalid UTF8 data"),
    ],
)
def test_an_error_names_its_line_behind_the_rows_before_it(row: bytes, words: str, block: int) -> None:
    """H62, P3."""
    data = b'a,b\r\n1,"x\r\ny"\r\n\r\n2,z\r\n' + row + b"\r\n9,z\r\n"
    rows, error = failure(data, types={"a": "int64", "b": "string"}, block_bytes=block)

    assert rows == [{"a": 1, "b": "x\r\ny"}, {"a": 2, "b": "z"}]
    assert str(error).startswith("line 6: ")
    assert words in str(error)


def test_a_bad_row_of_the_first_block_is_found_though_types_are_not_known_yet() -> None:
    rows, error = failure(b"a,b\n1,\n2,\n3\n4,5\n")

    assert rows == [{"a": 1, "b": ""}, {"a": 2, "b": ""}]
    assert str(error) == "line 4: 2 fields expected (a, b), 1 found"


def test_bytes_that_are_no_utf8_are_an_error_also_where_pyarrow_would_make_a_binary_column() -> None:
    rows, error = failure(b"a\nx\n\xff\n")

    assert rows == [{"a": "x"}]
    assert "line 3: column 'a'" in str(error)
    assert table([b"a\nx\n\xff\n"], types={"a": "binary"}).column("a").to_pylist() == [b"x", b"\xff"]
    assert "line 2: no UTF-8" in str(failure(b"\n\xff,a\n1,2\n")[1])


def test_data_that_ends_inside_quotes_is_truncated_behind_the_good_rows() -> None:
    """P5, H62: pyarrow takes it for whole."""
    rows, error = failure(b'a,b\n1,x\n2,"y\nz')

    assert whole(b'a,b\n1,x\n2,"y\nz').num_rows == 2
    assert rows == [{"a": 1, "b": "x"}]
    assert isinstance(error, TruncatedError)
    assert "line 3" in str(error)


def test_faults_of_the_cutter_arrive() -> None:
    assert isinstance(failure(b"a\n" + b"x" * 50 + b"\n", block_bytes=20)[1], LimitExceeded)
    assert "goes on behind the closing" in str(failure(b'a,b\n"1"2,3\n')[1])


def test_names_that_are_not_there_or_twice_are_refused() -> None:
    assert str(failure(b"\na,b\n1,2\n", columns=["a", "c"])[1]) == "line 2: there is no column c; there are a, b"
    assert "no column c" in str(failure(b"a,b\n1,2\n", types={"c": "int8"})[1])
    assert "line 1: the header has 'a' more than once" in str(failure(b"a,a\n1,2\n")[1])
    for options in ({"columns": ["c"]}, {"types": {"c": "int8"}}):
        with pytest.raises(UsageError, match="there is no column c"):
            CsvParser(pa, header=["a"], **options)


def test_other_dialects() -> None:
    assert table([b"a;b\n'x;\n';2\n"], delimiter=";", quotechar="'").to_pylist() == [{"a": "x;\n", "b": 2}]
    assert table([b'a\tb\n"x\t2\n'], delimiter="\t", quotechar=None).to_pylist() == [{"a": '"x', "b": 2}]
    assert table([b"a,b\r1,2\r3,4"]).to_pylist() == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_options_of_pyarrow_reach_it() -> None:
    options = {"null_values": ["-"], "strings_can_be_null": True, "decimal_point": ","}
    got = table([b"a;b\n1,5;-\n"], delimiter=";", convert=options)

    assert got.to_pylist() == [{"a": 1.5, "b": None}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delimiter": ""}, "delimiter must be one character"),
        ({"delimiter": "ä"}, "delimiter must be one character"),
        ({"delimiter": "\n"}, "delimiter must be one character"),
        ({"quotechar": '""'}, "quotechar must be one character"),
        ({"header": "a,b"}, "header='a,b' must be a list"),
        ({"header": []}, "header="),
        ({"header": ["a", "a"]}, "more than once"),
        ({"columns": "a"}, "columns='a' must be a list"),
        ({"columns": []}, "columns="),
        ({"block_bytes": 0}, "block_bytes must be"),
        ({"types": {"a": "no such"}}, "is no type of Arrow"),
        ({"types": {"a": 1}}, "is no type of Arrow"),
        ({"convert": {"nul_values": ["-"]}}, "convert="),
        ({"convert": {"column_types": {}}}, "convert="),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], words: str) -> None:
    """F14, P10."""
    with pytest.raises(UsageError) as caught:
        CsvParser(pa, **options)
    assert words in str(caught.value)


def test_items_that_are_no_bytes_are_refused() -> None:
    with pytest.raises(UsageError, match="items of bytes"):
        list(CsvParser(pa).feed("a,b"))  # type: ignore[arg-type]


def test_bytes_like_chunks_are_taken() -> None:
    assert table([bytearray(DATA[:20]), memoryview(DATA)[20:]]).equals(whole(DATA))
