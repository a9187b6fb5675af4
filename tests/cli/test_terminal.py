"""On a real (pseudo) terminal: nothing is wider than it is, the cursor comes back, NO_COLOR holds."""

from __future__ import annotations

import os
import re

import pytest

pytestmark = pytest.mark.slow

pty = pytest.importorskip("pty", reason="pseudo terminals are POSIX")

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")
STYLES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def on_terminal(start):
    def running(*arguments, **env):
        ours, theirs = pty.openpty()
        try:
            settings = {"TERM": "xterm-256color", "LINES": "24", **env}
            with start(*arguments, env=settings, stdin=theirs, stdout=theirs, stderr=theirs) as process:
                os.close(theirs)
                text = b"".join(iter(lambda: _read(ours), b"")).decode()
                return process.wait(timeout=30), text
        finally:
            os.close(ours)

    return running


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the other side has closed
        return b""


def _lines(text: str) -> list[str]:
    return re.split(r"[\r\n]+", ESCAPES.sub("", text))


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(on_terminal, columns):
    code, text = on_terminal("demo", "--rows", 4000, "--slow", 0.2, COLUMNS=str(columns))

    assert code == 0
    assert max(map(len, _lines(text))) <= columns
    assert "channel after" in text
    assert "rows out" in text


def test_the_cursor_comes_back(on_terminal):
    _, text = on_terminal("demo", "--rows", 4000, "--slow", 0.2, COLUMNS="80")

    assert text.count("\x1b[?25l") >= 1
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_the_cursor_comes_back_after_a_failure(on_terminal):
    code, text = on_terminal("demo", "--rows", 20_000, "--slow", 0.2, "--break", 19_999, COLUMNS="80")

    assert code == 1
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "row 19,999: broken on purpose" in text


def test_an_error_is_no_wider_than_the_terminal(on_terminal, tmp_path):
    code, text = on_terminal("demo", "--source", tmp_path / "nowhere.csv", COLUMNS="40")

    assert code == 1
    assert "FileNotFoundError" in text
    assert max(map(len, _lines(text))) <= 40


def test_no_color_has_a_panel_without_styles(on_terminal):
    code, text = on_terminal("demo", "--rows", 4000, "--slow", 0.2, COLUMNS="80", NO_COLOR="1")

    assert code == 0
    assert "channel after it" in text
    assert not STYLES.search(text)


def test_a_dumb_terminal_gets_text_only(on_terminal):
    code, text = on_terminal("demo", "--rows", 4000, "--slow", 0, COLUMNS="40", TERM="dumb")

    assert code == 0
    assert "\x1b" not in text
    assert max(map(len, _lines(text))) <= 40
