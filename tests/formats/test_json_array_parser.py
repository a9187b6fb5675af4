"""JSON arrays: wherever the chunks are cut, the items are those of `json.loads` of the whole."""

from __future__ import annotations

import codecs
import json
import random
import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import LimitExceeded, TruncatedError, UsageError
from streamflow.formats.bad_rows import BadRow
from streamflow.formats.json_array_parser import ArrayParser
from streamflow.formats.json_scanner import ItemScanner
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
    ' \r\n[ {"a\\"]": "x\\\\", "é": [1, {"c": "]}"}]} ,\n\t[1, [2, {}]], '
    '"a,b]\\\\", -1.5e3,null,\n[], {"😀":","}\n ]\n '
)


@pytest.mark.parametrize("data", [SAMPLE, "[]", "[ ]", "\n[\n]\n", "[0]", '[""]', '["\\\\"]', "[[[]],{}]"])
def test_the_items_are_the_same_at_every_cut(library: str, data: str) -> None:
    """L1, C7."""
    for chunks in each_cut(data.encode()):
        assert same(run(ArrayParser(), chunks), json.loads(data))
    for texts in each_cut(data):
        assert same(run(ArrayParser(), texts), json.loads(data))


@given(st.lists(values, max_size=6), cuts, st.sampled_from([None, 0, 2, "\t"]))
def test_the_items_equal_the_standard_library_s(items: list[Any], at: list[int], indent: Any) -> None:
    """L1."""
    data = json.dumps(items, ensure_ascii=False, indent=indent).encode()
    assert same(run(ArrayParser(), chunks_of(data, at)), items)


def test_many_items_over_many_pieces() -> None:
    """L1: across the pieces in which a chunk is looked at."""
    rows = [{"id": number, "text": "x],[" * (number % 200)} for number in range(2_000)]
    data = text_of(rows)

    assert run(ArrayParser(), [data]) == rows
    assert run(ArrayParser(), chunks_of(data, list(range(0, len(data), 777)))) == rows


tricky = st.recursive(
    st.integers() | st.sampled_from(['},{"id": ', '"', "}", '\\"},{"id":1', "},\n{"]),
    lambda inner: st.lists(st.fixed_dictionaries({"id": inner}), max_size=3),
    max_leaves=6,
)


@given(st.lists(st.fixed_dictionaries({"id": tricky, "b": tricky}), max_size=12), cuts, st.sampled_from([None, 1]))
def test_a_wrong_guess_where_an_item_ends_changes_nothing(items: list[Any], at: list[int], indent: Any) -> None:
    """L1: what stands between two items may stand deeper, or in a string."""
    data = text_of(items) if indent is None else json.dumps(items, indent=indent).encode()
    for size in (7, 60, 400):
        assert same(run(ArrayParser(), chunks_of(data, list(range(0, len(data), size)))), items)
    assert same(run(ArrayParser(), chunks_of(data, at)), items)


@pytest.mark.parametrize("indent", [None, 2])
def test_right_guesses_read_most_items_and_count_items_and_lines(indent: Any) -> None:
    rows = [{"id": number, "text": "x" * 50} for number in range(2_000)]
    data = json.dumps(rows, indent=indent).encode()[:-1] + b',\n {"id":x}]'
    line = data[: data.index(b'{"id":x}')].count(b"\n") + 1
    parser = ArrayParser()
    seen = []
    scan = ItemScanner.scan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ItemScanner, "scan", lambda self, piece: seen.append(len(piece)) or scan(self, piece))
        out, error = outcome(parser, chunks_of(data, list(range(0, len(data), 5_000))))

    assert out == rows
    assert error == f"FormatError: item 2001 (line {line}): Expecting value"
    assert sum(seen) < len(data) / 4


def test_a_guess_does_not_take_an_item_beyond_the_limit() -> None:
    """H64: also where many items are read in one call."""
    rows = [{"id": number, "text": "x" * (400 if number == 2_000 else 9)} for number in range(3_000)]
    out, error = outcome(ArrayParser(max_item_bytes=300), [text_of(rows)])
    assert out == rows[:2_000]
    assert error.startswith("LimitExceeded: item 2001 (line 1)")


def test_wrong_guesses_are_given_up() -> None:
    item = {"id": 1, "lines": [{"id": 2}, {"id": 3}] * 30, "end": "x" * 500}
    parser = ArrayParser()
    assert run(parser, chunks_of(text_of([item] * 40), list(range(0, 100_000, 12_000)))) == [item] * 40
    assert parser._guesses == 0


def test_an_item_comes_as_soon_as_it_is_complete() -> None:
    parser = ArrayParser()
    assert list(parser.feed(b'[{"a": 1},')) == [{"a": 1}]
    assert list(parser.feed(b" 2")) == []
    assert list(parser.feed(b"3]")) == [23]
    assert list(parser.feed(b" \n")) == []
    assert list(parser.finish()) == []


def test_a_byte_order_mark_is_skipped(library: str) -> None:
    for chunks in each_cut(codecs.BOM_UTF8 + b"[1]"):
        assert run(ArrayParser(), chunks) == [1]
    for chunks in each_cut("[1]".encode("utf-16")):
        assert run(ArrayParser(encoding="utf-16"), chunks) == [1]


@pytest.mark.parametrize(("text", "reason"), BROKEN)
def test_a_broken_item_is_named_after_the_items_before_it(library: str, text: bytes, reason: str) -> None:
    """L1: the same at every cut, with each library."""
    data = b'[{"a": 1},\n0,\n' + text + b",\n2]"
    cut_in = each_cut(data) if len(data) < 100 else [[data]]
    for chunks in cut_in:
        out, error = outcome(ArrayParser(), chunks)
        assert out == [{"a": 1}, 0]
        assert re.match(rf"FormatError: item 3 \(line 3\): .*({reason})", error)


@pytest.mark.parametrize(
    ("data", "items", "message"),
    [
        (b"[1,]", [1], "FormatError: item 2 (line 1): an item is missing"),
        (b"[,1]", [], "FormatError: item 1 (line 1): an item is missing"),
        (b"[1,\n ,2]", [1], "FormatError: item 2 (line 2): an item is missing"),
        (b"[1\n2]", [], "FormatError: item 1 (line 2): Extra data"),
        (b"[1}", [1], "FormatError: line 1: the JSON array is closed by } and not by ]"),
        (b"[1]\n ]", [1], "FormatError: line 2: ']' stands behind the end"),
        (b"[1][2]", [1], "FormatError: line 1: '[' stands behind the end"),
        (b'\n{"a": [1]}', [], "FormatError: line 2: a JSON array begins with [, and not with '{'"),
        (b"1", [], "FormatError: line 1: a JSON array begins with [, and not with '1'"),
        (b"\xff[1]", [], "FormatError: line 1: a JSON array begins with [, and not with"),
        (b"", [], "TruncatedError: the data ends before a JSON array has begun"),
        (b" \n", [], "TruncatedError: the data ends before a JSON array has begun"),
        (b"[", [], "TruncatedError: the data ends inside the JSON array, in item 1 (line 1)"),
        (b"[1,\n2", [1], "TruncatedError: the data ends inside the JSON array, in item 2 (line 2)"),
        (b'[1,"]', [1], "TruncatedError: the data ends inside the JSON array, in item 2 (line 1)"),
    ],
)
def test_what_is_no_array_is_a_named_error(library: str, data: bytes, items: list[Any], message: str) -> None:
    """P5, L1."""
    for chunks in each_cut(data):
        out, error = outcome(ArrayParser(), chunks)
        assert out == items
        assert error.startswith(message)


def test_cut_anywhere_it_is_truncated(library: str) -> None:
    """P5."""
    data = SAMPLE.rstrip().encode()
    for size in range(len(data)):
        with pytest.raises(TruncatedError):
            run(ArrayParser(), [data[:size]])


def test_the_line_of_the_fault_is_named_inside_an_item() -> None:
    data = b'[\n1,\n{"a":\n 2,\n "b": x}]'
    for chunks in each_cut(data):
        assert outcome(ArrayParser(), chunks) == ([1], "FormatError: item 2 (line 5): Expecting value")


def test_types_are_checked_and_the_path_is_named() -> None:
    out, error = outcome(ArrayParser(dict[str, int]), [b'[{"a": 1},\n {"b": "x"}]'])
    assert out == [{"a": 1}]
    assert error == "FormatError: item 2 (line 2): Expected `int`, got `str` - at `$[...]`"


def test_items_may_be_as_long_as_the_limit_at_every_cut() -> None:
    """H64: space before an item does not count."""
    data = b'[\n    "12345678",   [1,2,3,4] ,1]'
    for chunks in each_cut(data):
        assert len(run(ArrayParser(max_item_bytes=10), chunks)) == 3
        out, error = outcome(ArrayParser(max_item_bytes=9), chunks)
        assert out == []
        assert error.startswith("LimitExceeded: item 1 (line 2) is longer than max_item_bytes=9")


@pytest.mark.parametrize("start", [b"[1, ", b'[1, "', b"[1, [", b"[1, 2"])
def test_an_endless_item_ends_at_the_limit_in_bounded_memory(start: bytes) -> None:
    """H64."""
    parser = ArrayParser(max_item_bytes=100_000)
    list(parser.feed(start))
    tracemalloc.start()
    try:
        fed, error = fed_until_error(parser, b"1" * 1_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.startswith("LimitExceeded: item 2 (line 1)")
    assert fed <= 100_000
    assert peak < 1_000_000


def test_endless_space_is_not_held() -> None:
    parser = ArrayParser(max_item_bytes=1_000)
    for part in (b" ", b"[", b" ", b"1,", b" ", b"2]", b" "):
        for _ in range(20):
            list(parser.feed(part if len(part.strip()) == 0 else b""))
            assert len(parser._held) <= 1_000
        list(parser.feed(part * 3_000 if part == b" " else part))
    assert list(parser.finish()) == []


@pytest.mark.parametrize("text", [b"[" * 10**6 + b"]" * 10**6, b'{"a":' * 10**6 + b"1" + b"}" * 10**6])
def test_deep_nesting_is_a_named_error(library: str, text: bytes) -> None:
    with pytest.raises(LimitExceeded, match=r"item 2 \(line 1\): brackets are nested deeper"):
        run(ArrayParser(max_item_bytes=8 << 20), [b"[1," + text + b"]"])


def test_bad_items_have_their_places_among_the_items(library: str) -> None:
    parser = ArrayParser()
    given = [*parser.rows(b"[1, x, 2,\n, [3}, 4]"), *parser.last_rows()]

    assert [row for rows in given if not isinstance(rows, BadRow) for row in rows] == [1, 2, 4]
    bad = [rows for rows in given if isinstance(rows, BadRow)]
    assert [(row.row, row.number) for row in bad] == [(b"x", 2), (b"", 4), (b"[3}", 5)]


@pytest.mark.parametrize(
    "options",
    [{"max_item_bytes": 0}, {"max_item_bytes": True}, {"encoding": "nope"}, {"errors": "nope"}, {"type": 5}],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    """F14."""
    with pytest.raises(UsageError):
        ArrayParser(**options)


# --- fuzzed ----------------------------------------------------------------------------------------------------------


def fuzzed(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(SAMPLE.encode())
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        data[at : at + rng.randint(0, 2)] = rng.choice(
            [b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"e", b"9" * 5, b"\x00", b"\xff", b" ", b"-", b"\\u"]
        )
    whole = bytes(data)
    out, error = outcome(ArrayParser(), chunks_of(whole, rng.sample(range(len(data)), 2)))
    try:
        expected = json.loads(whole.decode())
    except ValueError:
        assert error, whole
    else:
        assert "beyond what a float" in error or (isinstance(expected, list) and same(out, expected)) or error, whole
        assert bool(error) is not isinstance(expected, list) or "beyond what a float" in error, whole
    assert (out, error) == outcome(ArrayParser(), [whole])


def test_damaged_arrays_are_read_as_the_standard_library_does_or_refused(library: str) -> None:
    """L1."""
    inputs = 2_000
    for seed in range(inputs):
        fuzzed(seed)
    print(f"parse_array, {library}: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`


@pytest.mark.slow
def test_many_damaged_arrays_are_read_as_the_standard_library_does_or_refused(library: str) -> None:
    """L1."""
    inputs = 40_000
    for seed in range(10_000, 10_000 + inputs):
        fuzzed(seed)
    print(f"parse_array, {library}: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`
