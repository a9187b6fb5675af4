"""The works of `formats`: a stage and its loop are given the same, and make the same."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks import formats, formats_jobs
from benchmarks.formats import _GOALS, _PAIRS, _both, _installed
from benchmarks.formats_bare import LOOPS
from benchmarks.formats_data import CHUNK, input_of, write_inputs
from benchmarks.formats_jobs import WORKS, _bare, _streamflow
from benchmarks.processes import ROOT
from streamflow.formats import deflate_library

pytestmark = pytest.mark.slow

ROWS = 60_000  # more than a chunk of each kind


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("formats")
    for part in {work.part for work in WORKS.values()}:
        write_inputs(made / str(part), ROWS)
    return made


def test_every_stage_has_a_loop_and_is_compared_with_it():
    assert set(WORKS) == set(LOOPS) == set(_PAIRS)
    assert [(goal.first, goal.second) for goal in _GOALS] == [(pair.loop, pair.stage) for pair in _PAIRS.values()]


def test_no_two_contenders_have_one_name():
    """Times are kept by name."""
    names = [name for pair in _PAIRS.values() for name in (pair.stage, pair.loop)]
    assert len(names) == len(set(names))


def test_gzip_and_csv_have_goals():
    assert {work for work, pair in _PAIRS.items() if pair.goal is not None} == {
        work for work in WORKS if work.startswith(("gzip", "csv"))
    }


@pytest.mark.parametrize("work", WORKS)
def test_a_stage_and_its_loop_make_as_much_of_the_same(work, folder, monkeypatch):
    for library in () if _PAIRS[work].needs else ("isal", "zlib_ng"):
        monkeypatch.setitem(sys.modules, library, None)
    _forget_libraries()
    if not _installed(_PAIRS[work].needs):
        pytest.skip(f"needs {_PAIRS[work].needs}")
    items = WORKS[work].input(folder)
    made, _ = _bare(work, items)
    assert made >= ROWS
    assert _streamflow(work, items)[0] == pytest.approx(made, rel=0.01 if "-compress" in work else 0, abs=0)
    _forget_libraries()


def _forget_libraries():
    """Make streamflow look again which are installed."""
    for found in vars(deflate_library).values():
        if hasattr(found, "cache_clear"):
            found.cache_clear()


@pytest.mark.parametrize("kind", ["csv", "gzip", "jsonl"])
def test_the_chunks_are_those_that_a_file_gives(kind, folder):
    *full, last = input_of(kind, folder / "1")
    assert {len(chunk) for chunk in full} <= {CHUNK}
    assert 0 < len(last) <= CHUNK


@pytest.mark.parametrize("work", ["gzip-compress", "gzip-compress-fast", "gzip-compress-ng"])
def test_only_the_works_with_the_extra_have_its_libraries(work, folder):
    """For the others they are hidden as if they were not installed."""
    if not _installed(_PAIRS[work].needs):
        pytest.skip(f"needs {_PAIRS[work].needs}")
    code = (
        f"import sys; sys.argv = ['x', {work!r}, 'streamflow', {str(folder)!r}]\n"
        "from benchmarks import formats_jobs; formats_jobs.main()\n"
        "print(*{'isal', 'zlib_ng'} & {name for name, module in sys.modules.items() if module})"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == _PAIRS[work].needs


def test_a_contender_tells_its_seconds_and_those_of_its_threads(folder):
    ended = subprocess.run(
        [*_both("gzip-decompress", folder)[1].command, "--by-thread"], cwd=ROOT, capture_output=True, check=True
    )
    told = json.loads(ended.stdout)
    assert set(told) == {"wall", "processor", "loop", "threads"}
    assert set(told["threads"]) == {"gzip.decompress"}


def test_a_result_that_is_not_what_it_should_be_is_no_contender(folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "csv-lists", "streamflow", str(folder)])
    monkeypatch.setattr("benchmarks.formats_jobs._streamflow", lambda work, items: (1, {"wall": 1.0}))
    for library in ("isal", "zlib_ng"):
        monkeypatch.setitem(sys.modules, library, None)  # put back at the end: `main` hides them
    with pytest.raises(AssertionError, match=r"csv-lists: streamflow made \{1\}, not 60000"):
        formats_jobs.main()


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(formats, "_installed", lambda library: not library)
    both = {work: _PAIRS[work] for work in ("gzip-decompress", "gzip-decompress-fast")}
    monkeypatch.setattr(formats, "_PAIRS", both)
    found = formats.run(rows=100, rounds=1)
    assert found.text.endswith("isal is not installed here, so it is not in the table.")
    assert [ratio.key for ratio in found.ratios] == ["formats.gzip-decompress/bare"]
