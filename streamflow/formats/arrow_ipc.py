"""Arrow's own stream format, in and out: the codecs behind `arrow.read_ipc` and `arrow.write_ipc`.

What lives here: where a message ends, and how the end of the stream is told from a cut. What must not: waiting.

How it works. A stream is a message with the schema, messages with dictionaries and batches, and a mark for the end.
Each message says how long it is: 8 bytes (a mark and the length of the metadata), the metadata (a flatbuffer, in which
one number is the length of the body), the body. So the reader collects messages, and gives them to pyarrow's reader
when a batch is complete. pyarrow takes a stream that is cut between two messages for whole; here only the end mark ends
it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats.arrow_library import RecordBatch, Schema, batches_of, check_schema, refuse_schema
from streamflow.formats.pieces import BytesLike, bytes_of
from streamflow.limits import check_capacity

__all__ = ["IpcReader", "IpcWriter", "Outlet"]

CONTINUES = b"\xff\xff\xff\xff"
PREFIX = 8
SCHEMA, DICTIONARY, BATCH = 1, 2, 3
MOST_METADATA = 1 << 24


class IpcReader:
    """Bytes of a stream to batches. One object serves one run; `arrow.read_ipc` explains the arguments.

    Example: `batches = [*reader.feed(first), *reader.feed(second), *reader.finish()]`.
    """

    def __init__(self, pa: Any, *, max_message_bytes: int = 1 << 28, validate: bool = True) -> None:
        """Check the arguments and make it for one run."""
        check_capacity("max_message_bytes", max_message_bytes)
        self._pa = pa
        self._most = max_message_bytes
        self._validate = validate
        self._held: list[bytes] = []
        self._size = 0
        self._wanted = PREFIX
        self._offset = 0
        self._inlet = _Inlet()
        self._reader: Any = None
        self._ended = False

    def feed(self, data: BytesLike, /) -> Iterator[RecordBatch]:
        """Yield, lazily, the batches that are complete by now."""
        given = bytes_of(data, "arrow.read_ipc")
        self._held.append(given)
        self._size += len(given)
        if self._size >= self._wanted:
            yield from self._messages()
        if self._ended and self._size:
            raise FormatError(f"byte {self._offset}: data goes on behind the end of the Arrow stream")

    def _messages(self) -> Iterator[RecordBatch]:
        held, at = b"".join(self._held), 0
        while len(held) - at >= self._wanted and not self._ended:
            self._wanted = self._message_length(held, at)
            if self._wanted <= len(held) - at:
                yield from self._message(held[at : at + self._wanted])
                at, self._offset, self._wanted = at + self._wanted, self._offset + self._wanted, PREFIX
        self._held, self._size = [held[at:]], len(held) - at

    def finish(self) -> Iterator[RecordBatch]:
        """Raise `TruncatedError` unless the stream has ended."""
        if not self._ended:
            raise TruncatedError(
                f"the Arrow stream is cut: {self._offset + self._size} bytes came, and no mark of its end"
            )
        return iter(())

    def _message_length(self, held: bytes, at: int) -> int:
        """Return how long the message at `at` is, as far as can be seen by now."""
        if held[at : at + 4] != CONTINUES:
            raise FormatError(f"byte {self._offset}: no message of an Arrow stream. (An Arrow file is something else.)")
        (metadata,) = struct.unpack_from("<i", held, at + 4)
        if not 0 <= metadata <= MOST_METADATA:
            raise FormatError(f"byte {self._offset}: metadata of {metadata} bytes cannot be")
        length = PREFIX + int(metadata)
        if not metadata or len(held) - at < length:
            return length
        body = self._body_length(held[at + PREFIX : at + length])
        if body > self._most:
            raise LimitExceeded(
                f"byte {self._offset}: a message of {body} bytes is more than max_message_bytes={self._most}"
            )
        return length + body

    def _message(self, message: bytes) -> Iterator[RecordBatch]:
        if len(message) == PREFIX:
            self._ended = True
            return
        kind = message_kind(message[PREFIX:])
        if (kind == SCHEMA) is not (self._reader is None and not self._inlet.held):
            raise FormatError(f"byte {self._offset}: the schema must be the first message, and only that")
        self._inlet.held.append(message)
        if kind != DICTIONARY:
            batch = self._read(opening=kind == SCHEMA)
            if batch is not None:
                yield batch

    def _read(self, *, opening: bool) -> RecordBatch | None:
        try:
            if opening:
                self._reader = self._pa.ipc.open_stream(self._pa.PythonFile(self._inlet, mode="r"))
                return None
            batch: RecordBatch = self._reader.read_next_batch()
            batch.validate(full=self._validate)
        except (self._pa.ArrowException, OSError, StopIteration) as error:
            raise FormatError(f"byte {self._offset}: this message of the Arrow stream is damaged: {error}") from None
        return batch

    def _body_length(self, metadata: bytes) -> int:
        try:
            length = message_field(metadata, 3, "<q")
        except struct.error:
            length = -1
        if length < 0:
            raise FormatError(f"byte {self._offset}: the metadata of this message is damaged")
        return length


class IpcWriter:
    """Batches to the bytes of a stream. One object serves one run; `arrow.write_ipc` explains the arguments.

    Example: `data = b"".join([*writer.feed(batch), *writer.finish()])`.
    """

    def __init__(self, pa: Any, *, schema: Schema = None, compression: str | None = None) -> None:
        """Check the arguments and make it for one run."""
        check_schema(pa, schema)
        self._pa = pa
        self._schema = schema
        try:
            self._options = pa.ipc.IpcWriteOptions(compression=compression)
        except (TypeError, ValueError) as error:
            raise UsageError(f"compression={compression!r} is neither 'lz4' nor 'zstd' nor None") from error
        self._outlet = Outlet()
        self._writer: Any = None
        self._number = 0

    def feed(self, batch: RecordBatch, /) -> Iterator[bytes]:
        """Yield the bytes of a batch (or a table), the schema before the first."""
        for part in batches_of(self._pa, batch, "arrow.write_ipc"):
            self._number += 1
            writer = self._opened(part.schema)
            if not part.schema.equals(self._schema):
                refuse_schema(self._number, part.schema, self._schema)
            writer.write_batch(part)
            yield self._outlet.taken()

    def finish(self) -> Iterator[bytes]:
        """Yield the mark of the end."""
        if self._schema is None:
            raise FormatError("arrow.write_ipc: no batch came, so its columns are not known. Pass schema=")
        self._opened(self._schema).close()
        yield self._outlet.taken()

    def _opened(self, schema: Schema) -> Any:
        if self._writer is None:
            self._schema = schema if self._schema is None else self._schema
            self._writer = self._pa.ipc.new_stream(self._outlet, self._schema, options=self._options)
        return self._writer


class Outlet:
    """The file that pyarrow writes to: it keeps the bytes until they are taken."""

    closed = False

    def __init__(self) -> None:
        """Make it."""
        self._held: list[bytes] = []

    def write(self, data: Any) -> int:
        """Keep a copy of the bytes."""
        self._held.append(bytes(data))
        return len(self._held[-1])

    def flush(self) -> None:
        """Do nothing: what is written is there."""

    def close(self) -> None:
        """Do nothing: what is written is taken by the codec."""

    def writable(self) -> bool:
        """Tell pyarrow what it is for."""
        return True

    def readable(self) -> bool:
        """Tell pyarrow what it is not for."""
        return False

    def seekable(self) -> bool:
        """Tell pyarrow that it only goes on."""
        return False

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        data = b"".join(self._held)
        self._held = []
        return data


class _Inlet:
    """The file that pyarrow reads from: the messages that are complete."""

    closed = False

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return as much as was asked for, less only at the end of the last message."""
        parts: list[bytes] = []
        while size and self.held:
            part = self.held[0][self._at : self._at + size]
            parts.append(part)
            size -= len(part)
            self._at += len(part)
            if self._at == len(self.held[0]):
                del self.held[0]
                self._at = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Do nothing: it holds nothing open."""

    def readable(self) -> bool:
        """Tell pyarrow what it is for."""
        return True

    def seekable(self) -> bool:
        """Tell pyarrow that it only goes on."""
        return False


def message_kind(metadata: bytes) -> int:
    """Return what kind of message it is; 0 for what cannot be read."""
    try:
        return message_field(metadata, 1, "<B")
    except struct.error:
        return 0


def message_field(metadata: bytes, number: int, kind: str) -> int:
    """Return one number of a message's metadata: the table's own list says where it stands; 0 where it is left out."""
    (table,) = struct.unpack_from("<I", metadata)
    (back,) = struct.unpack_from("<i", metadata, table)
    if back > table:
        raise struct.error
    (size,) = struct.unpack_from("<H", metadata, table - back)
    entry = 4 + 2 * number
    (at,) = struct.unpack_from("<H", metadata, table - back + entry) if entry < size else (0,)
    return int(struct.unpack_from(kind, metadata, table + at)[0]) if at else 0
