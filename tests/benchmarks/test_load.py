"""The server of `load` and what is read out of the reports of wrk and hey."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from types import SimpleNamespace

import pytest

from benchmarks import load
from benchmarks.load_app import SIZES

pytestmark = pytest.mark.slow

REPORT = """\
  Latency Distribution
     50%   12.00ms
     99%    1.50s
  400 requests in 1.00s, 28.61MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
Requests/sec:    398.70
"""


@pytest.fixture(scope="module")
def address():
    with load._serving() as found:
        yield found


@pytest.mark.parametrize("who", load._WHO)
@pytest.mark.parametrize("what", load._BODIES)
def test_both_handlers_give_the_same_body(address, what, who):
    with urllib.request.urlopen(f"{address}/{what}/{who}", timeout=30) as answer:
        assert len(answer.read()) == SIZES[what]


def test_numbers_are_found_in_the_report():
    assert load._found(r"99%\s+([\d.]+)(us|ms|s|m)\b", REPORT) == ("1.50", "s")
    with pytest.raises(AssertionError, match="did not say"):
        load._found("nowhere", REPORT)


def test_a_handler_that_leaves_something_out_is_found_out():
    load._check_size(400, ("28.61", "MB"), 75_000, REPORT)
    with pytest.raises(AssertionError, match="are more than"):
        load._check_size(400, ("27.61", "MB"), 75_000, REPORT)


@pytest.mark.parametrize("ask", [load._asked, load._timed])
@pytest.mark.parametrize("who", load._WHO)
def test_they_ask_and_nothing_fails(address, who, ask):
    needed = {load._asked: "wrk", load._timed: "hey"}[ask]
    if shutil.which(needed) is None:
        pytest.skip(f"needs {needed} (Debian: apt install wrk hey)")
    answer = ask(address, "blocks", who, 4, 1)
    assert answer.requests > 0
    assert answer.slow > 0
    assert answer.errors == 0


def test_what_hey_says_of_failures_is_counted(monkeypatch):
    said = """
  Requests/sec: 12.5
  99% in 0.2500 secs
Status code distribution:
  [200]\t40 responses
  [500]\t3 responses
Error distribution:
  [2]\tGet "http://127.0.0.1:1/": context deadline exceeded
"""
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=said))
    assert load._timed("http://127.0.0.1:1", "rows", "streamflow", 4, 1) == load._Answer(12.5, 250.0, 5)


def test_where_one_of_them_is_missing_it_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "hey" else "/usr/bin/wrk")
    result = load.run()
    assert "There is no hey here" in result.text
    assert not result.ratios
