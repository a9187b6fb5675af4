"""The splitter: wherever the chunks are cut, the pieces are those of `str.split`."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, UsageError
from streamflow.formats.text_splitter import Splitter

DELIMITERS = [";", "\0", "\n\n", "ab", "aa", "aba", "aabaa", "é;", "--boundary--"]

cuts = st.lists(st.integers(0, 60), max_size=12)


def chunks_of(data: Any, at: list[int]) -> list[Any]:
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def outcome(codec: Any, chunks: list[Any]) -> tuple[list[Any], str]:
    """What came out, and the error that ended it."""
    out: list[Any] = []
    try:
        for chunk in chunks:
            out.extend(codec.feed(chunk))
        out.extend(codec.finish())
    except FormatError as error:
        return out, f"{type(error).__name__}: {error}"
    return out, ""


def reference(data: Any, delimiter: Any) -> list[Any]:
    *pieces, last = data.split(delimiter)
    return [*pieces, last] if last else pieces


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_pieces_are_those_of_the_standard_library_at_every_cut_and_one_by_one(delimiter: str) -> None:
    """L1, C7."""
    cut = delimiter[:-1]
    text = delimiter.join(["", "one", "", f"aabaabaaba\n\n\nx;;é{cut}", "a", f"last{cut}"])
    data = text.encode()

    for at in range(len(text) + 1):
        assert outcome(Splitter(delimiter), [text[:at], text[at:]]) == (reference(text, delimiter), "")
    for at in range(len(data) + 1):
        chunks = [data[:at], data[at:]]
        assert outcome(Splitter(delimiter.encode()), chunks) == (reference(data, delimiter.encode()), "")
    assert outcome(Splitter(delimiter), list(text)) == (reference(text, delimiter), "")


@given(st.text(alphabet="ab;é\n", max_size=60), st.text(alphabet="ab;é\n", min_size=1, max_size=5), cuts)
def test_pieces_are_those_of_the_standard_library_at_any_cuts(sample: str, delimiter: str, at: list[int]) -> None:
    """L1."""
    assert outcome(Splitter(delimiter), chunks_of(sample, at)) == (reference(sample, delimiter), "")


@given(st.text(alphabet="ab", max_size=40), st.text(alphabet="ab", min_size=1, max_size=4), cuts, st.integers(1, 6))
def test_a_piece_beyond_the_limit_is_an_error_after_the_pieces_before_it(
    sample: str, delimiter: str, at: list[int], limit: int
) -> None:
    """H64: the same at every cut, and nothing is skipped."""
    expected = reference(sample, delimiter)
    long = next((number for number, piece in enumerate(expected) if len(piece) > limit), None)

    out, error = outcome(Splitter(delimiter, max_length=limit), chunks_of(sample, at))

    if long is None:
        assert (expected, "") == (out, error)
    else:
        assert expected[:long] == out
        assert error.startswith(f"LimitExceeded: piece {long + 1} is longer than max_length={limit}")


def test_a_long_piece_is_found_before_its_delimiter_has_come() -> None:
    """H64: memory stays bounded when no delimiter comes at all."""
    splitter = Splitter(b"\0\0", max_length=1000)
    for chunk in [b"first\0\0", *[b"x" * 300] * 3]:
        list(splitter.feed(chunk))

    with pytest.raises(LimitExceeded, match=r"piece 2 .* the delimiter b'\\x00\\x00' is right"):
        list(splitter.feed(b"x" * 300))


def test_a_delimiter_across_many_steps_of_a_big_chunk_is_found() -> None:
    text = "".join(f"{n:>60000}<end>" for n in range(20))

    assert outcome(Splitter("<end>"), [text]) == ([f"{n:>60000}" for n in range(20)], "")


def test_pieces_of_a_big_chunk_are_made_lazily() -> None:
    pieces = iter(Splitter(";", max_length=10).feed("ok;" * 100_000 + "much too long a piece;"))

    assert next(pieces) == "ok"


def test_no_data_is_no_piece() -> None:
    """C7."""
    assert outcome(Splitter(";"), []) == ([], "")
    assert outcome(Splitter(";"), ["", ""]) == ([], "")


@pytest.mark.parametrize("delimiter", ["", b"", None, 7, [";"], bytearray(b";")])
def test_delimiters_that_are_none_are_refused(delimiter: Any) -> None:
    with pytest.raises(UsageError, match=r"delimiter=.* must be text or bytes"):
        Splitter(delimiter)


def test_the_wrong_kind_of_item_is_refused_with_advice() -> None:
    with pytest.raises(UsageError, match=r"text.split takes items of str, not bytes. Put text.decode\(\) before it"):
        Splitter[Any](";").feed(b"a;b")
    with pytest.raises(UsageError, match=r"text.split takes items of bytes, not str. Put text.encode\(\) before it"):
        Splitter[Any](b";").feed("a;b")


def test_mutable_chunks_are_taken_as_they_were() -> None:
    """H56."""
    splitter = Splitter[Any](b";")
    buffer = bytearray(b"ab")
    list(splitter.feed(buffer))
    buffer[:] = b"zz"

    assert list(splitter.feed(memoryview(b"cd;"))) == [b"abcd"]


def test_fuzzed_the_splitter_agrees_with_the_standard_library() -> None:
    inputs = 2000
    for seed in range(inputs):
        rng = random.Random(seed)
        delimiter = bytes(rng.choices(b"\0\1", k=rng.randint(1, 6)))
        data = bytes(rng.choices(b"\0\1\1\1\xff", k=rng.randrange(200)))
        at = [rng.randrange(len(data) + 1) for _ in range(rng.randrange(8))]

        assert outcome(Splitter(delimiter), chunks_of(data, at)) == (reference(data, delimiter), "")
    print(f"text.split: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`
