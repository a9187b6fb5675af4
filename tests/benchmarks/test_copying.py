"""The ways to move a file: each is checked by its result, and leaves nothing behind."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys

import pytest

from benchmarks.copying import _GOALS, _groups, _made, _profiled, _rows
from benchmarks.copying_jobs import COMMANDS, digest
from benchmarks.copying_profile import by_thread
from benchmarks.processes import ROOT, race

SIZE = 200_000

pytestmark = [
    pytest.mark.skipif(
        not all(shutil.which(words[0]) for words in COMMANDS.values()), reason="cp, gzip and pigz are not all installed"
    ),
    pytest.mark.slow,
]


@pytest.fixture
def made(tmp_path):
    return _made(tmp_path, SIZE)


def test_the_rows_are_the_same_each_time_and_of_the_size_asked_for():
    assert _rows(SIZE) == _rows(SIZE)
    assert len(_rows(SIZE)) == SIZE


def test_the_packed_source_holds_the_plain_one(made):
    assert gzip.decompress(made.packed.read_bytes()) == made.plain.read_bytes()
    assert digest(made.packed, packed=True) == digest(made.plain) == made.digest


def test_every_contender_gives_what_it_must_and_leaves_nothing(made):
    before = sorted(os.listdir(made.directory))
    for group in _groups(made):
        assert all(found.median > 0 for found in race(group, rounds=1).values())
    assert sorted(os.listdir(made.directory)) == before


@pytest.mark.parametrize("way", ["cp", "copy"])
def test_a_result_that_is_not_what_it_should_be_is_no_contender(made, way):
    made.plain.write_bytes(b"something else")
    with pytest.raises(RuntimeError, match=f"{way}: the result is not what it should be"):
        race([made.process(way, way)], rounds=1)
    assert not (made.directory / "target").exists()


def test_every_goal_names_contenders_of_one_group(made):
    """A ratio is formed within a round, so its two sides run in the same rounds."""
    named = [{one.name for one in group} for group in _groups(made)]
    fast = "the same with the extra `fast`"  # not there without isal
    for goal in _GOALS:
        assert any({goal.first, goal.second} - {fast} <= names for names in named)


def test_the_time_of_each_thread_is_told(made):
    name, way = next(iter(_profiled(made).items()))
    ended = subprocess.run([*way.command, "--by-thread"], cwd=ROOT, capture_output=True, check=True)
    told = json.loads(ended.stdout)

    assert set(told["threads"]) == {"streamflow-file-read", "streamflow-file-write"}
    assert name in by_thread({name: way})


def test_without_isal_means_that_the_library_sees_none():
    code = "import sys; sys.modules['isal'] = None; from streamflow.formats.deflate_library import fast; print(fast())"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "None", ended.stderr
