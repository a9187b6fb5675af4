"""Arrow batches to CSV bytes: the codec behind `arrow.format_csv`.

What lives here: `CsvWriter`. What must not: waiting.

How it works. Every column becomes strings by pyarrow's cast, fields that need quotes get them, and one kernel joins the
columns: the text of the rows is then the memory of its result. pyarrow's own writer is twice as fast, but puts every
string in quotes, which costs gzip behind it three times what it saves. A column is looked at for fields that need
quotes only if one of the four special characters is in its memory at all.

A batch is written in slices of about 1 MiB, as they are taken, so that a large one is not there twice.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from streamflow.errors import FormatError, UsageError
from streamflow.formats.arrow_csv_parser import check_byte, check_list
from streamflow.formats.arrow_library import RecordBatch, Schema, batches_of, refuse_schema
from streamflow.limits import byte_size

__all__ = ["SLICE", "CsvWriter"]

SLICE = 1 << 20
"""How many bytes of a batch are written at once, about."""

SAMPLE = 512
"""How many values of a column are looked at to see whether they repeat."""


class CsvWriter:
    """Arrow batches to CSV bytes. One object serves one run; `arrow.format_csv` explains the arguments.

    Example: `data = b"".join([*writer.feed(batch), *writer.finish()])`.
    """

    def __init__(
        self,
        pa: Any,
        *,
        header: bool | Sequence[str] = True,
        delimiter: str = ",",
        lineterminator: str = "\r\n",
        null: str = "",
    ) -> None:
        """Check the arguments and make it for one run."""
        check_byte("delimiter", delimiter)
        if lineterminator not in ("\r\n", "\n"):
            raise UsageError(f"lineterminator={lineterminator!r} is neither '\\r\\n' nor '\\n'")
        if any(special in null for special in (delimiter, '"', "\r", "\n")):
            raise UsageError(f"null={null!r} would need quotes, and then it could not be told from text")
        self._pa = pa
        self._compute = pa.compute
        self._header = header is not False
        self._names = None if isinstance(header, bool) else list(check_list("header", header))
        self._delimiter = delimiter
        self._terminator = lineterminator
        self._null = null
        self._specials = [delimiter, '"', "\n", "\r"]
        self._schema: Schema = None
        self._number = 0

    def feed(self, batch: RecordBatch, /) -> Iterator[bytes]:
        """Yield, lazily, the rows of a batch (or a table) as bytes; the header before the first."""
        for part in batches_of(self._pa, batch, "arrow.format_csv"):
            self._number += 1
            if self._schema is None:
                self._begin(part.schema)
                yield from self._head()
            elif not part.schema.equals(self._schema):
                refuse_schema(self._number, part.schema, self._schema)
            yield from self._rows(part)

    def finish(self) -> Iterator[bytes]:
        """Yield the header if there was no batch and its names were given."""
        if self._schema is None:
            yield from self._head()

    def _begin(self, schema: Schema) -> None:
        """Learn the columns from the first batch; refuse types that CSV cannot hold."""
        self._names = self._names or list(schema.names)
        if len(self._names) != len(schema):
            raise FormatError(f"the batches have {len(schema)} columns, but the header has {len(self._names)}")
        types = self._pa.types
        for field in schema:
            nested = types.is_nested(field.type)
            if nested or types.is_union(field.type):
                raise FormatError(
                    f"column {field.name!r} is of type {field.type}, which has no form in CSV. "
                    f"Make it text in a map() before, or leave it out: batch.drop_columns([{field.name!r}])"
                )
        self._schema = schema

    def _head(self) -> Iterator[bytes]:
        if self._header and self._names is not None:
            line = io.StringIO(newline="")
            csv.writer(line, delimiter=self._delimiter, lineterminator=self._terminator).writerow(self._names)
            yield line.getvalue().encode()

    def _rows(self, batch: RecordBatch) -> Iterator[bytes]:
        """Yield the rows in slices."""
        if not batch.num_columns:
            return
        step = max(1, batch.num_rows * SLICE // max(1, byte_size(batch) or 0))
        for at in range(0, batch.num_rows, step):
            yield self._text(batch.slice(at, step))

    def _text(self, batch: RecordBatch) -> bytes:
        columns = [self._fields(column, name) for column, name in zip(batch.columns, batch.schema.names, strict=True)]
        if len(columns) == 1:
            # A blank line would be no row for most readers.
            empty = self._compute.equal(columns[0], "")
            columns = [self._compute.if_else(empty, '""', columns[0])]
        columns[-1] = self._joined(columns[-1], self._terminator, between="")
        return memory_of(self._joined(*columns, between=self._delimiter))

    def _joined(self, *columns: Any, between: str) -> Any:
        return self._compute.binary_join_element_wise(*columns, between)

    def _fields(self, column: Any, name: str) -> Any:
        """Return a column as its fields in CSV."""
        types = self._pa.types
        plain = types.is_primitive(column.type) and not types.is_dictionary(column.type)
        try:
            strings = column.cast(self._pa.string())
        except self._pa.ArrowException as error:
            raise FormatError(f"batch {self._number}, column {name!r}: {error}") from None
        fields = strings if plain and self._delimiter == "," else self._quoted(strings)
        return fields.fill_null(self._null) if column.null_count else fields

    def _quoted(self, column: Any) -> Any:
        """Put quotes around the fields that need them. Where values repeat, each different one is looked at once."""
        memory = memory_of(column)
        special = [character for character in self._specials if character.encode() in memory]
        if not special:
            return column
        if 2 * len(column[:SAMPLE].unique()) > min(SAMPLE, len(column)):
            return self._with_quotes(column, special)
        coded = column.dictionary_encode()
        return self._with_quotes(coded.dictionary, special).take(coded.indices)

    def _with_quotes(self, column: Any, special: list[str]) -> Any:
        compute = self._compute
        needs = compute.match_substring(column, special[0])
        for character in special[1:]:
            needs = compute.or_(needs, compute.match_substring(column, character))
        needs = needs.fill_null(False)  # noqa: FBT003  # pyarrow's signature
        fields = column.filter(needs)
        if '"' in special:
            fields = compute.replace_substring(fields, '"', '""')
        return compute.replace_with_mask(column, needs, self._joined('"', fields, '"', between=""))


def memory_of(column: Any) -> bytes:
    """Return the bytes of a column of strings, one string behind the other."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return b""
    ends = memoryview(offsets).cast("i")
    return bytes(memoryview(data)[ends[column.offset] : ends[column.offset + len(column)]])
