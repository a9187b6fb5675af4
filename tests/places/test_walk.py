"""`walk`: the same files as Python's own glob, sorted, one directory at a time, through loops of links."""

from __future__ import annotations

import glob
import os
import threading
from contextlib import aclosing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamflow.errors import UsageError
from streamflow.places import files, walk


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("streamflow-file")] == []


async def collected(source):
    async with aclosing(source.open()) as items:
        return [item async for item in items]


def below(path, root):
    return os.path.relpath(path, root)


async def taken(source, got):
    async with aclosing(source.open()) as items:
        async for item in items:
            got.append(item)


def made(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


async def test_all_files_come_sorted_directory_by_directory(tmp_path):
    made(tmp_path, "b", "a/z", "a/b/c", "a.csv", "a-b")

    paths = await collected(files.walk(tmp_path))

    assert [below(path, tmp_path) for path in paths] == ["a/b/c", "a/z", "a-b", "a.csv", "b"]
    assert all(path.startswith("/") for path in paths)


async def test_paths_begin_as_the_root_is_written(tmp_path, monkeypatch):
    made(tmp_path, "out/a")
    monkeypatch.chdir(tmp_path)

    assert await collected(files.walk("out")) == ["out/a"]
    assert await collected(files.walk("")) == ["out/a"]
    assert await collected(files.walk(".")) == ["./out/a"]


TREE = ("a", "b.csv", "x/a", "x/b.csv", "x/y/b.csv", "x/y/z/b.csv", ".hidden", "x/.git/b.csv", "y/y/y", "[a]")
PATTERNS = ("*", "*.csv", "**/*.csv", "**", "x/**", "x/**/b.csv", "**/y/**", "*/*", "?", "[ab]*", "**/**/b.csv")
PATTERNS += (".*", "**/.git/*", "x/y/b.csv", "[[]a]", "y/**/y", "**/y")


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS)
async def test_a_pattern_means_what_it_means_to_the_glob_module(tmp_path, pattern, hidden):
    made(tmp_path, *TREE)
    expected = glob.glob(pattern, root_dir=tmp_path, recursive=True, include_hidden=hidden)

    paths = await collected(files.walk(tmp_path, pattern, hidden=hidden))

    # The module gives some paths twice, and puts a slash behind some.
    files_expected = {path.rstrip("/") for path in expected if (tmp_path / path).is_file()}
    assert sorted(below(path, tmp_path) for path in paths) == sorted(files_expected)


names = st.sampled_from(["a", "b", "ab", ".a"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.lists(names, min_size=1, max_size=5), pattern=st.lists(st.sampled_from(["a", "*", "**", "?", "*b", ".*"]))
)
def test_the_automaton_agrees_with_the_pattern_tried_in_every_way(path, pattern):
    def matches(parts, names):
        if not parts:
            return not names
        head, *rest = parts
        if head != "**":
            return bool(names) and one(head, names[0]) and matches(rest, names[1:])
        return matches(rest, names) or (bool(names) and names[0][0] != "." and matches(parts, names[1:]))

    def one(part, name):
        return glob.fnmatch.fnmatchcase(name, part) and (name[0] != "." or part[0] == ".")

    if not pattern:
        return
    automaton = walk.Pattern("/".join(pattern))
    states = automaton.start
    for number, name in enumerate(path, 1):
        states = automaton.step(states, name)
        assert automaton.accepts(states) == matches(pattern, path[:number])
        if not automaton.may_go_on(states):
            assert not any(matches(pattern, [*path[:number], *rest]) for rest in ([*"a"], [*"ab"], ["a", "b", "ab"]))


async def test_a_directory_under_which_nothing_can_match_is_not_listed(tmp_path, monkeypatch):
    made(tmp_path, "a/1", "b/1", "b/c/1")
    listed, real = [], os.scandir

    def scandir(path):
        listed.append(below(path, tmp_path))
        return real(path)

    monkeypatch.setattr(walk.os, "scandir", scandir)

    assert len(await collected(files.walk(tmp_path, "b/*"))) == 1
    assert listed == [".", "b"]


async def test_directories_are_listed_when_their_turn_comes(tmp_path, monkeypatch):
    made(tmp_path, "a/1", "b/1")
    listed, real = [], os.scandir

    def scandir(path):
        listed.append(below(path, tmp_path))
        return real(path)

    monkeypatch.setattr(walk.os, "scandir", scandir)
    async with aclosing(files.walk(tmp_path).open()) as paths:
        await anext(paths)
        assert listed == [".", "a"]


async def test_links_to_directories_are_entered_on_request_and_loops_end(tmp_path):
    made(tmp_path, "a/1", "b/2")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/b").symlink_to(tmp_path / "b")
    (tmp_path / "b/self").symlink_to("self")
    (tmp_path / "b/gone").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("a/1")

    async def relative(**options):
        return [below(path, tmp_path) for path in await collected(files.walk(tmp_path, **options))]

    assert await relative() == ["a/1", "b/2", "link"]
    assert await relative(follow_symlinks=True) == ["a/1", "a/b/2", "b/2", "link"]


async def test_what_is_no_file_is_left_out(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    made(tmp_path, "file")

    assert [os.path.basename(path) for path in await collected(files.walk(tmp_path))] == ["file"]


async def test_a_directory_that_cannot_be_listed_is_an_error_that_names_it(tmp_path, monkeypatch):
    made(tmp_path, "a/1", "b/1")
    real = os.scandir

    def scandir(path):
        if path.endswith("b"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(walk.os, "scandir", scandir)
    got = []
    with pytest.raises(PermissionError, match="/b'"):
        await taken(files.walk(tmp_path), got)
    assert len(got) == 1
    with pytest.raises(FileNotFoundError, match="none"):
        await collected(files.walk(tmp_path / "none"))
    with pytest.raises(NotADirectoryError, match="1"):
        await collected(files.walk(tmp_path / "a/1"))


@pytest.mark.parametrize("pattern", ["", "/abs", "../x", "a//b", "a/", "./a", "a/../b"])
def test_a_pattern_that_leaves_the_root_is_refused(pattern):
    with pytest.raises(UsageError, match="relative to the root"):
        files.walk("root", pattern)


async def test_cancelled_at_any_turn_it_leaves_no_thread(tmp_path, cancelled_after):
    """X21."""
    made(tmp_path, *(f"{letter}/{number}" for letter in "abcde" for number in range(3)))
    for turns in range(40):
        task = await cancelled_after(lambda: collected(files.walk(tmp_path)), turns)

        assert task.cancelled() or len(task.result()) == 15


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("a/b/*.csv", ("a/b", "*.csv")),
        ("/a/*/b/c", ("/a", "*/b/c")),
        ("*.csv", ("", "*.csv")),
        ("a.csv", ("", "a.csv")),
        ("/**/x", ("/", "**/x")),
    ],
)
def test_a_pattern_is_parted_where_its_wildcards_begin(pattern, parts):
    assert walk.parted(pattern) == parts


def test_a_pattern_that_names_no_file_is_refused():
    with pytest.raises(UsageError, match=r"write 'logs/\*\*/\*'"):
        walk.parted("logs/")
