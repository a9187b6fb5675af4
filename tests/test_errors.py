"""The tree of errors: what is drawn in the docstring of `streamflow.errors` is what the classes are."""

from __future__ import annotations

import asyncio
import builtins
import copy
import pickle
import re
import sys
from typing import NamedTuple

import pytest

import streamflow.errors
from streamflow.channel import Channel
from streamflow.errors import ChannelClosed, EndOfChannel, StreamflowError


class Drawn(NamedTuple):
    """One line of the tree."""

    name: str
    parent: str | None
    text: str
    also: list[str]


def read_tree() -> list[Drawn]:
    """Return what the docstring draws: each branch stands four columns to the right of its parent."""
    tree: list[Drawn] = []
    path: list[str] = []
    for line in (streamflow.errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ((?:[│ ]   )*)(?:[├└]── )?([A-Z]\w+)(?: +(.*?)(?: *\(an? ([^()]*)\))?)?", line)
        if match is None:
            assert not set("├└│") & set(line), f"a line of the tree that cannot be read: {line!r}"
            continue
        indent, name, text, also = match.groups()
        depth = 0 if "── " not in line else 1 + len(indent) // 4
        path = [*path[:depth], name]
        bases = re.split(r" and an? ", also) if also else []
        tree.append(Drawn(name, path[depth - 1] if depth else None, text or "", bases))
    return tree


TREE = read_tree()
BY_NAME = {drawn.name: drawn for drawn in TREE}


def kind(name: str) -> type[Exception]:
    return getattr(streamflow.errors, name)


def test_the_tree_shows_every_error_and_no_other():
    assert len(TREE) == len(BY_NAME) == 17
    assert sorted(BY_NAME) == streamflow.errors.__all__
    defined = {
        name
        for name, value in vars(streamflow.errors).items()
        if isinstance(value, type) and value.__module__ == "streamflow.errors" and not name.startswith("_")
    }
    assert defined == set(BY_NAME)


@pytest.mark.parametrize("drawn", TREE, ids=lambda drawn: drawn.name)
def test_an_error_hangs_where_the_tree_shows_it(drawn):
    own = [base.__name__ for base in kind(drawn.name).__bases__ if issubclass(base, StreamflowError)]
    assert own == ([drawn.parent] if drawn.parent else [])


@pytest.mark.parametrize("drawn", TREE, ids=lambda drawn: drawn.name)
def test_an_error_is_also_the_standard_error_that_the_tree_names(drawn):
    foreign = [base for base in kind(drawn.name).__bases__ if base.__module__ in {"builtins", "asyncio.queues"}]
    if drawn.also == ["asyncio.QueueShutDown"]:
        assert foreign == [asyncio.QueueShutDown] if sys.version_info >= (3, 13) else not foreign
    elif drawn.name == "StreamflowError":
        assert foreign == [Exception]
    else:
        assert foreign == [getattr(builtins, name) for name in drawn.also]


@pytest.mark.parametrize("drawn", TREE, ids=lambda drawn: drawn.name)
def test_an_error_says_what_it_is_and_travels_between_processes(drawn):
    error = kind(drawn.name)("what was wrong")
    error.add_note("where")
    assert (kind(drawn.name).__doc__ or "").strip().endswith((".", "installed."))
    assert drawn.text or drawn.name == "StreamflowError"
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert (str(other), other.__notes__) == ("what was wrong", ["where"])


def test_no_error_is_a_cancellation():
    """P4: `except asyncio.CancelledError` and `except Exception` never confuse the two."""
    for name in BY_NAME:
        assert issubclass(kind(name), Exception)
        assert not issubclass(kind(name), asyncio.CancelledError)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio.QueueShutDown is there from Python 3.13 on")
async def test_code_written_for_a_queue_catches_the_end_of_a_channel():
    channel: Channel[int] = Channel(1)
    channel.close()
    with pytest.raises(asyncio.QueueShutDown):
        await channel.get()
    with pytest.raises(asyncio.QueueShutDown):
        await channel.put(1)


async def test_the_normal_end_can_be_told_from_every_other():
    channel: Channel[int] = Channel(1)
    channel.close()
    with pytest.raises(EndOfChannel):
        await channel.get()
    with pytest.raises(ChannelClosed) as caught:
        await channel.put(1)
    assert not isinstance(caught.value, EndOfChannel)
