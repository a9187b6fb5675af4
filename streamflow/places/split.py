"""Items into many files: by size, by number of items, or by key.

What lives here: `split`, and which file an item belongs to. What must not: which names are safe (split_names.py),
descriptors and commits (split_files.py).

How it works. Items are put together to about 1 MiB, for all files at once, and written by one call in the thread of the
run. At the clean end all files are synced; then they get their names, one after another.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import anyio

from streamflow.engine.shielding import finish
from streamflow.engine.threads import Worker
from streamflow.errors import LimitExceeded, UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.functions.per_item import check_plain
from streamflow.machinery.variables import A
from streamflow.places.behind import HOLDS, WriteBehind, until_failure
from streamflow.places.blocks import MIB
from streamflow.places.split_files import Batch, SplitFile, SplitFiles
from streamflow.places.split_names import Template, text_of
from streamflow.places.written import Written
from streamflow.stages import Sink

__all__ = ["split"]

_SYNCED = 16  # files that are synced by one call: a cancellation waits for that


def split(
    path: str | os.PathLike[str],
    *,
    size: int | None = None,
    rows: int | None = None,
    key: Callable[[A], str | int] | None = None,
    encode: Callable[[A], bytes] | None = None,
    header: bytes = b"",
    publish: Literal["end", "each"] = "end",
    sync: bool = True,
    overwrite: bool = True,
    open_files: int = 64,
    max_files: int = 10_000,
) -> Sink[A, list[Written]]:
    r"""Write items to many files: a new one every so many bytes or items, or one for each key.

    Example:
        to_line = lambda row: json.dumps(row).encode() + b"\n"
        await sf.pipeline(rows, files.split("out/{}.jsonl", key=lambda row: row["country"], encode=to_line))

    Every file appears under its name only when it is complete, as with `files.write`; by default all of them at the
    clean end, one after another. So a run that fails or is cancelled leaves none. Only a failure, or a kill, between
    the first rename and the last can leave some of them; each of those is complete, and a note on the error names how
    many.

    Args:
        path: a template with one `{}` in its last component, `"out/part-{:05}.csv"` or `"out/orders-{}.csv"`: it
            becomes the number of the file, from 0 on, or its key. The directory must exist.
        size: begin a new file before one would have more bytes than this. Items are never cut, so a single larger one
            makes a larger file.
        rows: begin a new file after so many items; together with `size`, at whichever comes first.
        key: gives the key of an item, a `str` or an `int` (a plain function). Keys are data: one that is empty, has a
            separator, NUL or another control character in it, begins with a dot, makes too long a name or that of a
            device, or whose file is a symbolic link, is a `FormatError` that names it. No key escapes the directory.
        encode: makes the bytes of an item (a plain function); without it the items are bytes.
        header: bytes at the start of each file.
        publish: when the files of `size` and `rows` get their names: all at the `"end"`, or `"each"` when it is
            complete, for a run that has no end; one that fails then leaves the complete ones.
        sync: whether bytes and names are on disk when it returns (fsync).
        overwrite: whether files that are there already are replaced; otherwise the first of them is a
            `FileExistsError`. Files of an earlier run that this one does not write stay as they are.
        open_files: how many may be open at once, and never more than an eighth of what the process may open; further
            ones are closed and opened again as their turns come.
        max_files: how many keys there may be; one more is a `LimitExceeded`.

    The value is a list with a `Written` for each file, in the order in which they were begun; without items it is
    empty.

    Memory: 1 MiB of items being put together and up to 2.5 MiB on the way to the disk, and a few hundred bytes a file.

    Raises `UsageError` for options that cannot mean anything and for items that are not bytes; when it runs, Python's
    own `OSError`s.

    Cancellation: the write under way is waited for, then every part file is removed. A cancellation that arrives during
    the commit waits for it; `CancelledError` then carries a note of how many files are complete.
    """
    name = os.fspath(path)
    _check(size=size, rows=rows, key=key, encode=encode, header=header, publish=publish)
    check_capacity("open_files", open_files)
    check_capacity("max_files", max_files)
    template = Template(name, keyed=key is not None)
    label = f"files.split({name})"
    options = _Options(label, key, encode, bytes(header), size or 0, rows or 0, max_files)

    async def sink(items: AsyncIterable[A]) -> list[Written]:
        files = SplitFiles(open_files, sync=sync, overwrite=overwrite)
        run = _Run(files, _Routes(options, template, files), each=publish == "each")
        try:
            await finish(run.begin())
            await run.fill(items)
            await anyio.lowlevel.checkpoint_if_cancelled()
            await finish(run.commit())
        except BaseException as error:
            await _given_up(run, error)
            raise
        return files.written()

    return Sink(sink, name=label, threads=1, holds=HOLDS + MIB)


def _check(*, size: int | None, rows: int | None, key: object, encode: object, header: object, publish: str) -> None:
    if key is not None and (size is not None or rows is not None):
        raise UsageError("split: key= gives each key one file; size= and rows= have no effect beside it.")
    if key is None and size is None and rows is None:
        raise UsageError("split needs size= in bytes, rows= in items, or key=, a function of an item.")
    for word, limit in (("size", size), ("rows", rows)):
        if limit is not None:
            check_capacity(f"split({word})", limit)
    for word, function in (("key", key), ("encode", encode)):
        if function is not None:
            check_plain(f"split({word})", function)
    if not isinstance(header, (bytes, bytearray, memoryview)):
        raise UsageError(f"split(header) is bytes, not {type(header).__name__} {header!r:.60}.")
    if publish not in ("end", "each"):
        raise UsageError(f"split(publish) is 'end' or 'each', not {publish!r}.")
    if key is not None and publish == "each":
        raise UsageError(
            "split: publish='each' has no effect beside key=: a file of a key is complete at the end only."
        )


@dataclass(frozen=True, slots=True)
class _Options:
    label: str
    key: Callable[[Any], object] | None
    encode: Callable[[Any], bytes] | None
    header: bytes
    size: int
    rows: int
    max_files: int


class _Routes:
    """Which file an item goes to, in one run."""

    def __init__(self, options: _Options, template: Template, files: SplitFiles) -> None:
        self._options = options
        self._template = template
        self._files = files
        self._by_key: dict[str, SplitFile] = {}
        self._current: SplitFile | None = None

    def new_batch(self) -> Batch:
        return Batch(self._options.label)

    def add(self, batch: Batch, item: Any) -> None:
        """Put an item into a batch, for the file it belongs to."""
        options = self._options
        data = item if options.encode is None else options.encode(item)
        if options.key is None:
            file = self._next(batch, memoryview(data).nbytes if isinstance(data, (bytes, bytearray, memoryview)) else 0)
        else:
            key = text_of(options.key(item))  # 1 and "1" are one file
            file = self._by_key.get(key) or self._of_key(batch, key)
        batch.add(file, data)

    def _next(self, batch: Batch, length: int) -> SplitFile:
        file, options = self._current, self._options
        if file is not None and (
            (options.rows and file.items >= options.rows) or (options.size and file.planned + length > options.size)
        ):
            batch.complete.append(file)
            file = None
        if file is None:
            file = self._current = self._new(batch, SplitFile(self._template.numbered(len(self._files.all))))
        return file

    def _of_key(self, batch: Batch, key: str) -> SplitFile:
        path = self._template.keyed(key)
        if len(self._by_key) >= self._options.max_files:
            raise LimitExceeded(
                f"split: the key {key!r:.80} is one more than max_files={self._options.max_files}; "
                f"is it meant that each item has a file of its own?"
            )
        file = self._by_key[key] = SplitFile(path, f", the file of the key {key!r:.80},")
        return self._new(batch, file)

    def _new(self, batch: Batch, file: SplitFile) -> SplitFile:
        self._files.all.append(file)
        batch.add(file, self._options.header)
        file.items = 0
        return file


class _Run:
    """One run: its files, their thread, and its end. What is awaited, but for `fill`, must run inside `finish`."""

    def __init__(self, files: SplitFiles, routes: _Routes, *, each: bool) -> None:
        self.files = files
        self._routes = routes
        self._each = each
        self._at_once = 1 if each else _SYNCED
        self._directory = routes._template.directory  # noqa: SLF001  # a piece of this run
        self._worker = Worker("streamflow-file-split")
        self.ended = False
        self._write = until_failure(self._write_batch)  # or a file could get its name after a gap

    async def begin(self) -> None:
        await self._worker.call(self.files.check_directory, self._directory)

    async def fill(self, items: AsyncIterable[Any]) -> None:
        behind = WriteBehind(self._submit)
        batch = self._routes.new_batch()
        try:
            async for item in items:
                self._routes.add(batch, item)
                if len(batch) >= MIB or len(batch.complete) >= self._at_once:
                    await behind.write(batch)
                    batch = self._routes.new_batch()
                    await anyio.lowlevel.checkpoint_if_cancelled()
            if batch.blocks:
                await behind.write(batch)
            await behind.drain()
        finally:
            behind.stop()

    def _submit(self, batch: Batch) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._worker.executor, self._write, batch)

    def _write_batch(self, batch: Batch) -> None:
        self.files.write(batch)
        if self._each and batch.complete:
            for file in batch.complete:
                self.files.publish(file)
            self.files.sync_names(self._directory)

    async def commit(self) -> None:
        """Sync all, then give all their names. A sync that failed is never tried again: its pages may be gone."""
        for file in self.files.all:
            await self._worker.call(self.files.seal, file)
        for file in self.files.all:
            if not file.committed:
                await self._worker.call(self.files.publish, file)
        await self._worker.call(self.files.sync_names, self._directory)
        self.ended = True
        await self._worker.close()

    async def discard(self) -> None:
        try:
            await self._worker.call(self.files.discard)
        finally:
            await self._worker.close()


async def _given_up(run: _Run, error: BaseException) -> None:
    """Leave no part behind; what goes wrong in that must not hide why it was needed."""
    files = run.files.all
    if not run.ended:
        try:
            await finish(run.discard())
        except OSError as failure:
            error.add_note(f"A part file could not be removed: {failure}")
    # Counted now: the thread may have been putting one in its place while the error came.
    done = sum(file.committed for file in files)
    if done:
        error.add_note(f"{done} of {len(files)} files of the split are complete and in their place.")
