"""The line splitter: wherever the chunks are cut, the lines are those of the standard library."""

from __future__ import annotations

import io
import itertools
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, UsageError
from streamflow.formats.lines import LineSplitter

cuts = st.lists(st.integers(0, 60), max_size=12)


def chunks_of(data: Any, at: list[int]) -> list[Any]:
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def run(codec: Any, chunks: list[Any]) -> list[Any]:
    return [out for chunk in chunks for out in codec.feed(chunk)] + list(codec.finish())


def outcome(codec: Any, chunks: list[Any]) -> tuple[list[Any], str]:
    """What came out, and the error that ended it."""
    out: list[Any] = []
    try:
        for chunk in chunks:
            out.extend(codec.feed(chunk))
        out.extend(codec.finish())
    except (FormatError, UsageError) as error:
        return out, f"{type(error).__name__}: {error}"
    return out, ""


def reference_lines(sample: str, *, keepends: bool) -> list[str]:
    found = list(io.StringIO(sample, newline="\n"))
    if keepends:
        return found
    return [line[:-1].removesuffix("\r") if line.endswith("\n") else line for line in found]


@given(st.text(alphabet="ab\r\n\x0b\u2028é", max_size=60), cuts, st.booleans())
def test_lines_end_at_newlines_only_however_the_text_is_cut(sample: str, at: list[int], keepends: bool) -> None:
    """L1, H62, H64."""
    expected = reference_lines(sample, keepends=keepends)

    assert expected == run(LineSplitter[str](keepends=keepends), chunks_of(sample, at))
    data = sample.encode()
    assert [line.encode() for line in expected] == run(LineSplitter[bytes](keepends=keepends), chunks_of(data, at))


def test_lines_of_nothing_are_none() -> None:
    """C7."""
    assert run(LineSplitter(), []) == []
    assert run(LineSplitter(), ["", ""]) == []


@given(st.text(alphabet="ab\r\n", max_size=40), cuts, st.integers(1, 6))
def test_a_line_beyond_the_limit_is_an_error_after_the_lines_before_it(sample: str, at: list[int], limit: int) -> None:
    """H64: the same at every cut, and nothing is skipped."""
    expected = reference_lines(sample, keepends=False)
    long = next((number for number, line in enumerate(expected) if len(line) > limit), None)

    out, error = outcome(LineSplitter[str](limit), chunks_of(sample, at))

    if long is None:
        assert (expected, "") == (out, error)
    else:
        assert expected[:long] == out
        assert error.startswith(f"LimitExceeded: line {long + 1} is longer than max_length={limit}")


def test_a_line_as_long_as_the_limit_may_end_in_a_return_and_a_newline_of_two_chunks() -> None:
    """L1: the limit is without the line end."""
    assert outcome(LineSplitter[str](3), ["abc\r", "\nd"]) == (["abc", "d"], "")
    assert outcome(LineSplitter[str](3), ["abc", "\r", "\nd"]) == (["abc", "d"], "")
    assert outcome(LineSplitter[str](3), ["abc\r", "d"])[1].startswith("LimitExceeded: line 1")
    assert outcome(LineSplitter[str](3), ["abc\r"])[1].startswith("LimitExceeded: line 1")


def test_a_long_line_is_found_before_its_end_has_come() -> None:
    """H64: memory stays bounded when no newline comes at all."""
    splitter = LineSplitter[bytes](1000)
    for chunk in [b"first\n", *[b"x" * 300] * 3]:
        list(splitter.feed(chunk))

    with pytest.raises(LimitExceeded, match="line 2"):
        list(splitter.feed(b"x" * 300))


def test_lines_of_a_big_chunk_are_made_lazily() -> None:
    splitter = LineSplitter[str](10)
    lines = iter(splitter.feed("ok\n" * 100_000 + "much too long a line\n"))

    assert next(lines) == "ok"


def test_text_and_bytes_are_not_mixed() -> None:
    splitter = LineSplitter[Any]()
    list(splitter.feed("text"))
    with pytest.raises(UsageError, match=r"text\.lines takes items of one kind"):
        splitter.feed(b"bytes")


def test_a_long_line_in_tiny_chunks_takes_little_more_than_its_size() -> None:
    """One object for each chunk would take thirty times as much."""
    splitter = LineSplitter[str]()
    tracemalloc.start()
    try:
        for number in range(30_000):
            assert not list(splitter.feed(f"{number % 90 + 10}"))
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()
    assert list(splitter.finish()) == ["".join(f"{number % 90 + 10}" for number in range(30_000))]


def test_fuzzed_the_splitter_agrees_with_the_standard_library() -> None:
    """Any bytes: NUL, lone carriage returns, invalid UTF-8."""
    inputs = 2000
    for seed in range(inputs):
        rng = random.Random(seed)
        data = bytes(rng.choices(b"\n\n\r\0ab\x85\xff\xe2", k=rng.randrange(200)))
        expected = [line.encode("latin-1") for line in reference_lines(data.decode("latin-1"), keepends=False)]
        at = [rng.randrange(len(data) + 1) for _ in range(rng.randrange(8))]

        assert outcome(LineSplitter[bytes](), chunks_of(data, at)) == (expected, "")
    print(f"text.lines: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`
