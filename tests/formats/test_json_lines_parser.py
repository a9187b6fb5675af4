"""JSON Lines: wherever the chunks are cut, the items are those of `json.loads` for each line."""

from __future__ import annotations

import codecs
import dataclasses
import json
import math
import random
import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import LimitExceeded, TruncatedError, UsageError
from streamflow.formats.bad_rows import BadRow
from streamflow.formats.json_lines_parser import LineParser
from tests.formats.json_cases import (
    BROKEN,
    chunks_of,
    cuts,
    each_cut,
    fed_until_error,
    library,
    outcome,
    run,
    same,
    text_of,
    values,
)

__all__ = ["library"]

SAMPLE = (
    '{"a": "é\\n😀", "b": [1, {"c": null}]}\r\n\n  \t\r\n[1, 2]\n"x\u2028y"\n-1.5e3\n  {"d": {}}  \n{"last": true}'
).encode()
ITEMS = [{"a": "é\n😀", "b": [1, {"c": None}]}, [1, 2], "x\u2028y", -1500.0, {"d": {}}, {"last": True}]


@dataclasses.dataclass
class Order:
    id: int
    tags: list[str] = dataclasses.field(default_factory=list)


def test_the_items_are_the_same_at_every_cut(library: str) -> None:
    """L1, C7."""
    for chunks in each_cut(SAMPLE):
        assert same(run(LineParser(), chunks), ITEMS)


def test_text_gives_the_same_items_as_bytes_at_every_cut(library: str) -> None:
    """L1."""
    for chunks in each_cut(SAMPLE.decode()):
        assert same(run(LineParser(), chunks), ITEMS)


@pytest.mark.parametrize("name", ["json", "msgspec"])
@given(st.lists(values, max_size=8), cuts, st.booleans())
def test_the_items_equal_the_standard_library_s(name: str, items: list[Any], at: list[int], ended: bool) -> None:
    """L1."""
    data = b"\n".join(map(text_of, items)) + b"\n" * ended
    with pytest.MonkeyPatch.context() as patch:
        if name == "json":
            patch.setattr("streamflow.formats.json_library._installed", lambda: None)
        assert same(run(LineParser(), chunks_of(data, at)), [json.loads(line) for line in data.split(b"\n") if line])


def test_many_lines_come_in_batches_however_they_are_cut() -> None:
    """L1, L2: across the pieces in which a chunk is looked at."""
    rows = [{"id": number, "text": "x" * (number % 700)} for number in range(3_000)]
    data = b"".join(text_of(row) + b"\n" for row in rows)

    assert run(LineParser(), [data]) == rows
    assert run(LineParser(), chunks_of(data, list(range(0, len(data), 777)))) == rows
    parser = LineParser()
    batches = [len(list(batch)) for batch in parser.batches(data)]
    assert max(batches) <= 700 < len(batches) * 700


def test_nothing_and_blank_lines_give_nothing(library: str) -> None:
    """C7."""
    assert run(LineParser(), []) == []
    assert run(LineParser(), [b"", b"\n\r\n \t\n", b" "]) == []


def test_a_byte_order_mark_is_skipped_once(library: str) -> None:
    data = codecs.BOM_UTF8 + b'{"a": "\xef\xbb\xbf"}\n'
    for chunks in each_cut(data):
        assert run(LineParser(), chunks) == [{"a": "\ufeff"}]
    assert run(LineParser(), ["\ufeff1\n", "2"]) == [1, 2]
    assert "line 1" in outcome(LineParser(), [codecs.BOM_UTF8 * 2 + b"1"])[1]


def test_half_a_byte_order_mark_is_not_lost(library: str) -> None:
    assert outcome(LineParser(), [b"\xef\xbb"])[1].startswith(("FormatError: line 1", "TruncatedError"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1", "utf-32-le"])
def test_other_encodings_are_read_at_every_cut(encoding: str) -> None:
    data = '{"a": "é"}\n"ü"\n'.encode(encoding)
    for chunks in each_cut(data):
        assert run(LineParser(encoding=encoding), chunks) == [{"a": "é"}, "ü"]


def test_undecodable_bytes_are_replaced_on_request() -> None:
    for chunks in each_cut(b'"a\xffb"\n"\xc3\xa9"\n'):
        assert run(LineParser(errors="replace"), chunks) == ["a\ufffdb", "é"]
    out, error = outcome(LineParser(encoding="ascii"), [b'"a"\n"b"\n', b'"c\xff"\n'])
    assert out == ["a", "b"]
    assert error.startswith("FormatError: byte 0xff")
    assert "(line 3)" in error


@pytest.mark.parametrize(("text", "reason"), BROKEN)
def test_a_broken_line_is_named_after_the_items_before_it(library: str, text: bytes, reason: str) -> None:
    """L1: the same at every cut, with each library."""
    data = b'{"a": 1}\n\n' + text + b'\n{"b": 2}\n'
    cut_in = each_cut(data) if len(data) < 100 else [[data]]
    for chunks in cut_in:
        out, error = outcome(LineParser(), chunks)
        assert out == [{"a": 1}]
        assert re.match(rf"(FormatError|LimitExceeded): line 3(, column \d+)?: .*({reason})", error)


def test_the_column_counts_characters() -> None:
    assert outcome(LineParser(), ['{"é😀": x}\n'])[1] == "FormatError: line 1, column 8: Expecting value"


@pytest.mark.parametrize("end", [b"{} {}", b"{\n}", b"[1,\n2]", b'"a\nb"'])
def test_a_value_stands_on_one_line_and_a_line_has_one_value(library: str, end: bytes) -> None:
    """msgspec's own call for many lines takes the first three, in some cuts."""
    # As many lines as values: counting them would not find it.
    data = b"{}\n" + end + b"\n{} {}\n"
    for chunks in each_cut(data):
        out, error = outcome(LineParser(), chunks)
        assert out == [{}]
        assert error.startswith("FormatError: line 2, column")


def test_types_are_checked_and_the_path_is_named() -> None:
    data = b'{"id": 1}\n{"id": 2, "tags": ["a", "b"], "more": 0}\n{"id": 3, "tags": ["a", 5]}\n{"id": 4}\n'
    for chunks in each_cut(data):
        out, error = outcome(LineParser(Order), chunks)
        assert out == [Order(1), Order(2, ["a", "b"])]
        assert error == "FormatError: line 3: Expected `str`, got `int` - at `$.tags[1]`"


@pytest.mark.parametrize("cut", range(1, 23))
def test_data_that_ends_inside_a_value_is_truncated(library: str, cut: int) -> None:
    """P5: also in the middle of a character; a number cannot be seen to be cut."""
    line = '{"a": [true, "é\\u00e9"]}'.encode()
    out, error = outcome(LineParser(), [b"1\n" + line[:cut]])

    assert out == [1]
    assert error.startswith("TruncatedError: the data ends inside a value: line 2")
    assert "Truncated" not in outcome(LineParser(), [b"1\n" + line[:cut] + b"\n"])[1]


@pytest.mark.parametrize("text", [b"nul", b"fals", b"-", b'"', b'"\\', b'"\\u00e', b"[", b'{"a":', b"\xc3"])
def test_what_has_only_begun_is_truncated(library: str, text: bytes) -> None:
    with pytest.raises(TruncatedError):
        run(LineParser(), [text])


def test_lines_may_be_as_long_as_the_limit_at_every_cut(library: str) -> None:
    """H64."""
    data = b'"12345678"\n"1234567"\n"12345678"'
    for chunks in each_cut(data):
        assert len(run(LineParser(max_line_bytes=10), chunks)) == 3
        out, error = outcome(LineParser(max_line_bytes=9), chunks)
        assert out == []
        assert error.startswith("LimitExceeded: line 1 is longer than max_line_bytes=9")


def test_a_long_line_in_the_middle_comes_after_the_items_before_it() -> None:
    data = b"1\n22\n3333\n4\n"
    for chunks in each_cut(data):
        out, error = outcome(LineParser(max_line_bytes=3), chunks)
        assert out == [1, 22]
        assert error.startswith("LimitExceeded: line 3")


@pytest.mark.parametrize("size", [10, 1_000, 60_000])
def test_an_endless_line_ends_at_the_limit_in_bounded_memory(size: int) -> None:
    """H64: no newline ever comes."""
    parser = LineParser(max_line_bytes=200_000)
    tracemalloc.start()
    try:
        fed, error = fed_until_error(parser, b"x" * size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.startswith("LimitExceeded: line 1")
    assert fed <= 200_000
    assert peak < 1_000_000


@pytest.mark.parametrize("text", [b"[" * 10**6, b'{"a":' * 10**6, b"[" * 10**6 + b"]" * 10**6])
def test_deep_nesting_is_a_named_error(library: str, text: bytes) -> None:
    """A million levels neither fill the stack nor take minutes."""
    with pytest.raises(LimitExceeded, match="line 2: brackets are nested deeper"):
        run(LineParser(max_line_bytes=8 << 20), [b"1\n", text + b"\n"])


def test_a_chunk_is_walked_over_lazily() -> None:
    parser = LineParser()
    items = iter(parser.feed(b'{"a": 1}\n' * 50_000))
    assert next(items) == {"a": 1}
    assert parser._line < 10_000


def test_kinds_of_chunks_are_not_mixed() -> None:
    for chunks in ([b"1", "2"], ["1", b"2"]):
        with pytest.raises(UsageError, match="one kind, bytes or str throughout"):
            run(LineParser(), chunks)
    with pytest.raises(UsageError, match="items of bytes, not int"):
        run(LineParser(), [1])
    assert run(LineParser(), [bytearray(b"1\n"), memoryview(b"2")]) == [1, 2]


@pytest.mark.parametrize(
    "options",
    [{"max_line_bytes": 0}, {"max_line_bytes": True}, {"encoding": "nope"}, {"errors": "nope"}, {"type": 5}],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    """F14."""
    with pytest.raises(UsageError):
        LineParser(**options)


def test_bad_lines_have_their_places_among_the_items(library: str) -> None:
    parser = LineParser()
    given = [*parser.rows(b"1\nx\n\n2\n{} {}\n3"), *parser.last_rows()]

    assert [row for rows in given if not isinstance(rows, BadRow) for row in rows] == [1, 2, 3]
    bad = [rows for rows in given if isinstance(rows, BadRow)]
    assert [(row.row, row.number) for row in bad] == [(b"x", 2), (b"{} {}", 5)]


# --- fuzzed ----------------------------------------------------------------------------------------------------------


def finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError
    return number


def reference(data: bytes) -> list[str]:
    """What `json.loads` makes of each line, until one is bad."""
    out = []
    for line in data.split(b"\n"):
        try:
            if line.strip(b" \t\r"):
                out.append(repr(json.loads(line.decode(), parse_float=finite)))
        except (ValueError, RecursionError):
            return [*out, "bad"]
    return out


def fuzzed(seed: int) -> None:
    random_ = random.Random(seed)
    data = bytearray(
        SAMPLE if seed % 2 else b'{"a":[1,2.5e3,"x\\u00e9",true]}\n[]\n{"b":-0.0,"b":12345678901234567890}\n'
    )
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(data))
        data[at : at + random_.randint(0, 2)] = random_.choice(
            [
                b"",
                b'"',
                b"\\",
                b"\n",
                b"{",
                b"}",
                b"[",
                b"]",
                b",",
                b"e",
                b"9" * 5,
                b"\x00",
                b"\xff",
                b" ",
                b"-",
                b"\\u",
            ]
        )
    expected = reference(bytes(data))
    out, error = outcome(LineParser(), chunks_of(bytes(data), random_.sample(range(len(data)), 2)))
    assert [*map(repr, out), *(["bad"] if error else [])] == expected, bytes(data)


def test_damaged_lines_give_what_the_standard_library_gives(library: str) -> None:
    inputs = 2_000
    for seed in range(inputs):
        fuzzed(seed)
    print(f"parse_lines, {library}: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`


@pytest.mark.slow
def test_many_damaged_lines_give_what_the_standard_library_gives(library: str) -> None:
    inputs = 60_000
    for seed in range(10_000, 10_000 + inputs):
        fuzzed(seed)
    print(f"parse_lines, {library}: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`
