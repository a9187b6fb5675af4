"""Rows in C: what `csv` of the standard library does, or left alone; hostile fields; no reference and no byte lost."""

from __future__ import annotations

import csv
import gc
import io
import itertools
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from streamflow.errors import FormatError, UsageError
from streamflow.formats import csv_rows
from streamflow.formats.csv_columns import Columns
from streamflow.formats.csv_dialect import resolve_dialect
from streamflow.formats.csv_parser import Parser
from streamflow.formats.csv_reader import RowReader
from streamflow.formats.csv_rows import full_dicts, quick_reader, quick_writer, rows_in_c, why_pure
from streamflow.formats.csv_writer import Formatter

in_c = pytest.mark.skipif(rows_in_c is None, reason=f"no rows in C: {why_pure}")

EXCEL = resolve_dialect("excel", {})
STRICT = resolve_dialect("excel", {"strict": True})
PLENTY = 1 << 40
MANY = settings(max_examples=4 * settings().max_examples)


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not asked for"


class Boom(Exception):
    pass


texts = st.text(
    alphabet="abcdefgh1,;\"'\n\r\t\0 \x7f\x80ÿĀé\u07ff\u0800東\ufeff\uffff\U00010000😀\U0010ffff", max_size=12
)
fields = st.one_of(texts, texts, texts.map(Text), st.none(), st.integers(), st.floats(), st.decimals(), st.booleans())
rows_of_any = st.lists(st.lists(fields, max_size=4) | st.lists(fields, max_size=4).map(tuple), max_size=8)
dialects = st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from(",;\t |a\0\x7f"),
        "quotechar": st.sampled_from(["'", '"', "b"]),
        "lineterminator": st.sampled_from(["\n", "\r\n", "\r", "", ";\n", "1", "long and c"]),
    },
)


def dialect_of(options: dict[str, Any]) -> Any:
    """The dialect; the example is dropped if this version of Python has none like that."""
    try:
        return resolve_dialect("excel", options)
    except UsageError:
        reject()


class Lines(list[str]):
    write = list.append


def written(rows: list[Any], dialect: Any = EXCEL) -> list[str]:
    lines = Lines()
    csv.writer(lines, dialect).writerows(rows)
    return lines


def columns_of(
    names: tuple[Any, ...] | None = None, *, mappings: bool = False, extra: str = "error", missing: Any = "error"
) -> Columns:
    return Columns(names, mappings=mappings, extra=extra, missing=missing, escape=False)


def writer(dialect: Any = EXCEL, columns: Columns | None = None) -> Any:
    write = quick_writer(dialect, columns or columns_of())
    assert write is not None
    return write


# --- writing: equal to csv.writer ------------------------------------------------------------------------------------


@in_c
@MANY
@given(rows_of_any, dialects)
def test_lists_are_written_as_the_csv_module_writes_them(rows: list[Any], options: dict[str, Any]) -> None:
    """L1."""
    dialect = dialect_of(options)
    text = "".join(written(rows, dialect))

    assert writer(dialect)(rows, 0, PLENTY) == (text.encode(), len(text), len(rows))


@in_c
@given(rows_of_any, st.integers(0, 40), st.integers(0, 9))
def test_it_stops_behind_the_row_that_fills_the_room(rows: list[Any], room: int, at: int) -> None:
    lines = written(rows)
    sizes = [0, *itertools.accumulate(map(len, lines[at:]))]
    count = next((number for number, size in enumerate(sizes) if size >= room), len(sizes) - 1)
    text = "".join(lines[at : at + count])

    assert writer()(rows, at, room) == (text.encode(), len(text), at + count)


@in_c
@given(st.lists(st.dictionaries(st.sampled_from("abc"), fields, max_size=3), max_size=6), st.booleans())
def test_dictionaries_are_written_as_the_csv_module_writes_them_up_to_one_that_does_not_fit(
    rows: list[dict[str, Any]], exact: bool
) -> None:
    """L1, P3."""
    names = ("b", "a")
    fit = {"a", "b"}.__eq__ if exact else {"a", "b"}.issubset
    good = list(itertools.takewhile(lambda row: fit(set(row)), rows))
    text = "".join(written([[row[name] for name in names] for row in good]))
    columns = columns_of(names, mappings=True, extra="error" if exact else "ignore")

    assert writer(columns=columns)(rows, 0, PLENTY) == (text.encode(), len(text), len(good))


@in_c
@pytest.mark.parametrize("missing", ["", "none, it seems", 0, None])
def test_missing_fields_are_filled_in(missing: Any) -> None:
    columns = columns_of(("a", "b"), mappings=True, missing=missing)
    text = "".join(written([["1", missing], [missing, missing]]))

    assert writer(columns=columns)([{"a": "1"}, {}, {"a": 1, "c": 2}], 0, PLENTY) == (text.encode(), len(text), 2)


@in_c
@pytest.mark.parametrize(
    "row", [[""], [None], (), [], [Text()], [" "], ["\ufeff"], ["", ""], ["\n"], ["\r"], ['"' * 9]]
)
def test_small_rows(row: Any) -> None:
    text = "".join(written([row]))
    assert writer()([row], 0, PLENTY) == (text.encode(), len(text), 1)


@in_c
@pytest.mark.parametrize("unit", ["a", "é", "東", "😀", '"', 'é"', '東"', '😀"'])
def test_long_fields(unit: str) -> None:
    rows = [["x", unit * 100_000, "y"], [unit * 70_000]]
    text = "".join(written(rows))
    assert writer()(rows, 0, PLENTY) == (text.encode(), len(text), 2)


@in_c
@pytest.mark.parametrize(
    "row",
    [
        ["a", "\ud800"],
        ["a,b", "\udfff,"],
        [Decimal(1), "😀\udc00"],
        ["a"],
        ["a", "b", "c"],
        {"a": "b"},
        "ab",
        None,
        type("Row", (list,), {})(["a", "b"]),
        type("Row", (tuple,), {})(("a", "b")),
        [10**5000, "a"],
    ],
)
def test_a_row_that_is_not_for_it_is_left_whole(row: Any) -> None:
    good, more = ["1", "x"], ["2", "y"]
    write = writer(columns=columns_of(("a", "b")))
    assert write([good, row, more], 0, PLENTY) == (b"1,x\r\n", 5, 1)
    assert write([good, row, more], 1, PLENTY) == (b"", 0, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"quoting": csv.QUOTE_ALL},
        {"quoting": csv.QUOTE_NONE},
        {"escapechar": "\\"},
        {"doublequote": False},
        {"skipinitialspace": True},
        {"delimiter": "é"},
        {"quotechar": "“"},
        {"lineterminator": "\u2028"},
    ],
)
def test_other_dialects_are_left_to_the_csv_module(options: dict[str, Any]) -> None:
    assert quick_writer(resolve_dialect("excel", options), columns_of()) is None


# --- reading: equal to csv.reader ------------------------------------------------------------------------------------

csv_texts = st.lists(
    st.sampled_from(
        ["a", "bc", "é", "東", "😀", ",", ",", '"', '"', '""', '","', "\n", "\r\n", "\r", "\n", "\0", " ", ";"]
    ),
    max_size=30,
).map("".join)
reading = st.fixed_dictionaries(
    {"strict": st.just(True)},
    optional={"delimiter": st.sampled_from(",; \té"), "quotechar": st.sampled_from(["'", '"', "é"])},
)


def reference(text: str, dialect: Any) -> tuple[list[list[str]], int, int]:
    """The rows of a text up to a fault or a row that has no end, how many lines these are, how many characters."""
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, dialect)
    rows: list[list[str]] = []
    ends = [0]
    try:
        for row in reader:
            if not lines[reader.line_num - 1].endswith(("\n", "\r")):
                break
            rows.append(row)
            ends.append(reader.line_num)
    except csv.Error:
        pass
    return rows, ends[-1], len("".join(lines[: ends[-1]]))


@in_c
@MANY
@given(csv_texts, reading)
def test_rows_are_read_as_the_csv_module_reads_them_up_to_one_that_it_refuses(
    text: str, options: dict[str, Any]
) -> None:
    """L1."""
    dialect = dialect_of(options)
    read = quick_reader(dialect)
    if dialect.delimiter == dialect.quotechar:
        assert read is None
        return
    assert read is not None
    rows, lines, end = read(text)

    assert (rows, lines, end) == reference(text, dialect)
    assert {type(field) for row in rows for field in row} <= {str}


@in_c
@given(st.lists(st.lists(texts, min_size=1, max_size=5), max_size=20))
def test_what_is_written_is_read(rows: list[list[str]]) -> None:
    read = quick_reader(STRICT)
    assert read is not None
    text = writer()(rows, 0, PLENTY)[0].decode()

    found, _, end = read(text)

    assert (found, end) == (rows, len(text))
    assert {field for row in found for field in row} == {field for row in rows for field in row}  # also their hashes


@in_c
@given(st.lists(texts, max_size=5))
def test_a_read_field_has_the_form_that_the_interpreter_gives_it(cells: list[str]) -> None:
    """A string in a wider form than it needs is not equal to itself."""
    read = quick_reader(STRICT)
    assert read is not None
    text = writer()([[*cells, "東", "😀"]], 0, PLENTY)[0].decode()
    (row,) = read(text)[0]
    assert [sys.getsizeof(field) for field in row] == [
        sys.getsizeof("".join(list(cell))) for cell in [*cells, "東", "😀"]
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"strict": False},
        {"quoting": csv.QUOTE_NONNUMERIC},
        {"quoting": csv.QUOTE_NONE},
        {"escapechar": "\\"},
        {"doublequote": False},
        {"skipinitialspace": True},
    ],
)
def test_reading_other_dialects_is_left_to_the_csv_module(options: dict[str, Any]) -> None:
    assert quick_reader(resolve_dialect("excel", {"strict": True} | options)) is None


def test_a_field_limit_that_is_lowered_meanwhile_is_respected() -> None:
    reader = RowReader(STRICT, 1 << 20, csv.field_size_limit())
    before = csv.field_size_limit(3)
    try:
        batch = reader.feed("a,bc\nabcd,e\n")
    finally:
        csv.field_size_limit(before)
    assert batch is not None
    assert batch.rows == [["a", "bc"]]
    assert isinstance(batch.error, FormatError)


@given(st.lists(st.lists(texts, min_size=2, max_size=2), max_size=5))
def test_rows_become_dictionaries_that_share_nothing(rows: list[list[str]]) -> None:
    dicts = list(full_dicts(("a", "b"), rows))
    assert dicts == [dict(zip(("a", "b"), row, strict=True)) for row in rows]
    for row in dicts:
        assert list(row) == ["a", "b"]
        row["c"] = "more"
    assert [dict(zip(("a", "b"), row, strict=True)) for row in rows] == list(full_dicts(("a", "b"), rows))


# --- the codecs, in both forms ---------------------------------------------------------------------------------------


def formatted(rows: list[Any], sizes: list[int], **options: Any) -> tuple[list[bytes], str]:
    rest = iter(rows)
    blocks: list[bytes] = []
    try:
        formatter = Formatter(EXCEL, **options)
        for size in sizes:
            blocks += formatter.apply(itertools.islice(rest, size))
        blocks.extend(formatter.apply(rest))
        blocks.extend(formatter.finish())
    except (FormatError, Boom, ValueError) as error:
        return blocks, f"{type(error).__name__}: {error}"
    return blocks, ""


class Failing:
    def __str__(self) -> str:
        raise Boom("at once")


odd_rows: st.SearchStrategy[Any] = st.one_of(
    st.lists(fields, min_size=2, max_size=2),
    st.lists(fields, min_size=2, max_size=2),
    st.sampled_from(
        [["a"], ["\ud800", "b"], ["é" * 20, "\udc00x"], {"a": 1, "b": 2}, [Failing(), "b"], "ab", ("x", "y")]
    ),
)
odd_dicts: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"a": fields, "b": fields}),
    st.fixed_dictionaries({"a": fields, "b": fields}),
    st.sampled_from(
        [{"a": 1}, {"a": 1, "b": 2, "c": 3}, {"b": "\ud800", "a": "x"}, ["a", "b"], {"a": Failing(), "b": 1}]
    ),
)


@MANY
@given(
    st.lists(odd_rows, max_size=12) | st.lists(odd_dicts, max_size=12),
    st.lists(st.integers(0, 4), max_size=4),
    st.sampled_from([1, 7, 20, 64, 1 << 16]),
    st.fixed_dictionaries(
        {"header": st.sampled_from([["a", "b"], ["é", "x,y"], ["\ud800", "b"], ["b", "a"], True, False])},
        optional={
            "errors": st.sampled_from(["replace", "surrogatepass"]),
            "extra": st.just("ignore"),
            "missing": st.sampled_from(["", None, "-"]),
        },
    ),
)
def test_blocks_and_errors_are_the_same_without_the_quick_way(
    rows: list[Any], sizes: list[int], block_bytes: int, options: dict[str, Any]
) -> None:
    """P3: also what was delivered before an error."""
    ours = formatted(rows, sizes, block_bytes=block_bytes, **options)
    with mock.patch.object(csv_rows, "rows_in_c", None):
        assert ours == formatted(rows, sizes, block_bytes=block_bytes, **options)


def parsed(chunks: list[str], **options: Any) -> tuple[list[Any], str]:
    rows: list[Any] = []
    try:
        parser = Parser(STRICT, **options)
        for chunk in chunks:
            rows.extend(parser.feed(chunk))
        rows.extend(parser.finish())
    except FormatError as error:
        return rows, f"{type(error).__name__}: {error}"
    return rows, ""


@MANY
@given(
    csv_texts,
    st.lists(st.integers(0, 40), max_size=5),
    st.fixed_dictionaries(
        {"rows": st.sampled_from(["lists", "dicts"])},
        optional={
            "header": st.just(["x", "y"]),
            "ragged": st.sampled_from(["pad", "keep"]),
            "max_row_bytes": st.sampled_from([3, 10, 40]),
            "max_field": st.sampled_from([2, 10]),
        },
    ),
)
def test_rows_and_errors_are_the_same_without_the_quick_way(text: str, at: list[int], options: dict[str, Any]) -> None:
    """P3, L1."""
    edges = [0, *sorted(min(place, len(text)) for place in at), len(text)]
    chunks = [text[start:end] for start, end in itertools.pairwise(edges)]
    ours = parsed(chunks, **options)
    with mock.patch.object(csv_rows, "rows_in_c", None):
        assert ours == parsed(chunks, **options)


def test_the_line_of_a_fault_behind_rows_that_were_read_quickly_is_right() -> None:
    text = 'a,b\n1,"x\ny"\r\n2,z\n3,"bad" quote\n'
    assert parsed([text], rows="lists") == (
        [["1", "x\ny"], ["2", "z"]],
        "FormatError: line 5: ',' expected after '\"'",
    )


def test_the_line_of_a_short_row_before_an_open_one_is_right() -> None:
    assert parsed(['a,b\n"1\n",2\n3\n4,"open\n'], rows="lists")[1].startswith("FormatError: line 4: 2 fields expected")


# --- hostile fields --------------------------------------------------------------------------------------------------


class Hostile:
    """A field that does something when it is asked for its text."""

    def __init__(self, do: Callable[[], object], text: str = "said") -> None:
        self.do, self.text = do, text

    def __str__(self) -> str:
        self.do()
        return self.text


@in_c
def test_a_field_that_empties_its_row_is_the_last_one_of_it() -> None:
    row: list[Any] = []
    row += [Hostile(row.clear, text="x" * 100), "b" * 1000, "c"]
    assert writer()([row, ["next"]], 0, PLENTY) == (b"x" * 100 + b"\r\nnext\r\n", 108, 2)


@in_c
def test_a_field_that_lengthens_its_row_is_not_alone() -> None:
    row: list[Any] = []
    row.append(Hostile(partial(row.extend, ["more"] * 1000)))
    assert writer()([row], 0, PLENTY)[0] == b",".join([b"said", *[b"more"] * 1000]) + b"\r\n"


@in_c
def test_a_field_that_empties_the_list_of_rows_ends_it() -> None:
    rows: list[Any] = []
    rows += [["a"], ["b", Hostile(rows.clear), "c"], ["d"]]
    assert writer()(rows, 0, PLENTY) == (b"a\r\nb,said,c\r\n", 13, 2)


@in_c
def test_a_dictionary_that_is_emptied_meanwhile_is_refused_whole() -> None:
    row: dict[str, Any] = {"b": "x"}
    row["a"] = Hostile(row.clear)
    write = writer(columns=columns_of(("a", "b"), mappings=True))
    assert write([{"a": "1", "b": "2"}, row], 0, PLENTY) == (b"1,2\r\n", 5, 1)


@in_c
def test_a_key_that_empties_the_dictionary_when_it_is_compared() -> None:
    class Key:
        def __hash__(self) -> int:
            return hash("a")

        def __eq__(self, other: object) -> bool:
            row.clear()
            return False

    row: dict[Any, Any] = {Key(): "x", "b": "y"}
    write = writer(columns=columns_of(("a", "b"), mappings=True))
    assert write([row], 0, PLENTY) == (b"", 0, 0)


@in_c
def test_a_key_that_cannot_be_compared_is_refused() -> None:
    class Key:
        def __hash__(self) -> int:
            return hash("a")

        def __eq__(self, other: object) -> bool:
            raise Boom

    write = writer(columns=columns_of(("a",), mappings=True))
    assert write([{Key(): "x"}], 0, PLENTY) == (b"", 0, 0)


@in_c
def test_a_field_may_write_rows_itself() -> None:
    write = writer()
    inner: list[Any] = []
    row = [Hostile(lambda: inner.append(write([["deep", 1]] * 300, 0, PLENTY)))]
    assert write([row, ["a"]], 0, PLENTY) == (b"said\r\na\r\n", 9, 2)
    assert inner == [(b"deep,1\r\n" * 300, 2400, 300)]


def fail(error: BaseException) -> None:
    raise error


@in_c
def test_a_field_that_fails_is_left_to_python_with_its_row() -> None:
    row = ["long" * 100, Hostile(lambda: fail(Boom()))]
    assert writer()([["a"], row, ["b"]], 0, PLENTY) == (b"a\r\n", 3, 1)


@in_c
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_should_end_the_program_is_not_swallowed(error: type[BaseException]) -> None:
    with pytest.raises(error):
        writer()([["a"], [Hostile(lambda: fail(error()))]], 0, PLENTY)


@in_c
def test_a_text_that_is_no_text_is_refused() -> None:
    class NoText:
        def __str__(self) -> str:
            return 5  # type: ignore[return-value]  # noqa: PLE0307  # that is the point

    assert writer()([["a"], [NoText()]], 0, PLENTY) == (b"a\r\n", 3, 1)


@in_c
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("read", ()),
        ("read", (",", '"')),
        ("read", (",,", '"', "")),
        ("read", (",", '"', b"")),
        ("read_dict", ({}, ())),
        ("read_dict", ([], (), [])),
        ("read_dict", ({}, [], [])),
        ("read_dict", ({}, (), ())),
        ("write_lists", (b"short", -1, [], 0, 1)),
        ("write_lists", ("text", -1, [], 0, 1)),
        ("write_lists", (bytes(130), -1, (), 0, 1)),
        ("write_lists", (bytes(130), -1, [])),
        ("write_dicts", (bytes(130), [], (), True, [], 0, 1)),
        ("write_dicts", (bytes(130), (), None, True, [], 0, 1)),
        ("write_dicts", (bytes(130), (), (), True, None, 0, 1)),
    ],
)
def test_wrong_arguments_are_refused(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        getattr(rows_in_c, name)(*arguments)


@in_c
@pytest.mark.parametrize("at", [-1, -(1 << 62), 5, 1 << 62])
def test_there_is_nothing_outside_the_list(at: int) -> None:
    assert writer()([["a"]], at, PLENTY) == (b"", 0, at)


@in_c
@pytest.mark.parametrize("room", [0, -1])
def test_without_room_nothing_is_written(room: int) -> None:
    assert writer()([["a"]], 0, room) == (b"", 0, 0)


@in_c
def test_names_and_fields_of_different_numbers() -> None:
    assert rows_in_c.read_dict({"a": None, "b": None}, ("a", "b"), ["1"]) == {"a": "1", "b": None}
    assert rows_in_c.read_dict({}, ("a",), ["1", "2"]) == {"a": "1"}


# --- references and memory -------------------------------------------------------------------------------------------


def fresh(text: str) -> str:
    """The same text in an object that nothing else holds."""
    return text[:1] + text[1:]


class World:
    """What a scenario may use, and whose references are counted."""

    def __init__(self) -> None:
        self.text, self.wide = fresh("some text"), fresh("so,me東\n")
        self.half = fresh("\ud800x")
        self.number = Decimal("1.5")
        self.field = Hostile(lambda: None, self.text)
        self.failing = Hostile(lambda: fail(self.error))
        self.error = Boom()
        self.row = [self.text, self.number, self.field, self.wide]
        self.names = (fresh("name"), fresh("other"))
        self.dict = {self.names[0]: self.number, self.names[1]: self.text}
        self.empty = dict.fromkeys(self.names)
        self.csv = fresh('a,"b""c"\ntext,東京,"two\nlines"\r\n')
        self.write = writer()
        self.write_dicts = writer(columns=columns_of(self.names, mappings=True, missing=self.text))

    def counted(self) -> list[int]:
        self.error.__traceback__ = None
        gc.collect()
        return [sys.getrefcount(thing) for thing in (*vars(self).values(), None, *self.row, *self.names)]


def rows_written(world: World) -> None:
    world.write([world.row, tuple(world.row), [None, world.wide]] * 20, 0, 200)


def rows_refused(world: World) -> None:
    for bad in (world.half, world.failing):
        world.write([world.row, [world.wide, world.number, bad]], 0, PLENTY)
    world.write([world.row, world.dict], 0, PLENTY)


def dicts_written(world: World) -> None:
    world.write_dicts([world.dict, {}, {world.names[0]: world.wide}] * 20, 0, PLENTY)


def dicts_refused(world: World) -> None:
    for bad in ({"more": world.text}, world.row, {world.names[1]: world.failing}, {world.names[0]: world.half}):
        world.write_dicts([world.dict, bad], 0, PLENTY)


def rows_read(world: World) -> None:
    for text in (world.csv, world.csv + '"bad"x\n', world.csv + 'a,"b', world.csv + "a,b", world.csv * 50):
        rows_in_c.read(",", '"', text)


def dicts_read(world: World) -> None:
    rows_in_c.read_dict(world.empty, world.names, world.row)
    for row in rows_in_c.read(",", '"', world.csv)[0]:
        rows_in_c.read_dict(world.empty, world.names, row)


def wrong_arguments(world: World) -> None:
    for call in (
        lambda: rows_in_c.read(world.text, world.wide, world.row),
        lambda: rows_in_c.read_dict(world.row, world.names, world.dict),
        lambda: rows_in_c.write_lists(world.text, 1, world.row, 0, 1),
        lambda: rows_in_c.write_dicts(bytes(130), world.names, world.text, 1, [], 0, 1),
    ):
        with pytest.raises(TypeError):
            call()


SCENARIOS = [rows_written, rows_refused, dicts_written, dicts_refused, rows_read, dicts_read, wrong_arguments]


@in_c
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_counts_of_references_are_as_before(scenario: Callable[[World], None]) -> None:
    world = World()
    scenario(world)
    before = world.counted()
    for _ in range(20):
        scenario(world)
    assert world.counted() == before


@in_c
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_memory_is_left(scenario: Callable[[World], None]) -> None:
    world = World()

    def grown(times: int) -> int:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            scenario(world)
        world.error.__traceback__ = None
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        grown(20)
        # Whatever is lost each time is lost a hundred times.
        assert grown(100) < 100 * 16
    finally:
        tracemalloc.stop()


@in_c
@pytest.mark.parametrize("which", ["lists", "dicts", "read", "wide", "read_dict"])
def test_every_allocation_may_fail(which: str) -> None:
    testing = pytest.importorskip("_testcapi", reason="this Python comes without its own tests")
    long = [["a" * 50, 1.5, "é" * 40 + '"', 12345, "東京"]] * 30
    named = [dict(zip("abcde", row, strict=True)) for row in long]
    text = "".join(written(long))
    calls: dict[str, Callable[[], Any]] = {
        "lists": partial(writer(), long, 0, PLENTY),
        "dicts": partial(writer(columns=columns_of(tuple("abcde"), mappings=True)), named, 0, PLENTY),
        "read": partial(rows_in_c.read, ",", '"', "some,text,here\n" * 30),
        "wide": partial(rows_in_c.read, ",", '"', text),
        "read_dict": partial(rows_in_c.read_dict, dict.fromkeys("abcdefgh"), tuple("abcdefgh"), list("12345678")),
    }
    call = calls[which]
    right = call()
    for number in range(80):
        failed = found = None
        try:
            testing.set_nomemory(number, number + 1)
            found = call()
        except MemoryError:
            failed = True
        finally:
            testing.remove_mem_hooks()
        assert failed or found == right or (which in ("lists", "dicts") and right[0].startswith(found[0]))


# --- which form is in use --------------------------------------------------------------------------------------------


def asked(code: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != "STREAMFLOW_PURE"}
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    return told.stdout.strip()


WHY = "from streamflow.formats import csv_rows as rows; print(rows.rows_in_c, rows.why_pure)"


def test_it_is_switched_off_by_a_word_in_the_environment() -> None:
    assert asked(WHY, STREAMFLOW_PURE="1") == "None STREAMFLOW_PURE is set in the environment"


def test_where_it_was_not_compiled_the_csv_module_does_all() -> None:
    missing = "import sys; sys.modules['streamflow.formats._rows'] = None; "
    used = "from streamflow import csv; parse, write = csv.parse(), csv.format(); print(parse.name, write.name); "
    told = asked(missing + used + WHY)
    assert told == "csv.parse csv.format\nNone it was not compiled when streamflow was installed"


@in_c
def test_the_codecs_use_it() -> None:
    with mock.patch.object(csv_rows, "rows_in_c", mock.Mock(wraps=rows_in_c)) as used:
        parser, formatter = Parser(STRICT), Formatter(EXCEL)
        rows = list(parser.feed("a,b\n1,2\n3,4\n"))
        data = b"".join([*formatter.apply(iter(rows)), *formatter.finish()])
    assert (rows, data) == ([{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], b"a,b\r\n1,2\r\n3,4\r\n")
    assert (used.read.called, used.read_dict.call_count, used.write_dicts.call_count) == (True, 2, 1)
