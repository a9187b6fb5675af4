"""pyarrow, where it is installed, and the items that the Arrow stages take.

What lives here: the one place that imports it, the error where it is missing, and its batches as the stages see them.
What must not: any format.

It is imported when a stage is made, never by `import streamflow`: that alone would cost more than the whole rest.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

from streamflow.errors import FormatError, MissingExtra, UsageError

__all__ = ["RecordBatch", "Schema", "batches_of", "check_schema", "data_type", "pyarrow", "refuse_schema"]

RecordBatch: TypeAlias = Any
"""A `pyarrow.RecordBatch`. (pyarrow comes without type hints, so a checker cannot know more.)"""

Schema: TypeAlias = Any
"""A `pyarrow.Schema`."""

MODULES = ("compute", "csv", "ipc", "parquet")


def pyarrow(who: str) -> Any:
    """Return the package with all the modules that the stages need; `MissingExtra` where it is not installed."""
    try:
        package = importlib.import_module("pyarrow")
        for module in MODULES:
            importlib.import_module(f"pyarrow.{module}")
    except ImportError as error:
        raise MissingExtra(f'{who} needs pyarrow: pip install -e ".[arrow]"') from error
    return package


def batches_of(pa: Any, item: Any, who: str) -> Sequence[RecordBatch]:
    """Return the batches of an item: a `RecordBatch`, or a `Table`, which some kernels give; refuse anything else."""
    if isinstance(item, pa.RecordBatch):
        return (item,)
    if isinstance(item, pa.Table):
        batches: list[RecordBatch] = item.to_batches()
        return batches or [empty_batch(pa, item.schema)]
    hint = " Put arrow.from_rows() before it." if isinstance(item, dict | list | tuple) else ""
    raise UsageError(f"{who} takes items of pyarrow.RecordBatch, not {type(item).__name__}.{hint}")


def empty_batch(pa: Any, schema: Schema) -> RecordBatch:
    """Return a batch without rows, which says what the columns are."""
    return pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)


def data_type(pa: Any, kind: Any) -> Any:
    """Return the `pyarrow.DataType` that `kind` is or names (`"int64"`); `UsageError` for what is none."""
    try:
        return kind if isinstance(kind, pa.DataType) else pa.type_for_alias(kind)
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"{kind!r} is no type of Arrow: write pyarrow.int64() or 'int64'") from error


def check_schema(pa: Any, schema: object) -> None:
    """Refuse a `schema=` that is none."""
    if schema is not None and not isinstance(schema, pa.Schema):
        raise UsageError(f"schema={schema!r} is no pyarrow.Schema: write pyarrow.schema([('id', pyarrow.int64())])")


def refuse_schema(number: int, found: Schema, wanted: Schema) -> NoReturn:
    """Raise the `FormatError` that says where the schema of a batch differs from what it must be."""
    if found.names != wanted.names:
        raise FormatError(f"batch {number}: it has the columns {shown(found.names)}, not {shown(wanted.names)}")
    pairs = zip(found, wanted, strict=True)
    new, old = next((pair for pair in pairs if not pair[0].equals(pair[1])), (found, wanted))
    raise FormatError(f"batch {number}: its schema differs from the one before: {_plain(new)} and not {_plain(old)}")


def _plain(field: Any) -> str:
    return str(field).removeprefix("pyarrow.Field<").removesuffix(">")


def shown(names: Sequence[str], most: int = 12) -> str:
    """Return the names for an error, not too many."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
