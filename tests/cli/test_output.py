from __future__ import annotations

import io
import os

import pytest

from streamflow.cli.output import Output


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_lines_are_written_at_once():
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="utf-8", newline="\n")

    Output(stream).write(["one", "zwölf"])

    assert raw.getvalue().decode() == "one\nzwölf\n"


def test_what_the_encoding_lacks_is_replaced():
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii", newline="\n")

    Output(stream).write(["zwölf …"])

    assert raw.getvalue() == b"zw?lf ?\n"
    assert not Output(stream).can_show("█")
    assert Output(stream).can_show("#")


@pytest.mark.parametrize(("term", "live"), [("xterm-256color", True), ("dumb", False)])
def test_a_dumb_terminal_is_not_drawn_over(monkeypatch, term, live):
    monkeypatch.setenv("TERM", term)

    assert Output(Terminal()).live is live
    assert not Output(io.StringIO()).live


def test_the_width_is_columns_and_never_absurd(monkeypatch):
    monkeypatch.setenv("COLUMNS", "63")
    assert Output(io.StringIO()).width == 63
    monkeypatch.setenv("COLUMNS", "3")
    assert Output(io.StringIO()).width == 20


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_makes_it_silent_and_is_remembered():
    with open("/dev/full", "w", encoding="utf-8") as stream:
        output = Output(stream)
        output.write(["lost"])
        output.write(["not tried"])

    assert "No space left" in str(output.failure)


def test_a_reader_that_left_makes_it_silent():
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stream:
        output = Output(stream)
        output.write(["lost"])
        output.write(["not tried"])

    assert isinstance(output.failure, BrokenPipeError)
