"""Arrow: CSV, Arrow's own stream format, Parquet and rows as record batches, many rows at a time.

What lives here: the stages with their options. What must not: the work, which is in `arrow_csv_parser`,
`arrow_csv_writer`, `arrow_ipc`, `arrow_parquet` and `arrow_rows`; pyarrow itself, which only `arrow_library` imports.

An item is a `pyarrow.RecordBatch`; where batches are taken, a `pyarrow.Table` is taken too. Channels weigh them by
their bytes (`nbytes`), so `max_bytes` bounds what is under way. A stage of one's own may use all of pyarrow's compute
functions on a batch: one call for thousands of rows.

Needs the extra `arrow`: without pyarrow every function here raises `MissingExtra` when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, overload

from streamflow.engine.codecs import codec_stage
from streamflow.formats.arrow_csv_parser import CsvParser
from streamflow.formats.arrow_csv_writer import SLICE, CsvWriter
from streamflow.formats.arrow_ipc import IpcReader, IpcWriter
from streamflow.formats.arrow_library import RecordBatch, Schema, pyarrow
from streamflow.formats.arrow_parquet import ParquetReading, ParquetWriter
from streamflow.formats.arrow_rows import FromRows, ToRows
from streamflow.formats.pieces import BytesLike
from streamflow.stages import Stage

__all__ = [
    "format_csv",
    "from_rows",
    "parse_csv",
    "read_ipc",
    "read_parquet",
    "to_rows",
    "write_ipc",
    "write_parquet",
]

THREAD_ABOVE = 64 * 1024


def parse_csv(
    *,
    header: bool | Sequence[str] = True,
    columns: Sequence[str] | None = None,
    types: Mapping[str, Any] | Schema | None = None,
    infer: bool = True,
    delimiter: str = ",",
    quotechar: str | None = '"',
    block_bytes: int = 1 << 20,
    convert: Mapping[str, Any] | None = None,
) -> Stage[BytesLike, RecordBatch]:
    """Turn chunks of CSV bytes into record batches, wherever the chunks are cut.

    Example:
        await sf.pipeline(files.read("orders.csv"), arrow.parse_csv(types={"id": "int64"}), sink)

    The values are those that `pyarrow.csv.read_csv` gives for the whole data, newlines in quotes included. A batch is
    what fits into `block_bytes`; where it ends follows from the data alone. All have the same columns and types. A
    header without rows gives one batch without rows.

    * emits when: a block of rows is full, and at the end.
    * backpressures when: the stage below does; then two blocks are held.
    * completes when: the input ends.
    * on error: the rows before the bad one are delivered, then the error.
    * on early stop: the block in the thread is waited for; rows not delivered are dropped.

    Args:
        header: `True`: the first row that is not blank has the names. A list: these are the names. `False`: they are
            `f0`, `f1` and so on.
        columns: the names of those that are wanted, in that order; the others are not converted, which saves time.
        types: of columns by name: a `pyarrow.DataType` or its name (`"int64"`, `"string"`); or a `pyarrow.Schema`.
        infer: whether the types of other columns follow from the values in the first block (a column without any is
            one of strings). `False`: they are strings.
        delimiter: what separates fields, one character of ASCII.
        quotechar: what stands around fields; `None`: quotes are characters like any other.
        block_bytes: the size of the blocks, and the longest row accepted, in bytes. It keeps a stray quote from
            swallowing the rest of the data.
        convert: further options of `pyarrow.csv.ConvertOptions` (`{"null_values": ["-"], "decimal_point": ","}`).

    The data is UTF-8; a byte order mark is skipped. Put `text.decode("latin-1"), text.encode()` before it for others.
    Escape characters, and other ways of quoting, are for `csv.parse` and `arrow.from_rows`.

    Raises `FormatError` that names the line: a wrong number of fields, a value that is not of its column's type, bytes
    that are not UTF-8, a field that goes on behind its closing quote (pyarrow guesses there), names that are missing
    or twice in the header. `TruncatedError` when the data ends inside quotes (pyarrow takes that for whole).
    `LimitExceeded` for a row that is too long. `UsageError`, at once, for options that mean nothing.

    Cancellation: waits for the block in the thread (some milliseconds); rows not delivered are dropped.
    """
    pa = pyarrow("arrow.parse_csv")

    def make() -> CsvParser:
        return CsvParser(
            pa,
            header=header,
            columns=columns,
            types=types,
            infer=infer,
            delimiter=delimiter,
            quotechar=quotechar,
            block_bytes=block_bytes,
            convert=convert,
        )

    make()  # so that bad options are refused here and not when the run starts
    gather = min(block_bytes, 1 << 20)
    # Always in the thread: in the main one, pyarrow would take over Ctrl-C for the length of each call.
    return codec_stage(make, name="arrow.parse_csv", thread_above=0, gather=gather, holds=3 * block_bytes)


def format_csv(
    *,
    header: bool | Sequence[str] = True,
    delimiter: str = ",",
    lineterminator: str = "\r\n",
    null: str = "",
) -> Stage[RecordBatch, bytes]:
    r"""Turn record batches into blocks of CSV bytes.

    Example:
        await sf.pipeline(batches, arrow.format_csv(), gzip.compress(), files.write("orders.csv.gz"))

    Text is written as `csv.writer` writes it: fields are quoted where they need it, and only there. Numbers, times and
    the like are written as pyarrow casts them to strings (`true`, `1.5`, `2024-05-01 12:00:00`). Formulas are not
    escaped: `csv.format(escape_formulas=True)` does that.

    * emits when: a batch came: about 1 MiB of it at a time.
    * backpressures when: the stage below does; then one batch is held.
    * completes when: the input ends.
    * on error: what came before the bad batch is delivered, then the error.
    * on early stop: the slice in the thread is waited for.

    Args:
        header: `True`: the names of the first batch. A list: these are the names; it is written even if there are no
            batches. `False`: none is written.
        delimiter: what separates fields, one character of ASCII.
        lineterminator: what ends a row, `"\r\n"` or `"\n"`.
        null: what is written for a value that is missing. `""`, the default, cannot be told from empty text.

    Raises `FormatError` that names the batch (the first is 1): its columns or types differ from the first one's, a type
    has no form in CSV (lists, structs), bytes that are not UTF-8. `UsageError`, at once, for options that mean nothing,
    and for items that are no batches.

    Cancellation: waits for the slice in the thread (some milliseconds).
    """
    pa = pyarrow("arrow.format_csv")

    def make() -> CsvWriter:
        return CsvWriter(pa, header=header, delimiter=delimiter, lineterminator=lineterminator, null=null)

    make()
    return codec_stage(make, name="arrow.format_csv", thread_above=THREAD_ABOVE, holds=2 * SLICE)


def read_ipc(*, max_message_bytes: int = 1 << 28, validate: bool = True) -> Stage[BytesLike, RecordBatch]:
    """Turn the bytes of an Arrow stream (IPC) into its record batches.

    Example: `await sf.pipeline(objects.read("s3://bucket/orders.arrows"), arrow.read_ipc(), sink)`.

    * emits when: a batch is complete.
    * backpressures when: the stage below does; then what came of the next message is held.
    * completes when: the input ends behind the stream's mark of its end.
    * on error: the batches before the bad message are delivered, then the error.
    * on early stop: what came of the next batch is dropped.

    Args:
        max_message_bytes: the largest message accepted, in bytes. Compressed batches are larger in memory.
        validate: whether every value of a batch is checked, so that no later call can go astray on damaged data.
            `False` checks the structure only, for data of one's own.

    Raises `TruncatedError` when the data ends before the mark of the end, also between two batches (pyarrow takes that
    for whole), and for no data at all. `FormatError` with the byte offset for anything that is no such stream, or goes
    on behind it. `LimitExceeded` for a message that is too large. `UsageError`, at once, for options that mean nothing.

    Cancellation: waits for the chunk in the thread (about a millisecond).
    """
    pa = pyarrow("arrow.read_ipc")

    def make() -> IpcReader:
        return IpcReader(pa, max_message_bytes=max_message_bytes, validate=validate)

    make()
    return codec_stage(make, name="arrow.read_ipc", thread_above=THREAD_ABOVE, holds=max_message_bytes)


def write_ipc(
    *, schema: Schema | None = None, compression: Literal["lz4", "zstd"] | None = None
) -> Stage[RecordBatch, bytes]:
    """Turn record batches into the bytes of an Arrow stream (IPC).

    Example: `await sf.pipeline(batches, arrow.write_ipc(compression="zstd"), files.write("orders.arrows"))`.

    * emits when: a batch came.
    * backpressures when: the stage below does; then one batch is held.
    * completes when: the input ends; then the mark of the end is written.
    * on error: what came before the bad batch is delivered, then the error; there is no mark of the end.
    * on early stop: nothing more is written.

    Args:
        schema: what every batch must have; `None`: that of the first one. With it, a stream without batches is valid.
        compression: of the batches; `None`, `"lz4"` or `"zstd"`.

    Raises `FormatError` that names the batch (the first is 1) whose schema is another, and when no batch came and no
    schema was given. `UsageError`, at once, for options that mean nothing, and for items that are no batches.

    Cancellation: waits for the batch in the thread. The mark of the end is written only after a clean end, so a stream
    that was cut short can never be mistaken for a whole one.
    """
    pa = pyarrow("arrow.write_ipc")

    def make() -> IpcWriter:
        return IpcWriter(pa, schema=schema, compression=compression)

    make()
    return codec_stage(make, name="arrow.write_ipc", thread_above=THREAD_ABOVE, holds=SLICE)


def write_parquet(
    *,
    schema: Schema | None = None,
    compression: str = "zstd",
    group_rows: int = 128 * 1024,
    group_bytes: int = 64 << 20,
    options: Mapping[str, Any] | None = None,
) -> Stage[RecordBatch, bytes]:
    """Turn record batches into the bytes of a Parquet file.

    Example: `await sf.pipeline(batches, arrow.write_parquet(), objects.write("s3://bucket/orders.parquet"))`.

    * emits when: a row group is full, and at the end.
    * backpressures when: the stage below does; then one row group is held, and one batch.
    * completes when: the input ends; then the footer is written.
    * on error: the row groups before are delivered, then the error; there is no footer.
    * on early stop: nothing more is written.

    Args:
        schema: what every batch must have; `None`: that of the first one. With it, a file without rows is valid.
        compression: `"zstd"`, `"snappy"`, `"gzip"`, `"brotli"`, `"lz4"` or `"none"`.
        group_rows: how many rows a row group has (the last one fewer).
        group_bytes: a row group also ends with the batch that brings it to so many bytes in memory.
        options: further options of `pyarrow.parquet.ParquetWriter` (`{"use_dictionary": False}`).

    Raises as `write_ipc` does. Cancellation: waits for the row group in the thread (some tenths of a second for a large
    one). Without its footer a file cannot be read, so one that was cut short can never be mistaken for a whole one.
    """
    pa = pyarrow("arrow.write_parquet")

    def make() -> ParquetWriter:
        return ParquetWriter(
            pa,
            schema=schema,
            compression=compression,
            group_rows=group_rows,
            group_bytes=group_bytes,
            options=options,
        )

    make()
    return codec_stage(make, name="arrow.write_parquet", thread_above=THREAD_ABOVE, holds=2 * group_bytes)


def read_parquet(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    batch: int = 64 * 1024,
    groups: Sequence[int] | None = None,
) -> Callable[[], Iterator[RecordBatch]]:
    """Read a Parquet file as record batches, one row group after the other: for `sf.threaded`.

    Example: `sf.stream(sf.threaded(arrow.read_parquet("orders.parquet", columns=["id"]), maxsize=2))`.

    Parquet is read from its end, so it needs a local file, and reading blocks: what this returns is a function that
    opens the file, for `sf.threaded` to call in a thread. Objects are copied to a file first.

    Args:
        path: the file.
        columns: the names of those that are wanted; the others are not read.
        batch: the most rows of a batch.
        groups: which row groups, the first is 0; `None`: all.

    Raises, when it runs, Python's own `FileNotFoundError` and other `OSError`s; `FormatError` for what is no whole
    Parquet file (one without its footer was cut) and for a column that is not there; `UsageError` for a group that is
    not there, and at once for options that mean nothing.

    Cancellation: as of `sf.threaded`: the batch under way is waited for, then the file is closed.
    """
    return ParquetReading(pyarrow("arrow.read_parquet"), path, columns=columns, batch=batch, groups=groups)


@overload
def to_rows(rows: Literal["dicts"] = "dicts") -> Stage[RecordBatch, dict[str, Any]]: ...
@overload
def to_rows(rows: Literal["tuples"]) -> Stage[RecordBatch, tuple[Any, ...]]: ...
def to_rows(rows: Literal["dicts", "tuples"] = "dicts") -> Stage[RecordBatch, Any]:
    """Turn record batches into rows.

    Example: `await sf.pipeline(batches, arrow.to_rows(), sf.for_each(save))`.

    Values are Python's own (`int`, `str`, `datetime`, `None`). With `arrow.parse_csv` before it this is the fast way
    from CSV to dictionaries with types.

    * emits when: a batch came: its rows, one after the other.
    * backpressures when: the stage below does; then one batch is held.
    * completes when: the input ends.
    * on error: ends the stream after the rows before it.
    * on early stop: the rows left are dropped.

    Args:
        rows: `"dicts"` or `"tuples"`.

    Raises `FormatError` for dictionaries of columns with the same name, `UsageError`, at once, for other words than
    these. Cancellation: it never waits, so it is never caught in the middle.
    """
    pa = pyarrow("arrow.to_rows")
    ToRows(pa, rows)
    return codec_stage(lambda: ToRows(pa, rows), name="arrow.to_rows")


def from_rows(*, schema: Schema | None = None, batch: int = 8192) -> Stage[Any, RecordBatch]:
    """Collect rows to record batches.

    Example: `await sf.pipeline(rows, arrow.from_rows(), arrow.write_parquet(), files.write("orders.parquet"))`.

    * emits when: `batch` rows have come, and at the end.
    * backpressures when: the stage below does; then the rows of one batch are held.
    * completes when: the input ends.
    * on error: the rows before the bad one are delivered, then the error.
    * on early stop: rows not delivered are dropped.

    Args:
        schema: the names and types of the columns, a `pyarrow.Schema`. `None`: rows are dictionaries, the names are
            those of the first one, and the types follow from the first batch.
        batch: how many rows a batch has (the last one fewer).

    Raises `FormatError` that names the row (the first is 1): other fields than the columns, a value that is not of its
    column's type. `UsageError`, at once, for options that mean nothing. Cancellation: it never waits.
    """
    pa = pyarrow("arrow.from_rows")

    def make() -> FromRows:
        return FromRows(pa, schema=schema, batch=batch)

    make()
    return Stage(name="arrow.from_rows", transform=make, callable=FromRows.take, holds_items=batch)
