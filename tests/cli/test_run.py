"""`streamflow run`: a pipeline of one's own as a process, its exit codes and its words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
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


# --- the file of --stats ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere/stats.json", "--stats nowhere/stats.json: no file can be written there: No such file or directory."),
        (".", "--stats . is a directory; name a file in it: --stats ./stats.json"),
        ("", "--stats needs a file to write to"),
    ],
)
def test_a_file_that_cannot_be_is_said_before_anything_begins(shop, tmp_path, path, words):
    with shop("shop:short", "--stats", path) as process:
        code, _, err = ended(process)
    assert code == 2
    assert words in err
    assert "started" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop.py", "tmp"]


def test_a_file_that_cannot_be_written_any_more_is_said_and_leaves_nothing_beside(shop, tmp_path):
    (tmp_path / "gone.py").write_text(
        "import streamflow as sf\nfrom pathlib import Path\n"
        "def job():\n    Path('stats.json').mkdir()\n    return sf.stream([1]).to(sf.count(), name='short')\n"
    )
    with shop("gone:job", "--stats", "stats.json") as process:
        code, _, err = ended(process)
    assert code == 1
    assert "finished after" in err
    assert "the numbers could not be written to stats.json: Is a directory" in err
    assert list(tmp_path.glob("*.tmp")) == []


def test_the_file_is_found_again_when_the_module_goes_elsewhere(shop, tmp_path):
    (tmp_path / "going.py").write_text("import os\nfrom shop import short\nos.chdir('tmp')\n")
    with shop("going:short", "--stats", "stats.json") as process:
        assert ended(process)[0] == 0
    assert json.loads((tmp_path / "stats.json").read_text())[0]["name"] == "short"


def test_what_is_no_file_is_written_into(shop, tmp_path):
    """As /dev/null and /dev/stdout are, which a superuser could replace."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as reader:
        with shop("shop:short", "--stats", pipe) as process:
            assert ended(process)[0] == 0
        assert json.loads(reader.read())[0]["name"] == "short"
    assert pipe.is_fifo()


def test_a_link_stays_one(shop, tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    with shop("shop:short", "--stats", "link.json") as process:
        assert ended(process)[0] == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())


# --- as a stranger writes it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [("import streamflow as sf\ndef job(:\n", 2), ("x = 1\n1 / 0\n", 2), ("import not_there_at_all\n", 1)],
)
def test_a_module_that_cannot_be_imported_is_said_with_the_line(shop, tmp_path, text, line):
    (tmp_path / "wrong.py").write_text(text)
    with shop("wrong:job") as process:
        code, _, err = ended(process)
    assert code == 1
    assert err.splitlines()[-1] == f"  at {tmp_path / 'wrong.py'}:{line}"


def test_an_error_that_came_from_no_line_of_the_users_names_none(shop, tmp_path):
    (tmp_path / "bare.py").write_text("import functools\njob = functools.partial(int, 'seven')\n")
    with shop("bare:job") as process:
        code, _, err = ended(process)
    assert (code, err) == (1, "streamflow: ValueError: invalid literal for int() with base 10: 'seven'\n")


def test_in_a_directory_with_a_space_a_function_with_arguments_is_said(start, tmp_path):
    (tmp_path / "a shop").mkdir()
    (tmp_path / "a shop" / "shop.py").write_text("def orders(day):\n    pass\n")
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with start("run", "shop:orders", env=environment, at=tmp_path / "a shop") as process:
        code, _, err = ended(process)
    assert code == 2
    assert "'orders' is called without arguments to make the pipeline, and it needs day." in err
    assert "def job(): return orders(...)" in err


@pytest.mark.parametrize("closed", [1, 2])
def test_without_a_standard_stream_it_runs_as_well(tmp_path, closed):
    """uvloop ends a process in which a socket takes the number of standard error."""
    (tmp_path / "shop.py").write_text(SHOP)
    command = ["sh", "-c", f'exec "$0" -m streamflow run shop:short --stats stats.json {closed}>&-', sys.executable]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0
    assert json.loads((tmp_path / "stats.json").read_text())[0]["outcome"] == "succeeded"


def test_the_third_signal_leaves_also_where_nobody_can_be_told(shop, tmp_path):
    (tmp_path / "deaf.py").write_text(
        "import asyncio, os\nimport streamflow as sf\nfrom shop import numbers\n"
        "async def deaf(items):\n    async for item in items:\n        yield item\n"
        "        print('stuck', flush=True)\n        os.close(2)\n"
        "        while True:\n            try:\n                await asyncio.sleep(3600)\n"
        "            except asyncio.CancelledError:\n                print('cancelled', flush=True)\n"
        "job = sf.stream(numbers).through(deaf).to(sf.count(), name='deaf', grace=3600)\n"
    )
    with shop("deaf:job", "--loop", "asyncio") as process:
        assert process.stdout.readline() == "stuck\n"
        process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 20
        while process.poll() is None:  # nothing says when each was heard
            assert time.monotonic() < until
            time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
        assert process.returncode == 143
