"""`streamflow run`: a pipeline of one's own as a process, its exit codes and its words."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SHOP = """
import asyncio
import logging
import streamflow as sf

async def numbers():
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(0.001)

async def stuck(items):
    async for item in items:
        yield item
        logging.getLogger("shop").info("here I am stuck")
        await asyncio.Event().wait()

short = sf.stream([1, 2, 3]).to(sf.count(), name="short")
broken = sf.stream([1, 0]).map(lambda item: 1 // item).to(sf.collect(), name="broken")
orders = sf.stream(numbers).to(sf.count(), name="orders")
hanging = sf.stream(numbers).through(stuck).to(sf.count(), name="hanging")
late = sf.stream([1]).to(sf.count(), name="late")

async def both():
    return [orders, short]
"""


@pytest.fixture
def shop(start, tmp_path):
    """Start `streamflow run` in a directory with a module of pipelines."""
    (tmp_path / "shop.py").write_text(SHOP)

    def running(*arguments):
        return start("run", *arguments, env={"PYTHONPATH": str(Path(__file__).parents[2])}, at=tmp_path)

    return running


def logged(process, words):
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"{words!r} was not logged")


def ended(process):
    out, err = process.stdout.read(), process.stderr.read()
    return process.wait(timeout=30), out, err


def test_it_runs_to_the_end_and_writes_the_numbers(shop, tmp_path):
    with shop("shop:short", "--stats", tmp_path / "stats.json") as process:
        code, out, err = ended(process)
    assert (code, out) == (0, "")
    assert "short: finished after" in err
    (run,) = json.loads((tmp_path / "stats.json").read_text())
    assert (run["name"], run["outcome"], run["error"]) == ("short", "succeeded", None)
    assert run["stages"][0]["items_out"] == 3
    assert [path.name for path in tmp_path.glob("stats*")] == ["stats.json"]


def test_what_fails_is_told_once_and_exits_with_1(shop, tmp_path):
    with shop("shop:broken", "--log", "json", "--stats", tmp_path / "stats.json") as process:
        code, _, err = ended(process)
    assert code == 1
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["event"] for line in lines] == ["started", "failed"]
    assert (lines[1]["pipeline"], lines[1]["stage"]) == ("broken", "map")
    assert lines[1]["error"]["type"] == "ZeroDivisionError"
    (run,) = json.loads((tmp_path / "stats.json").read_text())
    assert run["outcome"] == "failed"


@pytest.mark.parametrize("loop", ["asyncio", "auto"])
def test_a_list_made_by_a_function_is_drained_by_the_first_signal(shop, loop):
    with shop("shop:both", "--loop", loop) as process:
        logged(process, "short: finished")
        process.send_signal(signal.SIGTERM)
        code, _, err = ended(process)
    assert code == 0
    assert "SIGTERM: reading no more" in err
    assert "orders: drained after" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_cancels(shop, number, code):
    with shop("shop:hanging") as process:
        logged(process, "hanging > stuck: here I am stuck")
        process.send_signal(number)
        logged(process, "reading no more")
        process.send_signal(number)
        ending, _, err = ended(process)
    assert ending == code
    assert "Traceback" not in err
    assert "hanging: cancelled after" in err


def test_the_deadline_cancels(shop):
    with shop("shop:hanging", "--drain", "0.05") as process:
        logged(process, "here I am stuck")
        process.send_signal(signal.SIGTERM)
        code, _, err = ended(process)
    assert code == 143
    assert "not finished within 0.05 s" in err


def test_what_is_not_there_is_said_with_what_is_and_exits_with_2(shop):
    with shop("shop:order") as process:
        code, _, err = ended(process)
    assert (code, err) == (2, "streamflow: UsageError: The module 'shop' has no 'order'. Did you mean orders?\n")


def test_an_error_before_the_start_is_a_line_of_json_too(shop):
    with shop("shop:numbers", "--log", "json") as process:
        code, _, err = ended(process)
    assert code == 2
    (line,) = [json.loads(line) for line in err.splitlines()]
    assert "'numbers' returned async_generator, not a Pipeline" in line["message"]


def test_where_a_module_fails_is_said(shop, tmp_path):
    (tmp_path / "broken.py").write_text("rows = [1]\nrows.next()\n")
    with shop("broken:rows") as process:
        code, _, err = ended(process)
    assert code == 1
    assert err.splitlines() == [
        "streamflow: AttributeError: 'list' object has no attribute 'next'",
        f"  at {tmp_path / 'broken.py'}:2",
    ]


def test_a_time_that_means_nothing_is_refused(shop):
    with shop("shop:short", "--drain", "soon") as process:
        code, _, err = ended(process)
    assert code == 2
    assert "'soon' is not a number of seconds" in err


def test_a_pipeline_that_is_in_a_list_twice_is_said_and_exits_with_2(shop, tmp_path):
    (tmp_path / "twice.py").write_text("from shop import short\n\njobs = [short, short]\n")
    with shop("twice:jobs") as process:
        code, _, err = ended(process)
    assert code == 2
    assert "short is already running, or given twice" in err


@pytest.mark.parametrize(
    ("leaving", "code", "words"),
    [("'DATABASE_URL is not set'", 1, "streamflow: DATABASE_URL is not set\n"), ("", 0, ""), ("3", 3, "")],
)
def test_a_module_that_leaves_by_sys_exit_is_taken_at_its_word(shop, tmp_path, leaving, code, words):
    (tmp_path / "leaving.py").write_text(f"import sys\n\nsys.exit({leaving})\n")
    with shop("leaving:job") as process:
        assert ended(process) == (code, "", words)
