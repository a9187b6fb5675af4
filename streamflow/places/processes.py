"""Programs as sources, stages and sinks of bytes: their standard output, what they make of their input, their input.

What lives here: `read`, `through` and `write`. What must not: how a program is run and stopped (children.py), shells.

A program that fails is an error, whatever it has written before (P5). Its arguments and its environment may hold
secrets, so errors, plans and reports show the program's name only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from subprocess import DEVNULL, PIPE
from typing import Literal, TypeAlias, cast

from streamflow.engine.feeding import reading
from streamflow.engine.shielding import finish
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.places.children import Child, Command
from streamflow.stages import Sink, Source, Stage

__all__ = ["read", "through", "write"]

Word: TypeAlias = str | os.PathLike[str]
Stderr: TypeAlias = Literal["collect", "inherit"]

_PIPES = 3 * 65_536  # bytes: what waits to be written to it, and the end of its standard error


def read(
    *command: Word,
    cwd: Word | None = None,
    env: Mapping[str, str] | None = None,
    stderr: Stderr = "collect",
    chunk: int = 65_536,
    check: bool = True,
    grace: float = 3.0,
) -> Source[bytes]:
    """Run a program and read its standard output, in chunks as they come.

    Example: `await sf.pipeline(processes.read("zstd", "-dc", "orders.csv.zst"), csv.parse(), ..., sink)`.

    Args:
        command: the program and its arguments, each as a word of its own; there is no shell.
        cwd: the directory it runs in; `None` for our own.
        env: its whole environment; `None` for our own.
        stderr: `"collect"` keeps the end of its standard error (64 KiB) for the error; `"inherit"` lets it write to our
            own.
        chunk: how many bytes a chunk has at most.
        check: whether an exit code other than 0 is an error.
        grace: how many seconds it may take to end after SIGTERM, before it is killed.

    Its standard input is empty.

    Raises `UsageError` for a command that cannot be one. When it runs: Python's own `FileNotFoundError` and
    `PermissionError`, and after all that the program wrote `subprocess.CalledProcessError`, with the exit code and the
    end of its standard error.

    Cancellation, and a consumer that has enough: the program is sent SIGTERM, killed after its grace, and awaited. The
    programs that it has started itself are its own.
    """
    run = _command("read", command, cwd=cwd, env=env, stderr=stderr, check=check, grace=grace, chunk=chunk)

    async def output() -> AsyncGenerator[bytes, None]:
        child = Child(run)
        try:
            await finish(child.start(stdin=DEVNULL, stdout=PIPE))
            while data := await child.read():
                yield data
            await child.succeeded()
        finally:
            await finish(child.stop())

    return Source(output, name=f"processes.read({run.program})", holds=2 * chunk + _PIPES)


def through(
    *command: Word,
    cwd: Word | None = None,
    env: Mapping[str, str] | None = None,
    stderr: Stderr = "collect",
    chunk: int = 65_536,
    check: bool = True,
    grace: float = 3.0,
) -> Stage[bytes, bytes]:
    """Feed the items to a program's standard input and emit its standard output, both at once.

    Example: `await sf.pipeline(files.read("a.csv"), processes.through("zstd", "-c"), files.write("a.csv.zst"))`.

    The program's input is closed at the end of the items; then its output is read to the end. A program that ends
    before its input does, with exit code 0, has had enough (`head`): the stages above are closed, and that is success.
    Where the stages above fail, the program is stopped without an end of its input, so that it cannot take a part for
    the whole.

    Its arguments are those of `read`.

    Raises as `read`, and `UsageError` for items that are not bytes. Cancellation, and a consumer that has enough: as
    for `read`.
    """
    run = _command("through", command, cwd=cwd, env=env, stderr=stderr, check=check, grace=grace, chunk=chunk)

    async def fed(items: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
        async with reading(items) as reader:
            child = Child(run)
            try:
                await finish(child.start(stdin=PIPE, stdout=PIPE))
                child.feed(reader)
                while data := await child.read():
                    yield data
                await child.succeeded()
            finally:
                await finish(child.stop())

    return Stage(fed, name=f"processes.through({run.program})", holds=2 * chunk + _PIPES)


def write(
    *command: Word,
    cwd: Word | None = None,
    env: Mapping[str, str] | None = None,
    stderr: Stderr = "collect",
    check: bool = True,
    grace: float = 3.0,
) -> Sink[bytes, None]:
    """Feed the items to a program's standard input, and wait until it has ended.

    Example: `await sf.pipeline(rows, csv.format(), processes.write("psql", "-c", "copy orders from stdin csv"))`.

    What it writes to its standard output is thrown away; where that matters use `through`. It gets the end of its input
    only after the last item. A program that ends before, with exit code 0, has had enough: that is success.

    Its arguments are those of `read`.

    The value is `None`. Raises as `read`, and `UsageError` for items that are not bytes. Cancellation: as for `read`;
    what a program does that was stopped in the middle of its input is its own.
    """
    run = _command("write", command, cwd=cwd, env=env, stderr=stderr, check=check, grace=grace)

    async def fed(items: AsyncIterable[bytes]) -> None:
        async with reading(items) as reader:
            child = Child(run)
            try:
                await finish(child.start(stdin=PIPE, stdout=DEVNULL))
                child.feed(reader)
                await child.succeeded()
            finally:
                await finish(child.stop())

    return Sink(fed, name=f"processes.write({run.program})", holds=_PIPES)


def _command(
    function: str,
    words: tuple[Word, ...],
    *,
    cwd: Word | None,
    env: Mapping[str, str] | None,
    stderr: Stderr,
    check: bool,
    grace: float,
    chunk: int = 65_536,
) -> Command:
    """Check it all; messages never show the words, which may be secret."""
    if not words:
        raise UsageError(f'processes.{function}() needs a program: processes.{function}("program", "argument").')
    for word in words:
        if not isinstance(word, (str, os.PathLike)):
            raise UsageError(
                f"A word of a command is a string or a path, not {type(cast('object', word)).__name__}. Give the words "
                f"one by one: processes.{function}(*command)."
            )
        if "\0" in os.fsdecode(word):
            raise UsageError("A word of a command holds a zero byte, and for the program would end there.")
    if len(words) == 1 and len(os.fspath(words[0]).split()) > 1 and shutil.which(words[0]) is None:
        raise UsageError(
            f"There is no shell that would split the command into words. Give them one by one: "
            f'processes.{function}("program", "argument").'
        )
    _check_place(cwd, env)
    if stderr not in ("collect", "inherit"):
        raise UsageError(f"stderr is 'collect' or 'inherit', not {stderr!r}.")
    check_capacity("chunk", chunk)
    check_capacity("grace", grace, whole=False)
    return Command(words, cwd, env, stderr, check, grace, chunk)


def _check_place(cwd: object, env: object) -> None:
    if cwd is not None and not isinstance(cwd, (str, os.PathLike)):
        raise UsageError(f"cwd is a directory, as a string or a path, or None for our own; not {type(cwd).__name__}.")
    if env is None:
        return
    if not isinstance(env, Mapping) or not all(isinstance(text, str) for pair in env.items() for text in pair):
        raise UsageError(
            "env is the whole environment, a mapping of strings to strings, or None for our own. To add to our own "
            'write {**os.environ, "NAME": "value"}.'
        )
