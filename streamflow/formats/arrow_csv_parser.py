"""CSV bytes to Arrow batches: the codec behind `arrow.parse_csv`.

What lives here: the header, the types of the columns, and the line that an error is on. What must not: where a row ends
(`arrow_csv_blocks`), waiting.

How it works. Each block of whole rows is read by `pyarrow.csv.read_csv` in one call, without threads of its own, and is
one batch. The first block decides the types that were not given; from then on they are fixed, so every batch has the
same schema. pyarrow itself takes data that ends inside quotes for whole, and says of a bad value only which row of the
block it is in; both are put right here: when a block fails, halving it finds the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamflow.errors import FormatError, UsageError
from streamflow.formats.arrow_csv_blocks import Block, Grammar, RowBlocks, newlines
from streamflow.formats.arrow_library import RecordBatch, Schema, data_type, empty_batch, shown
from streamflow.formats.csv_parser import Header, check_names
from streamflow.formats.pieces import BytesLike, bytes_of
from streamflow.limits import check_capacity

__all__ = ["CsvParser", "check_byte"]


class CsvParser:
    """CSV in chunks of any size to Arrow batches. One object serves one run; `arrow.parse_csv` explains the arguments.

    Example: `batches = [*parser.feed(first), *parser.feed(second), *parser.finish()]`.
    """

    def __init__(
        self,
        pa: Any,
        *,
        header: Header = True,
        columns: Sequence[str] | None = None,
        types: Mapping[str, Any] | Schema | None = None,
        infer: bool = True,
        delimiter: str = ",",
        quotechar: str | None = '"',
        block_bytes: int = 1 << 20,
        convert: Mapping[str, Any] | None = None,
    ) -> None:
        """Check the arguments and make it for one run."""
        check_capacity("block_bytes", block_bytes)
        quote = b"" if quotechar is None else check_byte("quotechar", quotechar)
        self._pa = pa
        self._grammar = Grammar(check_byte("delimiter", delimiter), quote)
        self._blocks = RowBlocks(self._grammar, block_bytes)
        self._size = block_bytes
        self._parsing = pa.csv.ParseOptions(
            delimiter=delimiter, quote_char=quotechar or False, newlines_in_values=bool(quotechar)
        )
        self._convert = dict(convert or {})
        self._columns = None if columns is None else list(check_list("columns", columns))
        pairs = zip(types.names, types.types, strict=True) if isinstance(types, pa.Schema) else (types or {}).items()
        self._given = {name: data_type(pa, kind) for name, kind in pairs}
        self._infer = infer
        self._header = header is True
        self._names: list[str] | None = None
        self._schema: Schema = None
        self._types: dict[str, Any] = self._given
        self._options(self._types)  # so that bad ones are refused here and not when the run starts
        if not isinstance(header, bool):
            self._set_names(check_list("header", header))

    def feed(self, data: BytesLike, /) -> Iterator[RecordBatch]:
        """Yield, lazily, a batch for each block that is full now."""
        for block in self._blocks.feed(bytes_of(data, "arrow.parse_csv")):
            yield from self._batches(block)

    def finish(self) -> Iterator[RecordBatch]:
        """Yield the last batch; one without rows if there was a header only. `TruncatedError` as the cutter has it."""
        for block in self._blocks.finish():
            yield from self._batches(block)
        if self._schema is None and self._names is not None:
            kept = self._names if self._columns is None else self._columns
            types = [(name, self._types.get(name, self._pa.string())) for name in kept]
            yield empty_batch(self._pa, self._pa.schema(types))

    # --- the header ----------------------------------------------------------------------------------------------

    def _batches(self, block: Block) -> Iterator[RecordBatch]:
        if self._names is None:
            block = self._without_header(block)
        if block.data[:1] in b"\r\n" and not block.data.strip(b"\r\n"):
            return  # there are no rows
        try:
            batch = self._read_first(block.data) if self._schema is None else self._read(block.data)
        except (self._pa.ArrowException, UnicodeDecodeError) as error:
            yield from self._good_part(block, error)
        else:
            yield batch

    def _without_header(self, block: Block) -> Block:
        """Learn the names from the first row that is not blank; return the rows after it, or all if it is no header."""
        blank = len(block.data) - len(block.data.lstrip(b"\r\n"))
        data, line = block.data[blank:], block.line + newlines(block.data[:blank])
        if not data:
            return Block(b"", line)
        _, end = next(self._grammar.rows(data), (0, len(data)))
        try:
            # pyarrow finds no header in a line without an end.
            names = self._table(data[:end] + b"\n", self._options({}, project=False)).schema.names
        except (self._pa.ArrowException, UnicodeDecodeError) as error:
            raise FormatError(f"line {line}: no UTF-8. Put text.decode(...) and text.encode() before it") from error
        self._set_names(names, f"line {line}: ")
        return Block(data[end:], line + newlines(data[:end])) if self._header else Block(data, line)

    def _set_names(self, names: Sequence[Any], where: str = "") -> None:
        self._names = list(check_names(names, where))
        wanted = [*(self._columns or ()), *self._given]
        unknown = [name for name in wanted if name not in self._names]
        if unknown:
            fault = FormatError if where else UsageError
            raise fault(f"{where}there is no column {shown(unknown)}; there are {shown(self._names)}")
        if not self._infer:
            self._types = {name: self._given.get(name, self._pa.string()) for name in self._names}

    # --- rows ----------------------------------------------------------------------------------------------------

    def _read_first(self, rows: bytes) -> RecordBatch:
        """Read the first rows, and fix the types by them. Columns without a value are taken for strings."""
        batch = self._read(rows)
        vague = {self._pa.null(), self._pa.binary()}
        found = {field.name: field.type for field in batch.schema}
        types = {name: self._pa.string() if kind in vague else kind for name, kind in found.items()}
        self._types = types | self._types
        if any(self._types[name] != kind for name, kind in found.items()):
            batch = self._read(rows)
        self._schema = batch.schema
        return batch

    def _read(self, rows: bytes) -> RecordBatch:
        table = self._table(rows, self._options(self._types))
        batches: list[RecordBatch] = table.combine_chunks().to_batches()
        return batches[0] if batches else empty_batch(self._pa, table.schema)

    def _table(self, rows: bytes, options: Any) -> Any:
        csv = self._pa.csv
        reading = csv.ReadOptions(
            use_threads=False,
            block_size=len(rows) + 1,
            column_names=self._names,
            autogenerate_column_names=self._names is None and not self._header,
        )
        return csv.read_csv(self._pa.BufferReader(rows), reading, self._parsing, options)

    def _options(self, types: Mapping[str, Any], *, project: bool = True) -> Any:
        try:
            return self._pa.csv.ConvertOptions(
                column_types=dict(types),
                include_columns=self._columns if project else None,
                **self._convert,
            )
        except (TypeError, ValueError) as error:
            raise UsageError(f"convert={self._convert!r}: pyarrow.csv.ConvertOptions says {error}") from None

    # --- what is wrong, and where --------------------------------------------------------------------------------

    def _good_part(self, block: Block, error: Exception) -> Iterator[RecordBatch]:
        """Find the first bad row by halving; yield the rows before it and raise the error with its line."""
        ends = [end for begin, end in self._grammar.rows(block.data) if block.data[begin:end].strip(b"\r\n")]
        if not ends or ends[-1] < len(block.data):
            ends.append(len(block.data))
        good, bad = 0, len(ends)
        while bad - good > 1:
            middle = (good + bad) // 2
            fault = self._fault(block.data[: ends[middle - 1]])
            good, bad, error = (middle, bad, error) if fault is None else (good, middle, fault)
        before = block.data[: ends[good - 1]] if good else b""
        if good:
            yield self._read(before) if self._schema is not None else self._read_first(before)
        rest = block.data[len(before) :]
        line = block.line + newlines(before) + newlines(rest[: len(rest) - len(rest.lstrip(b"\r\n"))])
        raise FormatError(f"line {line}: {self._explained(str(error))}") from None

    def _fault(self, rows: bytes) -> Exception | None:
        try:
            self._read(rows)
        except (self._pa.ArrowException, UnicodeDecodeError) as error:
            return error
        return None

    def _explained(self, text: str) -> str:
        if found := re.search(r"Expected (\d+) columns, got (\d+)", text):
            return f"{found[1]} fields expected ({shown(self._names or [])}), {found[2]} found"
        found = re.search(r"In CSV column #(\d+): (?:Row #\d+: )?(?:CSV conversion error )?(.*)", text, re.DOTALL)
        if found is None:
            return text
        kept = self._columns or self._names or []
        name = kept[int(found[1])] if int(found[1]) < len(kept) else found[1]
        advice = "" if name in self._given else f". Its type follows from the first {self._size} bytes; to set it "
        return f"column {name!r}: {found[2]}" + (advice and advice + f"write types={{{name!r}: 'string'}}")


def check_byte(name: str, value: object) -> bytes:
    """Return a character of ASCII as a byte; `UsageError` for anything else."""
    if not isinstance(value, str) or len(value) != 1 or not value.isascii() or value in "\r\n":
        raise UsageError(f"{name} must be one character of ASCII, not {value!r}")
    return value.encode()


def check_list(name: str, names: Any) -> Sequence[str]:
    """Return the names of columns; `UsageError` for what is no list of at least one."""
    if isinstance(names, str | bytes) or not names or not all(isinstance(column, str) for column in names):
        raise UsageError(f"{name}={names!r} must be a list of at least one name")
    return tuple(names)
