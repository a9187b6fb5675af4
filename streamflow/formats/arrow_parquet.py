"""Parquet: the codec behind `arrow.write_parquet`, and the reading behind `arrow.read_parquet`.

What lives here: row groups out of batches, and batches out of row groups. What must not: waiting.

How it works. Writing is a stream: row groups one after the other, and at the end the footer, without which nothing can
read the file, so a cut one is never taken for whole. Reading begins at the footer, so it needs a file and not a stream
of bytes; it blocks, and belongs into a thread (`sf.threaded`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamflow.errors import FormatError, UsageError
from streamflow.formats.arrow_ipc import Outlet
from streamflow.formats.arrow_library import RecordBatch, Schema, batches_of, check_schema, refuse_schema, shown
from streamflow.limits import byte_size, check_capacity

__all__ = ["ParquetReading", "ParquetWriter"]


class ParquetWriter:
    """Batches to the bytes of a Parquet file. One object serves one run; `arrow.write_parquet` explains the arguments.

    Example: `data = b"".join([*writer.feed(batch), *writer.finish()])`.
    """

    def __init__(
        self,
        pa: Any,
        *,
        schema: Schema = None,
        compression: str = "zstd",
        group_rows: int = 128 * 1024,
        group_bytes: int = 64 << 20,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Check the arguments and make it for one run."""
        check_capacity("group_rows", group_rows)
        check_capacity("group_bytes", group_bytes)
        check_schema(pa, schema)
        self._pa = pa
        self._schema = schema
        self._options = {"compression": compression, **(options or {})}
        self._most_rows = group_rows
        self._most_bytes = group_bytes
        self._outlet = Outlet()
        self._writer: Any = None
        self._number = 0
        self._held: list[RecordBatch] = []
        self._rows = 0
        self._bytes = 0
        self._check_options()

    def feed(self, batch: RecordBatch, /) -> Iterator[bytes]:
        """Yield, lazily, the row groups that are full now."""
        for part in batches_of(self._pa, batch, "arrow.write_parquet"):
            self._number += 1
            self._schema = part.schema if self._schema is None else self._schema
            if not part.schema.equals(self._schema):
                refuse_schema(self._number, part.schema, self._schema)
            yield from self._taken(part)

    def finish(self) -> Iterator[bytes]:
        """Yield the last row group and the footer."""
        if self._schema is None:
            raise FormatError("arrow.write_parquet: no batch came, so its columns are not known. Pass schema=")
        yield from self._group()
        self._opened().close()
        yield self._outlet.taken()

    def _taken(self, batch: RecordBatch) -> Iterator[bytes]:
        while batch.num_rows:
            head = batch.slice(0, self._most_rows - self._rows)
            batch = batch.slice(head.num_rows)
            self._held.append(head)
            self._rows += head.num_rows
            self._bytes += byte_size(head) or 0
            if self._rows >= self._most_rows or self._bytes >= self._most_bytes:
                yield from self._group()

    def _group(self) -> Iterator[bytes]:
        if self._held:
            table = self._pa.Table.from_batches(self._held, self._schema)
            self._held, self._rows, self._bytes = [], 0, 0
            self._opened().write_table(table, row_group_size=table.num_rows)
            yield self._outlet.taken()

    def _opened(self) -> Any:
        if self._writer is None:
            self._writer = self._pa.parquet.ParquetWriter(self._outlet, self._schema, **self._options)
        return self._writer

    def _check_options(self) -> None:
        """Try them on a file of no columns, so that bad ones are refused here and not when the run starts."""
        try:
            self._pa.parquet.ParquetWriter(Outlet(), self._pa.schema([]), **self._options).close()
        except (TypeError, ValueError, self._pa.ArrowException) as error:
            raise UsageError(f"arrow.write_parquet: {error}") from None


class ParquetReading:
    """A Parquet file to batches: call it and iterate, in a thread. `arrow.read_parquet` explains the arguments."""

    def __init__(
        self,
        pa: Any,
        path: str | os.PathLike[str],
        *,
        columns: Sequence[str] | None = None,
        batch: int = 64 * 1024,
        groups: Sequence[int] | None = None,
    ) -> None:
        """Check the arguments; the file is opened when it is called and iterated."""
        check_capacity("batch", batch)
        if isinstance(columns, str | bytes):
            raise UsageError(f"columns={columns!r} must be a list of names")
        self._pa = pa
        self._path = os.fspath(path)
        self._columns = None if columns is None else list(columns)
        self._batch = batch
        self._groups = None if groups is None else list(groups)
        self.__name__ = f"arrow.read_parquet({self._path})"

    def __call__(self) -> Iterator[RecordBatch]:
        """Yield the batches; what is read at once is one batch of the columns wanted."""
        with self._opened() as file:
            names = file.schema_arrow.names
            unknown = [name for name in self._columns or () if name not in names]
            if unknown:
                raise FormatError(f"{self._path}: there is no column {shown(unknown)}; there are {shown(names)}")
            groups = range(file.num_row_groups) if self._groups is None else self._groups
            if any(group not in range(file.num_row_groups) for group in groups):
                raise UsageError(f"{self._path}: groups={self._groups} but there are {file.num_row_groups}")
            try:
                yield from file.iter_batches(self._batch, row_groups=list(groups), columns=self._columns)
            except (self._pa.ArrowException, OSError) as error:
                raise FormatError(f"{self._path}: the Parquet file is damaged: {error}") from error

    def _opened(self) -> Any:
        try:
            return self._pa.parquet.ParquetFile(self._path, pre_buffer=False)
        except self._pa.ArrowInvalid as error:
            raise FormatError(f"{self._path} is no whole Parquet file: {error}") from None
