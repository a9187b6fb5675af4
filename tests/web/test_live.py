"""What a formatter holds is brought out before anybody has to wait."""

from __future__ import annotations

import asyncio

import pytest

import streamflow as sf
from streamflow.web.live import live


class Lines:
    """A formatter that makes blocks of ten lines, unless it is flushed."""

    def __init__(self):
        self.held = []

    def apply(self, items):
        for item in items:
            self.held.append(self.line(item))
            if len(self.held) == 10:
                yield from self.flush()

    def line(self, item):
        return b"%d\n" % item

    def flush(self):
        if self.held:
            yield b"".join(self.held)
            self.held.clear()

    def finish(self):
        yield b"end\n"


lines = live(Lines, Lines.line, name="lines")


@pytest.mark.virtual_time
async def test_an_item_that_comes_alone_goes_out_alone_before_the_next_is_made():
    sent, made = [], []

    async def source():
        for number in range(3):
            made.append((number, len(sent)))
            yield number
            await asyncio.sleep(10)

    await sf.stream(source).through(lines).for_each(sent.append)

    assert sent == [b"0\n", b"1\n", b"2\n", b"end\n"]
    assert made == [(0, 0), (1, 1), (2, 2)]


async def test_items_that_are_there_together_go_out_together():
    assert len(await sf.stream(range(10_000)).through(lines).collect()) < 2_000
    assert await lines_of(range(1_000)) == b"".join(b"%d\n" % number for number in range(1_000)) + b"end\n"


async def lines_of(source):
    return b"".join(await sf.stream(source).through(lines).collect())


async def test_what_stands_before_an_item_that_cannot_be_written_is_sent():
    got = []

    with pytest.raises(TypeError) as raised:
        await sf.stream([1, 2, 3, "four", 5]).through(lines).for_each(got.append)

    assert b"".join(got) == b"1\n2\n3\n"
    assert "lines" in "".join(raised.value.__notes__)


async def test_what_came_before_a_failure_of_the_source_is_sent_and_no_end():
    def source():
        yield from (1, 2)
        raise OSError("the database is gone")

    got = []
    with pytest.raises(OSError, match="database"):
        await sf.stream(source).through(lines).for_each(got.append)

    assert b"".join(got) == b"1\n2\n"
