"""What a channel keeps its items in: the same in both forms; and which form is chosen, and why."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from streamflow.channel import storage


class Form:
    """One form of the storage: how one is made, filled and taken from."""

    def __init__(self, make: Any, fill: Any, take: Any) -> None:
        self.make, self.fill, self.take = make, fill, take


@pytest.fixture(params=["Python"] if storage.speedups is None else ["C", "Python"])
def form(request) -> Form:
    """Each form that is there, whichever is in use."""
    if request.param == "Python":
        return Form(deque, storage._fill, storage._take)
    return Form(storage.speedups.Ring, storage.speedups.Ring.fill, storage.speedups.Ring.take)


def counted(limit: int, seen: list[int]) -> Iterator[int]:
    for number in range(limit):
        seen.append(number)
        yield number


def test_a_fill_takes_no_item_more_than_its_limit(form):
    held, seen = form.make(), []
    source = counted(10, seen)
    form.fill(held, source, 4)
    assert list(held) == seen == [0, 1, 2, 3]
    form.fill(held, source, 0)
    assert len(seen) == 4
    form.fill(held, source, 100)
    assert list(held) == list(range(10))


def test_what_came_before_an_error_of_the_source_stays_in(form):
    def failing():
        yield 1
        yield 2
        raise ValueError("of the source")

    held = form.make()
    with pytest.raises(ValueError, match="of the source"):
        form.fill(held, failing(), 5)
    assert list(held) == [1, 2]


def test_a_take_gives_the_oldest_as_a_list(form):
    held = form.make()
    held.extend(range(10))
    assert form.take(held, 3) == [0, 1, 2]
    assert form.take(held, 100) == [3, 4, 5, 6, 7, 8, 9]
    assert form.take(held, 1) == []
    assert not held


def test_no_item_is_ever_compared(form):
    class Mute:
        def __eq__(self, other):
            raise AssertionError("compared")

        __hash__ = None

    held, item = form.make(), Mute()
    form.fill(held, iter([item] * 5), 5)
    batches = form.take(held, 2) + form.take(held, 9)
    assert [one is item for one in batches] == [True] * 5


def test_the_form_in_use_is_one_of_the_two():
    assert (storage.speedups is None) == bool(storage.why_pure)
    assert isinstance(storage.make_storage(), deque if storage.speedups is None else storage.speedups.Ring)


def asked(code: str, **environment: str) -> str:
    """What a process of its own says."""
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


WHY = "from streamflow.channel import storage; print(storage.speedups, storage.why_pure)"
WITHOUT = "import sys; sys.modules['streamflow.channel._speed'] = None; "


def test_it_is_switched_off_by_a_word_in_the_environment():
    assert asked(WHY, STREAMFLOW_PURE="1") == "None STREAMFLOW_PURE is set in the environment"


def test_an_empty_word_does_not_switch_it_off():
    if storage.speedups is None:
        pytest.skip(f"no hot path in C: {storage.why_pure}")
    assert asked(WHY, STREAMFLOW_PURE="").startswith("<module")


def test_where_it_is_missing_everything_runs_and_says_so():
    told = asked(
        WITHOUT + WHY + "; import asyncio, streamflow as sf; from streamflow.cli.machine import about"
        "; print(dict(about())['hot path']); print(asyncio.run(sf.stream(range(9)).map(str).collect()))"
    )
    assert told.startswith("None it ")
    assert "pure Python: it " in told
    assert told.endswith("['0', '1', '2', '3', '4', '5', '6', '7', '8']")
