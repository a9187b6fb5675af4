"""The files under a directory, as a source of paths.

What lives here: `walk`, and what its patterns mean. What must not: reading files (files.py), other places' listings.

How it works. One directory is listed at a time, in a thread, when its turn comes: so what is held is the names of one
directory for each level. The pattern is matched component by component, as a small automaton, so a directory under
which nothing can match is never listed.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import AsyncGenerator, Iterator
from typing import NamedTuple, TypeAlias

from streamflow.engine.shielding import finish
from streamflow.engine.threads import Worker
from streamflow.errors import UsageError
from streamflow.stages import Source

__all__ = ["Pattern", "parted", "walk"]

States: TypeAlias = frozenset[int]


def walk(
    root: str | os.PathLike[str], pattern: str = "**/*", *, hidden: bool = False, follow_symlinks: bool = False
) -> Source[str]:
    """Emit the paths of the files under a directory, sorted, as far as they are asked for.

    Example: `await sf.stream(files.walk("logs", "2026-*/*.csv.gz")).collect()` gives
    `["logs/2026-01/a.csv.gz", "logs/2026-02/a.csv.gz"]`.

    Args:
        root: the directory; the paths begin with it as it is written here.
        pattern: which files, relative to it: `*`, `?` and `[...]` within a name, `**` for any number of directories.
        hidden: whether `*` and `**` also stand for names that begin with a dot; a part file of a run that was killed is
            one of those.
        follow_symlinks: whether directories that are symbolic links are entered; a link to a directory it stands in is
            not, so a loop ends. Links to files are emitted either way; what is neither a file nor leads to one is not.

    They are sorted name by name, directory by directory: `a/z`, then `a.csv`, then `b`. What appears or vanishes
    meanwhile may or may not be seen.

    Raises, when it runs, Python's own `FileNotFoundError`, `NotADirectoryError`, `PermissionError` and other
    `OSError`s, naming the directory that could not be listed: nothing is left out silently. `UsageError` for
    a pattern that cannot match.

    Cancellation: the directory being listed is waited for.
    """
    top, matching = os.fspath(root), Pattern(pattern, hidden=hidden)

    async def paths() -> AsyncGenerator[str, None]:
        worker = Worker("streamflow-file-walk")
        try:
            levels = [await worker.call(_listed, top, matching.start, matching, (), follow_symlinks)]
            while levels:
                found = next(levels[-1].rest, None)
                if found is None:
                    levels.pop()
                elif found.below is None:
                    yield found.path
                else:
                    known = tuple(level.identity for level in levels)
                    levels.append(await worker.call(_listed, found.path, found.below, matching, known, follow_symlinks))
        finally:
            await finish(worker.close())

    return Source(paths, name=f"files.walk({os.path.join(top, pattern)})", threads=1)


class _Found(NamedTuple):
    """A file, or a directory with the states of the pattern to go on with below it."""

    path: str
    below: States | None


class _Level(NamedTuple):
    identity: tuple[int, int]
    rest: Iterator[_Found]


def _listed(
    path: str,
    states: States,
    pattern: Pattern,
    known: tuple[tuple[int, int], ...],
    follow: bool,  # noqa: FBT001  # a thread's call has positions only
) -> _Level:
    """List a directory. One that we stand in already, which only a link can lead to, has nothing new."""
    about = os.stat(path or os.curdir)
    identity = about.st_dev, about.st_ino
    if identity in known:
        return _Level(identity, iter(()))
    with os.scandir(path or os.curdir) as entries:
        names = [(entry.name, _kind(entry, follow)) for entry in entries]
    return _Level(identity, _matching(path, sorted(names), states, pattern))


def _kind(entry: os.DirEntry[str], follow: bool) -> str:  # noqa: FBT001  # see `walk`
    try:
        return "directory" if entry.is_dir(follow_symlinks=follow) else "file" if entry.is_file() else "other"
    except OSError:  # a link that leads to itself, or to where we may not look: no file that could be read
        return "other"


def _matching(path: str, names: list[tuple[str, str]], states: States, pattern: Pattern) -> Iterator[_Found]:
    for name, kind in names:
        after = pattern.step(states, name)
        if kind == "directory" and pattern.may_go_on(after):
            yield _Found(os.path.join(path, name), after)
        elif kind == "file" and pattern.accepts(after):
            yield _Found(os.path.join(path, name), None)


class Pattern:
    """A pattern of paths, as an automaton over their components.

    Example: `states = pattern.start`, for each component `states = pattern.step(states, name)`, at the end
    `pattern.accepts(states)`.

    Args:
        pattern: as `walk` explains it.
        hidden: as `walk` explains it.
    """

    def __init__(self, pattern: str, *, hidden: bool = False) -> None:
        """Take it apart. Raises `UsageError` for one that cannot match anything under a root."""
        parts = pattern.split("/")
        if not all(parts) or {".", ".."} & set(parts):
            raise UsageError(
                f"The pattern {pattern!r} must be relative to the root: names with /, such as '**/*.csv', and no '..'."
            )
        self._parts = [None if part == "**" else re.compile(fnmatch.translate(part)) for part in parts]
        self._dotted = [hidden or part.startswith(".") for part in parts]
        self.start: States = self._closed({0})

    def step(self, states: States, name: str) -> States:
        """Return the states after one more component."""
        after = set()
        for at in states:
            if at == len(self._parts) or (name.startswith(".") and not self._dotted[at]):
                continue
            part = self._parts[at]
            if part is None:
                after.add(at)
            elif part.match(name):
                after.add(at + 1)
        return self._closed(after)

    def _closed(self, states: set[int]) -> States:
        """Add what a `**` that stands for no directory leads to."""
        closed = set()
        for state in states:
            at = state
            closed.add(at)
            while at < len(self._parts) and self._parts[at] is None:
                at += 1
                closed.add(at)
        return frozenset(closed)

    def accepts(self, states: States) -> bool:
        """Return whether a path that ends here matches."""
        return len(self._parts) in states

    def may_go_on(self, states: States) -> bool:
        """Return whether a longer path may match."""
        return any(at < len(self._parts) for at in states)


def parted(pattern: str) -> tuple[str, str]:
    """Return the directory of a pattern, as far as it has no wildcards, and the rest: `"a/b"` and `"*.csv"`.

    Raises `UsageError` for a pattern that names no file.
    """
    root, name = os.path.split(pattern)
    while _is_magic(root):
        root, part = os.path.split(root)
        name = f"{part}/{name}"
    if not name.strip("/"):
        raise UsageError(f"{pattern!r} names no file; to read all files in a directory write {pattern + '**/*'!r}.")
    return root, name


def _is_magic(path: str) -> bool:
    return re.search(r"[*?[]", path) is not None
