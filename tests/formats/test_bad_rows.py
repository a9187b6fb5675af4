"""Bad rows in their places: raised by a codec, skipped by a stage with a policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest

import streamflow as sf
from streamflow.errors import FormatError, UsageError
from streamflow.formats.bad_rows import BadRow, RowParser, Rows, parsing_stage


class Numbers(RowParser):
    """Words to numbers; each item is a text of several words."""

    def __init__(self) -> None:
        self.count = 0

    def rows(self, data: str, /) -> Iterator[Rows]:
        for word in data.split():
            self.count += 1
            yield [int(word)] if word.isdigit() else BadRow(FormatError(f"{word}!"), word, self.count)

    def last_rows(self) -> Iterator[Rows]:
        yield [self.count]
        yield BadRow(FormatError("last!"), None, self.count + 1)


def test_as_a_codec_it_raises_for_the_first_bad_row() -> None:
    out: list[Any] = []
    with pytest.raises(FormatError, match="x!"):
        out.extend(Numbers().feed("1 2 x 3"))
    assert out == [1, 2]
    with pytest.raises(FormatError, match="last!"):
        out.extend(Numbers().finish())
    assert out == [1, 2, 0]


async def test_a_policy_skips_them() -> None:
    letters: list[sf.DeadLetter[Any]] = []
    stage = parsing_stage(Numbers, sf.skip_errors(to=letters.append), name="numbers", holds=5)

    assert await sf.pipeline(["1 x", "2"], stage, sf.collect()) == [1, 2, 3]
    assert [(letter.item, letter.number, letter.stage) for letter in letters] == [
        ("x", 2, "numbers"),
        (None, 4, "numbers"),
    ]
    assert (stage.name, stage.holds) == ("numbers", 5)


async def test_a_policy_for_other_errors_does_not() -> None:
    out: list[int] = []
    stage = parsing_stage(Numbers, sf.skip_errors(OSError), name="numbers", holds=0)
    with pytest.raises(FormatError, match="x!"):
        await sf.pipeline(["1 x 2"], stage, sf.for_each(out.append))
    assert out == [1]


async def test_too_large_a_part_is_seen_at_the_end() -> None:
    stage = parsing_stage(Numbers, sf.skip_errors(fraction=0.1), name="numbers", holds=0)
    with pytest.raises(FormatError, match="last!"):
        await sf.pipeline(["1 2"], stage, sf.collect())


async def test_an_early_stop_closes_it() -> None:
    stage = parsing_stage(Numbers, sf.skip_errors(), name="numbers", holds=0)
    assert await sf.pipeline(["1 2 3", "4"], stage, sf.take(1), sf.collect()) == [1]
    async with aclosing(stage(aiter(sf.stream(["1 2"])))) as rows:  # type: ignore[type-var]
        assert await anext(rows) == 1


def test_anything_else_is_refused_at_once() -> None:
    """F14."""
    with pytest.raises(UsageError, match=r"bad='skip' is neither 'error' nor an ErrorPolicy"):
        parsing_stage(Numbers, "skip", name="numbers", holds=0)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        parsing_stage(partial(divmod, 1, 0), "error", name="numbers", holds=0)  # type: ignore[arg-type]
