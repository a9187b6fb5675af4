"""The result read back and compared with the source, row by row, by the standard library alone.

What lives here: `verify`. What must not: streamflow's formats, channels and stages; a proof must not lean on what it
proves. (An object that is no local file is fetched block by block through its store; gunzip, text and CSV are the
standard library's here too.)

Both sides are read in step, in a thread of their own, so memory is constant and the first difference can be named.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gzip
import io
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from streamflow.engine.shielding import until_done
from streamflow.places import objects, urls

__all__ = ["Verdict", "compare", "verify"]

Rows = Iterator[list[str]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: rows on both sides (headers not counted), and the first difference in words, if there is one."""

    rows_in: int
    rows_out: int
    difference: str | None

    @property
    def same(self) -> bool:
        """Whether nothing is missing, added or changed."""
        return self.difference is None and self.rows_in == self.rows_out


async def verify(source: str, target: str, added: str) -> Verdict:
    """Compare the CSV at `source` with the gzipped CSV at `target`, which has the column `added` behind the others.

    Raises the `OSError` of a source or target that cannot be opened. What is wrong with the content of the target is a
    difference, no exception. Cancellation: waits until the thread has seen it, at its next row.
    """
    stop = threading.Event()
    async with contextlib.AsyncExitStack() as stack:
        before = _rows(await _opened(source, stack), gzipped=source.endswith(".gz"))
        after = _rows(await _opened(target, stack), gzipped=True)
        thread = asyncio.ensure_future(asyncio.to_thread(compare, before, after, added, stop.is_set))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            stop.set()
            await until_done(thread)
            raise


def compare(before: Rows, after: Rows, added: str, stopped: Callable[[], bool] = lambda: False) -> Verdict:
    """Compare row by row; the first row of both is the header. After a difference both are counted to their ends."""
    rows_in = rows_out = -1
    difference: str | None = None
    ends = _Watched(before, "source"), _Watched(after, "result")
    for number, (old, new) in enumerate(itertools.zip_longest(*ends)):
        if stopped():
            break
        rows_in += old is not None
        rows_out += new is not None
        difference = difference or _difference(number, old, new, added)
    broken = next((end.broken for end in ends if end.broken), None)
    if not rows_in and rows_out < 0 and broken is None:
        difference = None  # no rows, so nobody knew a header to write
    return Verdict(max(rows_in, 0), max(rows_out, 0), broken or difference)


def _difference(number: int, old: list[str] | None, new: list[str] | None, added: str) -> str | None:
    where = f"row {number:,}" if number else "the header"
    if new is None:
        return f"{where} is missing in the result"
    if old is None:
        return f"{where} of the result is not in the source"
    if len(new) != len(old) + 1:
        return f"{where} has {len(new)} fields, not {len(old) + 1}"
    if new[:-1] != old:
        return f"{where} differs: {old!r:.200} became {new[:-1]!r:.200}"
    if (new[-1] != added) if not number else not new[-1]:
        return f"{where} has {new[-1]!r:.50} in the column {added}"
    return None


class _Watched:
    """Rows to their end; an error while reading ends them and is kept in words."""

    def __init__(self, rows: Rows, what: str) -> None:
        self._rows = rows
        self._what = what
        self.broken: str | None = None

    def __iter__(self) -> Rows:
        try:
            yield from self._rows
        except (OSError, EOFError, ValueError, csv.Error) as error:
            self.broken = f"the {self._what} cannot be read back: {type(error).__name__}: {error}"


def _rows(file: IO[bytes], *, gzipped: bool) -> Rows:
    plain: IO[bytes] = gzip.GzipFile(fileobj=file, mode="rb") if gzipped else file  # type: ignore[assignment]  # has all of IO that is used
    return filter(None, csv.reader(io.TextIOWrapper(plain, "utf-8-sig", newline="")))


async def _opened(url: str, stack: contextlib.AsyncExitStack) -> IO[bytes]:
    location = urls.parse(url)
    if location.scheme == "file":
        return stack.enter_context(open(location.key, "rb"))  # noqa: ASYNC230  # it is read in a thread
    blocks = aiter(objects.read(url))
    if hasattr(blocks, "aclose"):
        stack.push_async_callback(blocks.aclose)
    return stack.enter_context(io.BufferedReader(_Fetched(blocks, asyncio.get_running_loop()), 1 << 20))


class _Fetched(io.RawIOBase):
    """Blocks that an event loop fetches, as a file for the thread that reads it."""

    def __init__(self, blocks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._blocks = blocks
        self._loop = loop
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(asyncio.run_coroutine_threadsafe(self._next(), self._loop).result())
        room = memoryview(buffer).cast("B")
        count = min(len(room), len(self._rest))
        room[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    async def _next(self) -> bytes:
        return await anext(self._blocks, b"")
