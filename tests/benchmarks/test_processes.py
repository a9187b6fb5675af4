"""Contenders in processes of their own: the protocol, the times, and the ratios formed of them."""

from __future__ import annotations

import shutil
import sys

import pytest

from benchmarks import contend, processes
from benchmarks.cmap import GOALS as CMAP_GOALS
from benchmarks.goals import Goal, judged
from benchmarks.hops import GOALS as HOPS_GOALS
from benchmarks.hops_ways import WAYS, contenders, named
from benchmarks.hotspots import shares
from benchmarks.presence import absent, has_library
from benchmarks.processes import Process, Times, python, race


def test_a_contender_runs_in_a_process_and_says_its_seconds():
    times = race([python("limit", "benchmarks.rivals:iterators", 20, expected=10)], rounds=1)["limit"]
    assert times.median > 0
    assert len(times.walls) == len(times.processors) == 1


def test_a_contender_that_loses_items_is_no_contender():
    with pytest.raises(RuntimeError, match="the job returned 10, not 11"):
        race([python("limit", "benchmarks.rivals:iterators", 20, expected=11)], rounds=1)


@pytest.fixture
def steady(monkeypatch):
    """A machine that never changes its pace."""
    monkeypatch.setattr(processes, "_pace", lambda: 1.0)


def test_the_times_of_a_slow_moment_are_shortened(monkeypatch):
    paces = iter([1.0, 2.0, 1.0])
    monkeypatch.setattr(processes, "_pace", lambda: next(paces))
    command = [sys.executable, "-I", "-S", "-c", 'print(\'{"wall": 4e-9, "processor": 4e-9}\')']
    times = race([Process("one", command, 1)], rounds=3)
    assert times["one"].walls == pytest.approx([4, 2, 4])


@pytest.mark.usefixtures("steady")
def test_rounds_alternate(tmp_path):
    log = tmp_path / "log"

    def writing(name):
        code = f"open({str(log)!r}, 'a').write({name!r}); print('{{\"wall\": 1e-9, \"processor\": 5e-10}}')"
        return Process(name, [sys.executable, "-I", "-S", "-c", code], items=1)

    times = race([writing("a"), writing("b")], rounds=2)
    assert log.read_text() == "abab"
    assert times["a"].median == pytest.approx(1)
    assert times["a"].cores == pytest.approx(0.5)


@pytest.mark.parametrize(("waits", "counted"), [(True, [4.0, 3.0]), (False, [3.0, 3.0])])
def test_processor_time_counts_where_a_contender_that_never_waits_was_disturbed(waits, counted):
    """In the first round it had three quarters of a core; in the second it kept two cores busy."""
    assert Times([4.0, 3.0], [3.0, 6.0], waits).nanoseconds == counted


@pytest.mark.usefixtures("steady")
def test_a_contender_says_whether_it_waits():
    code = 'print(\'{"wall": 4e-9, "processor": 3e-9}\')'
    command = [sys.executable, "-I", "-S", "-c", code]
    times = race([Process("files", command, 1), Process("sums", command, 1, waits=False)], rounds=1)
    assert {name: round(found.median) for name, found in times.items()} == {"files": 4, "sums": 3}


def test_a_contender_has_its_own_environment():
    code = "import os; print('{\"wall\": %s, \"processor\": 1}' % os.environ['SECONDS_TAKEN'])"
    one = Process("a", [sys.executable, "-I", "-S", "-c", code], 1, {"SECONDS_TAKEN": "3"})
    assert race([one], rounds=1)["a"].median == pytest.approx(3e9)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_job_is_warmed_up_with_a_fifth_and_then_timed(loop):
    runs = []

    async def job(n, extra):
        runs.append((n, extra))
        return n

    seconds = contend.timed(job, loop, 10, 10, [7])
    assert runs == [(2, 7), (10, 7)]
    assert set(seconds) == {"wall", "processor"}


def test_spread_and_median_of_times():
    times = Times([100.0, 90.0, 120.0], [100.0, 90.0, 60.0])
    assert (times.median, times.spread, times.cores) == (100.0, "-10 +20 %", 1.0)


def test_a_ratio_is_formed_within_each_round():
    """Both took twice as long in the second round, so their ratio is the same."""
    times = {"a": Times([2.0, 4.0, 3.0], [1] * 3), "b": Times([1.0, 2.0, 1.0], [1] * 3)}
    [ratio] = judged([Goal("x.a/b", "a / b", "a", "b", at_most=2.0)], times)
    assert (ratio.value, ratio.spread, ratio.kept) == (2.0, "2 to 3", True)


def test_a_goal_whose_contender_is_absent_is_not_judged():
    assert judged([Goal("x.a/b", "a / b", "a", "b")], {"a": Times([1.0], [1.0])}) == []


@pytest.mark.parametrize("goals", [HOPS_GOALS, CMAP_GOALS])
def test_keys_are_those_of_one_ratio_each(goals):
    assert len({goal.key for goal in goals}) == len(goals)


def test_both_sides_of_every_goal_are_contenders():
    names = {
        named(way.name, size, loop)
        for way in WAYS
        for loop in (("asyncio", "uvloop") if way.uvloop else ("asyncio",))
        for size in way.sizes or (None,)
    }
    assert {name for goal in HOPS_GOALS for name in (goal.first, goal.second)} <= names


_LOCAL = [way for way in WAYS if not way.needs or way.needs == "extension"]


@pytest.mark.parametrize("way", _LOCAL, ids=lambda way: way.name)
@pytest.mark.slow
def test_every_contender_of_hops_that_needs_no_peer_does_the_job(way):
    for one in contenders(2_000, [way]):
        assert race([one], rounds=1)[one.name].median > 0


def test_what_is_absent_is_named_once():
    assert absent([]) == ""
    assert absent(["go", "go"]) == "Go is not installed here, so it is not in the table."
    expected = "Node.js, Go and aiostream are not installed here, so they are not in the table."
    assert absent(["node", "go", "aiostream"]) == expected


def test_a_library_is_there_or_not():
    assert has_library("json")
    assert not has_library("no_such_library_anywhere.part")


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")
@pytest.mark.parametrize("way", [way for way in WAYS if way.needs == "node"], ids=lambda way: way.name)
@pytest.mark.slow
def test_node_does_the_same_job(way):
    [one, *_] = contenders(100, [way])
    assert race([one], rounds=1)[one.name].median > 0


def test_samples_count_for_the_function_that_was_running():
    within = "run (benchmarks/contend.py:9);timed.<locals>.run (benchmarks/contend.py:40);"
    samples = [
        "<module> (json/__init__.py:1) 90",
        f"{within}Writer._fill (streamflow/engine/writer.py:120) 6",
        f"{within}Writer._fill (streamflow/engine/writer.py:121) 2",
        f"{within}is_even (benchmarks/rivals.py:40) 2",
    ]
    assert shares(samples) == [("writer: _fill", 0.8), ("the user: is_even", 0.2)]
