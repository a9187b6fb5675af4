"""The project's own conftest: loops, leak checks after every test, markers; seen from outside, in a run of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SAMPLE = """
import asyncio, gc, os, threading
import hypothesis, pytest
from hypothesis import strategies as st

kept = []

@pytest.fixture
async def server():
    async def serve():
        await asyncio.Event().wait()
    task = asyncio.create_task(serve())
    yield task
    task.cancel()
    await asyncio.wait({task})

@pytest.fixture
async def bad_fixture():
    yield
    kept.append(asyncio.create_task(asyncio.Event().wait(), name="from the fixture"))

async def numbers():
    yield 1
    yield 2

async def test_clean(server): await asyncio.to_thread(int)
def test_sync(): pass
@pytest.mark.virtual_time
async def test_virtual(): await asyncio.sleep(1e6)
@hypothesis.given(st.integers())
async def test_property(number): await asyncio.sleep(0)
async def test_bad_task(): kept.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten"))
async def test_bad_fixture(bad_fixture): pass
async def test_bad_generator():
    async for number in numbers(): break
async def test_bad_exception():
    async def fails(): raise ValueError("nobody looks")
    asyncio.create_task(fails()); await asyncio.sleep(0); await asyncio.sleep(0)
def test_bad_descriptor(): kept.append(os.pipe())
def test_bad_thread():
    kept.append(threading.Event())
    threading.Thread(target=kept[-1].wait, name="stays", daemon=True).start()
def test_bad_coroutine(): numbers().aclose(); asyncio.sleep(0)
@pytest.mark.may_leak("files", reason="to see it excused")
def test_excused(): kept.append(os.pipe())
@pytest.mark.may_leak("files")
def test_no_reason(): pass
async def test_failing():
    kept.append(asyncio.create_task(asyncio.Event().wait(), name="after a failure"))
    raise KeyError("the real reason")
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Run the sample once; return the outcome of each test, and the whole text."""
    folder = tmp_path_factory.mktemp("sample")
    shutil.copy(ROOT / "tests/conftest.py", folder)
    (folder / "test_sample.py").write_text(SAMPLE)
    options = ["-c", ROOT / "pyproject.toml", "--rootdir", folder, "-o", f"cache_dir={folder}", "-rA"]
    text = subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, options), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "STREAMFLOW_LOOPS": "asyncio uvloop"},
    ).stdout
    summary = text.partition("short test summary info")[2].splitlines()
    found = [line.split("test_sample.py::") for line in summary if "test_sample.py::" in line]
    return {(outcome.strip(), name.split(" - ")[0]) for outcome, name in found}, text


@pytest.mark.parametrize(
    "name", ["test_clean[asyncio]", "test_clean[uvloop]", "test_sync", "test_virtual", "test_excused"]
)
def test_clean_tests_pass_on_their_loops(report, name):
    outcomes, _ = report

    assert ("PASSED", name) in outcomes
    assert ("ERROR", name) not in outcomes


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_property_tests_run_on_both_loops(report, loop):
    assert ("PASSED", f"test_property[{loop}]") in report[0]


def test_only_async_tests_are_multiplied(report):
    names = {name for _, name in report[0]}

    assert {name for name in names if name.startswith(("test_sync", "test_virtual"))} == {"test_sync", "test_virtual"}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("name", ["test_bad_task", "test_bad_fixture", "test_bad_generator", "test_bad_exception"])
def test_what_an_async_test_leaves_behind_is_an_error(report, name, loop):
    assert ("ERROR", f"{name}[{loop}]") in report[0]


@pytest.mark.parametrize("name", ["test_bad_descriptor", "test_bad_thread", "test_bad_coroutine"])
def test_what_a_sync_test_leaves_behind_is_an_error(report, name):
    assert ("ERROR", name) in report[0]


@pytest.mark.parametrize(
    "words",
    [
        "pending: Task 'forgotten' waits at",
        "pending: Task 'from the fixture' waits at",
        "async generator dropped without aclose(), closed by the loop's hook",
        "Task exception was never retrieved; ValueError: nobody looks",
        "file descriptor",
        "thread: 'stays'",
        "was never awaited",
        "may_leak needs a reason",
    ],
)
def test_the_error_says_what_was_left(report, words):
    assert words in report[1]


def test_a_failing_test_reports_its_failure_and_not_its_leaks(report):
    outcomes, text = report

    assert ("FAILED", "test_failing[asyncio]") in outcomes
    assert ("ERROR", "test_failing[asyncio]") not in outcomes
    assert "after a failure" not in text.partition("short test summary")[2]


def test_a_leak_does_not_spill_into_the_next_test(report):
    errors = {name.partition("[")[0] for outcome, name in report[0] if outcome == "ERROR"}

    assert errors == {
        "test_bad_task",
        "test_bad_fixture",
        "test_bad_generator",
        "test_bad_exception",
        "test_bad_descriptor",
        "test_bad_thread",
        "test_bad_coroutine",
        "test_no_reason",
    }
