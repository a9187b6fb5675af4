"""CSV that means harm, or is damaged: a named error at bounded memory, or the rows of the standard library."""

from __future__ import annotations

import csv
import io
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from streamflow.formats import csv_rows
from streamflow.formats.csv_dialect import resolve_dialect
from streamflow.formats.csv_parser import Parser
from streamflow.formats.csv_reader import MOST_COLUMNS
from streamflow.formats.csv_sniffer import Sniffer
from tests.formats.json_cases import chunks_of, each_cut, outcome

pytestmark = pytest.mark.slow

STRICT = resolve_dialect("excel", {"strict": True})
CHUNK = 64 * 1024


@pytest.fixture(autouse=True, params=["c", "pure"])
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with rows in C, where they were compiled, and without."""
    name: str = request.param
    if name == "pure":
        monkeypatch.setattr(csv_rows, "rows_in_c", None)
    elif csv_rows.rows_in_c is None:
        pytest.skip(f"no rows in C: {csv_rows.why_pure}")
    return name


# --- bounded memory --------------------------------------------------------------------------------------------------


def endless(start: bytes, unit: bytes) -> Iterator[bytes]:
    """64 MiB: more than may ever be held."""
    yield start
    chunk = unit * (CHUNK // len(unit))
    for _ in range(1024):
        yield chunk


HOSTILE = {
    "line": (b"", b"x", "LimitExceeded", "the row that starts on line 3 is longer than max_row_bytes=1048576"),
    "field": (b'"', b"x\n", "LimitExceeded", "line 3: the field in quotes that opens here is longer than 131072"),
    "quote": (b'1,"2', b'"",,\n', "LimitExceeded", "line 3"),
    "columns": (b"", b",", "LimitExceeded", "the row that starts on line 3 is longer than max_row_bytes=1048576"),
    "million columns": (b"," * 999_999 + b"\n", b"1,2\n", "LimitExceeded", "line 3: the row has 1000000 fields"),
    "NUL": (b"", b"\0", "LimitExceeded", "the row that starts on line 3 is longer than max_row_bytes=1048576"),
    "NULs": (b"", b"\0,\0\0\n" * 3 + b"\0\n", "FormatError", "line 6: 2 fields expected (id, name), 1 found"),
    "invalid": (b"", b"\xff", "FormatError", "byte 0xff"),
    "truncated character": (b"1,\xc3", b"\n", "FormatError", "byte 0xc3"),
    "carriage returns": (b'"', b"\r", "LimitExceeded", "line 3"),
    "blank and stray": (b"\n" * 9 + b'1,"', b"\n", "LimitExceeded", "line 12: the field in quotes that opens here"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("dialect", ["excel", "sniff"])
def test_a_hostile_text_ends_in_a_named_error_at_bounded_memory(name: str, dialect: str) -> None:
    """H63."""
    start, unit, kind, words = HOSTILE[name]
    fixed = {"strict": True, "delimiter": ",", "quotechar": '"'}
    parser = Parser(Sniffer(fixed) if dialect == "sniff" else STRICT)
    chunks = endless(b"id,name\n1,a\n" + start, unit)
    tracemalloc.start()
    try:
        rows, error = outcome(parser, chunks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(rows) == (4 if name == "NULs" else 1)
    assert error.startswith(f"{kind}: ")
    assert words in error
    assert len(error) < 400
    assert peak < 48 << 20
    assert next(chunks, None) is not None


def test_a_million_columns_without_a_header_are_refused_too() -> None:
    rows, error = outcome(Parser(STRICT, header=False, rows="lists"), [b"1,2\n", b"," * 999_999 + b"\n", b"3,4\n"])

    assert rows == [["1", "2"]]
    assert error.startswith(f"LimitExceeded: line 2: the row has 1000000 fields, more than max_columns={MOST_COLUMNS}")


def test_a_header_of_as_many_columns_as_may_be_is_looked_at_once() -> None:
    """Comparing each name with each would take minutes."""
    names = ",".join(f"c{n}" for n in range(500_000))
    rows, error = outcome(Parser(STRICT, max_columns=500_000, max_row_bytes=1 << 23), [names + "\n" + names + ",\n"])

    assert rows == []
    assert error.startswith("LimitExceeded: line 2: the row has 500001 fields")


# --- columns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"rows": "lists"}, {"header": False, "rows": "lists"}, {"ragged": "keep"}])
@pytest.mark.parametrize("row", ["3,4,5,6", '3,"\n",,', '3,4,5,"\n"\n', ",,,,,,,,"])
@pytest.mark.parametrize("columns", [3, 4])
def test_a_row_of_too_many_columns_is_named_after_the_rows_before_it_at_every_cut(
    options: dict[str, Any], row: str, columns: int
) -> None:
    """L1, P3: the last row, without a line end, too."""
    data = 'a,b,c\n1,"2\n",3\n' + row
    whole = outcome(Parser(STRICT, max_columns=columns, **options), [data])
    count = len(next(csv.reader(io.StringIO(row, newline=""))))

    assert ("LimitExceeded: line 4: the row has" in whole[1]) is (count > columns)
    for chunks in each_cut(data):
        assert outcome(Parser(STRICT, max_columns=columns, **options), chunks) == whole
    for chunks in each_cut(data + "\nx,y,z"):
        if count > columns:
            assert outcome(Parser(STRICT, max_columns=columns, **options), chunks) == whole


@pytest.mark.parametrize("columns", [1, 2, 50])
def test_the_limit_of_columns_is_exact(columns: int) -> None:
    line = "," * (columns - 1)
    for end in ("", "\n", "\r\n"):
        for text, good in ((line, True), (line + ",", False)):
            parser = Parser(STRICT, header=False, rows="lists", max_columns=columns)
            rows, error = outcome(parser, ["1\n" + text + end])
            assert (rows[1:] if line or end or not good else [[""] * columns], bool(error)) == (
                (list(csv.reader([text + end])) if text + end else [[""] * columns]) if good else [],
                not good,
            )


# --- fuzzed ----------------------------------------------------------------------------------------------------------

SEEDS = [
    'id,näme,note\r\n1,Ann,"two\nlines"\r\n\r\n2,😀,"a ""b"""\r\n3,Zoë,\r\n',
    'a;b\n1;"x;y"\n;\n"";""\n',
    "".join(f'{n},"{n}",{"é" * (n % 7)}\r\n' for n in range(40)),
]
DAMAGE = [b"", b'"', b'""', b",", b";", b"\n", b"\r", b"\r\n", b"\x00", b"\xff", b"\xc3", b"\\", b" ", b"x" * 40]


def damaged(rng: random.Random) -> bytes:
    data = bytearray(rng.choice(SEEDS).encode())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        data[at : at + rng.randint(0, 2)] = rng.choice(DAMAGE)
    return bytes(data)


def expected_of(data: bytes, dialect: Any) -> tuple[list[Any], bool]:
    """The rows of the standard library, and whether all of the text is right."""
    text, _, rest = data.decode("utf-8", "surrogateescape").partition("\udcff")
    rows: list[Any] = []
    try:
        text.encode()
        rows.extend(csv.reader(io.StringIO(text, newline=""), dialect))
    except (csv.Error, UnicodeEncodeError):
        return rows, False
    return rows, not rest and "\udcff" not in data.decode("utf-8", "surrogateescape")


def fuzzed(seed: int) -> None:
    rng = random.Random(seed)
    data = damaged(rng)
    dialect = resolve_dialect("excel", {"strict": rng.random() < 0.8, "delimiter": rng.choice(",;")})
    options: dict[str, Any] = {"header": False, "rows": "lists"}
    cut = chunks_of(data, rng.sample(range(len(data)), 3))
    rows, error = outcome(Parser(dialect, **options), cut)
    expected, right = expected_of(data, dialect)

    if right and not error:
        assert rows == expected, data
    elif right:
        assert error.startswith("TruncatedError: the data ends inside quotes"), (data, error)
        assert rows == expected[:-1], data
    else:
        assert error, data
        assert rows == expected[: len(rows)] or not expected, data
    assert outcome(Parser(dialect, **options), [data]) == (rows, error), data

    small: dict[str, Any] = {"max_row_bytes": 40, "max_field": 20, "max_columns": 3, "ragged": "pad"}
    guessing = Sniffer({"strict": True}) if rng.random() < 0.5 else dialect
    assert outcome(Parser(guessing, **small), cut) == outcome(Parser(guessing, **small), [data]), data


def test_damaged_texts_are_read_as_the_standard_library_does_or_refused(quick: str) -> None:
    """L1."""
    inputs = 2_000
    for seed in range(inputs):
        fuzzed(seed)
    print(f"csv.parse, {quick}: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`


@pytest.mark.slow
def test_many_damaged_texts_are_read_as_the_standard_library_does_or_refused(quick: str) -> None:
    """L1."""
    inputs = 20_000
    for seed in range(10_000, 10_000 + inputs):
        fuzzed(seed)
    print(f"csv.parse, {quick}: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`
