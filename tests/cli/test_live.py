"""E13: the view looks at a run and can neither spoil nor outlive it."""

from __future__ import annotations

import asyncio
import io
import re
import sys

import pytest

from streamflow.cli.live import PanelView, PlainView, view_for, watch
from streamflow.cli.output import Output
from streamflow.streams import Pipeline

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
STYLES = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Pictures:
    """A view that looks at each of `every` seconds, and does what it is told."""

    every = 0.5

    def __init__(self, then=None):
        self.shown = []
        self.closed = 0
        self._then = then

    def show(self, stats):
        self.shown.append(stats)
        if self._then is not None:
            raise self._then

    def close(self):
        self.closed += 1


async def two_seconds():
    for number in range(4):
        await asyncio.sleep(0.5)
        yield number


async def _sum(items):
    total = 0
    async for item in items:
        total += item
    return total


@pytest.mark.virtual_time
async def test_the_run_is_looked_at_until_it_ends():
    view = Pictures()

    assert await watch(Pipeline(two_seconds, _sum), view) == 6

    assert 3 <= len(view.shown) <= 4
    assert view.closed == 1


@pytest.mark.virtual_time
async def test_a_view_that_fails_ends_alone_and_is_told(capsys):
    """E13."""
    view = Pictures(ZeroDivisionError("the drawing"))

    assert await watch(Pipeline(two_seconds, _sum), view) == 6

    assert len(view.shown) == 1
    assert view.closed == 1
    assert "the live view failed, the run did not: ZeroDivisionError('the drawing')" in capsys.readouterr().err


@pytest.mark.virtual_time
async def test_a_view_that_cannot_be_closed_is_told(capsys):
    """E13."""
    view = Pictures()
    view.close = lambda: 1 / 0

    assert await watch(Pipeline(two_seconds, _sum), view) == 6

    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.virtual_time
async def test_the_error_of_the_run_is_raised_and_the_view_closed():
    async def broken():
        yield 1
        await asyncio.sleep(1)
        raise ValueError("the run")

    view = Pictures()

    with pytest.raises(ValueError, match="the run"):
        await watch(Pipeline(broken, _sum), view)
    assert view.closed == 1


@pytest.mark.virtual_time
async def test_a_cancelled_run_leaves_no_view():
    async def endless():
        while True:
            await asyncio.sleep(0.5)
            yield 1

    view = Pictures()
    task = asyncio.create_task(watch(Pipeline(endless, _sum), view))
    await asyncio.sleep(2)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert view.closed == 1


JOB = (("objects.read(file:///x)", "waiting for room"), ("csv.format", "working"), ("objects.write(y)", "working"))


def test_a_pipe_gets_one_line_a_second_whatever_its_width(stats, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    view = view_for(Output(stream), 50_000)

    view.show(stats(*JOB))
    view.close()

    assert isinstance(view, PlainView)
    assert view.every == 1
    assert stream.getvalue().count("\n") == 1
    assert "31,744 of 50,000 rows" in stream.getvalue()
    assert "1 of 3 tasks wait for csv.format" in stream.getvalue()


def test_a_dumb_terminal_gets_lines_that_fit(stats, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()

    view_for(Output(stream)).show(stats(*JOB))

    assert "\x1b" not in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) <= 40


def _drawn(stats, monkeypatch, stream=None, **env):
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **env}.items():
        monkeypatch.setenv(name, value)
    stream = stream or Terminal()
    view = view_for(Output(stream))
    assert isinstance(view, PanelView)
    view.show(stats(*JOB))
    view.show(stats(*JOB))
    view.close()
    return stream.getvalue()


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_a_terminal_gets_a_panel_that_fits(stats, monkeypatch, columns):
    monkeypatch.delenv("NO_COLOR", raising=False)

    drawn = _drawn(stats, monkeypatch, COLUMNS=columns)

    assert "\x1b[32m" in drawn  # green for what works
    assert "█" in drawn
    assert max(len(line) for line in ESCAPES.sub("", drawn).splitlines()) <= int(columns)


def test_the_cursor_is_hidden_and_comes_back(stats, monkeypatch):
    drawn = _drawn(stats, monkeypatch)

    assert drawn.index("\x1b[?25l") < drawn.index("\x1b[?25h")


def test_no_color_means_no_style_at_all(stats, monkeypatch):
    drawn = _drawn(stats, monkeypatch, NO_COLOR="1")

    assert not STYLES.search(drawn)
    assert "objects.read" in drawn


def test_an_encoding_without_blocks_gets_other_bars(stats, monkeypatch):
    class Ascii(Terminal):
        encoding = "ascii"

    drawn = _drawn(stats, monkeypatch, stream=Ascii())

    assert drawn.isascii()
    assert "#---" in drawn


def test_without_rich_a_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setitem(sys.modules, "rich.console", None)  # as if it were not installed

    assert isinstance(view_for(Output(Terminal())), PlainView)
