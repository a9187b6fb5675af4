"""Rows of text to records: objects of a type that the user wrote, each value checked and converted.

What lives here: `Records`, one converter for every format whose rows are dictionaries of strings (CSV). What must not:
where the rows come from, their line numbers.

How it works. The library of the type does it: pydantic for its models, msgspec for all others, which converts text as
strictly as JSON (`12`, `1.5`, `true`, `2024-05-01`), a whole batch in one call. Only if that call fails are its rows
converted one by one.

An empty field is how a table says that there is nothing. In a column whose type allows `None`, but no text, it is
`None`.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

from streamflow.errors import UsageError
from streamflow.formats.json_library import adapter_of, is_pydantic, msgspec_for, refuse_type

__all__ = ["Records", "RefusedRow"]

_PATH = re.compile(r"(?P<reason>.*) - at `\$(?:\.(?P<name>[^`]+)|\[(?P<index>\d+)\])`\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`\Z", re.DOTALL)
_NO_TEXT = re.compile(r"Expected (?P<kind>`.*`), got `str`\Z")

Row = dict[str, Any]


class RefusedRow(NamedTuple):
    """A row of which no record can be made: which of them it is (0 is the first), and why, naming the column."""

    at: int
    row: Row
    reason: str


class _Column(NamedTuple):
    name: str
    kind: Any
    required: bool


class Records:
    """Makes records of one type of rows.

    Example: `[orders] = Records(Order, "csv.parse(rows=Order)").items([{"id": "1", "price": "9.5"}])`.

    Args:
        kind: a dataclass, a `TypedDict`, a `NamedTuple`, a `msgspec.Struct`, a pydantic model or dataclass.
        who: the stage, for errors.

    Raises `UsageError` for what is none of these; `MissingExtra` where msgspec is needed and not installed.
    """

    def __init__(self, kind: Any, who: str) -> None:
        """Choose the library and look at the type's columns."""
        if not _is_record(kind):
            raise UsageError(
                f"{who}: {kind!r:.80} is no type of rows. Write a dataclass, a TypedDict, a NamedTuple, a "
                f"msgspec.Struct or a pydantic model"
            )
        self._order: tuple[str, ...] = ()
        if is_pydantic(kind):
            self._many: Callable[[list[Any]], list[Any]] = adapter_of(list[kind], who).validate_python
            columns = list(_pydantic_columns(kind))
        else:
            self._many = _converter(kind, who)
            columns = list(_columns(kind, msgspec_for(who)))
            self._order = kind._fields if _is_named_tuple(kind) else ()
        self._required = tuple(column.name for column in columns if column.required)
        self._blank = tuple(column.name for column in columns if _is_none_for_empty(column.kind))
        self._defaults: dict[str, Any] = getattr(kind, "_field_defaults", {}) if self._order else {}

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return the columns that the type needs and a header does not have."""
        return [name for name in self._required if name not in names]

    def items(self, rows: list[Row]) -> Iterator[list[Any] | RefusedRow]:
        """Return the records of rows in order, in lists, with each row that is refused in its place among them.

        An error of the user's own code (a validator, `__post_init__`) that is no `ValueError` comes as it is, after the
        records before it.
        """
        prepared = self._prepared(rows)
        try:
            good = self._many(prepared)
        except Exception:  # noqa: BLE001  # whatever it was happens again below, where the row is known
            yield from self._singly(rows, prepared)
        else:
            yield good

    def _singly(self, rows: list[Row], prepared: list[Any]) -> Iterator[list[Any] | RefusedRow]:
        good: list[Any] = []
        for at, row in enumerate(prepared):
            try:
                good += self._many([row])
            except ValueError as error:
                refused = RefusedRow(at, rows[at], self._reason(error, rows[at]))
            except Exception:
                yield good
                raise
            else:
                continue
            yield good
            yield refused
            good = []
        yield good

    def _prepared(self, rows: list[Row]) -> list[Any]:
        """Return the rows as the library takes them; with `None` for empty fields that mean it."""
        for name in self._blank:
            if any(row.get(name) == "" for row in rows):
                rows = [row | {name: None} if row.get(name) == "" else row for row in rows]
        if not self._order:
            return rows
        defaults = self._defaults
        return [[row[name] if name in row else defaults.get(name) for name in self._order] for row in rows]

    def _reason(self, error: ValueError, row: Row) -> str:
        column, reason = self._said(error)
        if not column:
            return reason
        no_text = _NO_TEXT.match(reason)
        value = row.get(column)
        if no_text is not None and isinstance(value, str):
            reason = f"{value!r:.60} is no {no_text['kind']}"
        return f"column {column!r}: {reason}"

    def _said(self, error: ValueError) -> tuple[str, str]:
        """Return the column an error is about, or an empty text, and what it says."""
        if callable(errors := getattr(error, "errors", None)):
            first: dict[str, Any] = errors()[0]
            return ".".join(map(str, first["loc"][1:])), str(first["msg"])
        said = str(error).replace(" - at `$[0]`", "").replace("`$[0]", "`$")  # the row stands in a list of one
        if missing := _MISSING.match(said):
            return missing["name"], "it is missing"
        found = _PATH.match(said)
        if found is None:
            return "", said
        name = found["name"] or self._order[int(found["index"])]
        return name, found["reason"]


def _converter(kind: Any, who: str) -> Callable[[list[Any]], list[Any]]:
    msgspec = msgspec_for(who)
    try:
        msgspec.json.Decoder(list[kind])  # refuses a type that it does not know
    except (TypeError, NameError) as error:
        raise refuse_type(kind, who, error) from error
    return partial(msgspec.convert, type=list[kind], strict=False)


# --- what the type says about its columns ------------------------------------------------------------------------


def _is_record(kind: Any) -> bool:
    if is_typeddict(get_origin(kind) or kind):
        return True
    cls = get_origin(kind) or kind
    if not isinstance(cls, type):
        return False
    known = dataclasses.is_dataclass(cls) or _is_named_tuple(cls) or hasattr(cls, "__struct_fields__")
    return known or is_pydantic(cls)


def _is_named_tuple(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def _columns(kind: Any, msgspec: Any) -> Iterator[_Column]:
    cls = get_origin(kind) or kind
    if hasattr(cls, "__struct_fields__"):
        for field in msgspec.structs.fields(kind):
            yield _Column(field.encode_name, field.type, field.required)
        return
    marks = get_type_hints(cls, include_extras=True)
    for name, hint in get_type_hints(cls).items():
        yield _Column(name, hint, _is_required(cls, name, get_origin(marks[name])))


def _is_required(cls: Any, name: str, mark: Any) -> bool:
    if is_typeddict(cls):
        # Where annotations are texts, `__required_keys__` does not know of the marks in them.
        return mark is Required or (mark is not NotRequired and name in cls.__required_keys__)
    if _is_named_tuple(cls):
        return name not in cls._field_defaults
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    field = fields.get(name)
    return field is not None and field.default is field.default_factory is dataclasses.MISSING


def _pydantic_columns(kind: Any) -> Iterator[_Column]:
    fields = getattr(kind, "model_fields", None) or getattr(kind, "__pydantic_fields__", {})
    for name, field in fields.items():
        alias = field.validation_alias or field.alias or name
        # With several names for one field only pydantic can say whether a header has it.
        plain = alias == name
        yield _Column(alias if isinstance(alias, str) else name, field.annotation, plain and field.is_required())


def _is_none_for_empty(kind: Any) -> bool:
    """Return whether a type allows `None` and no text."""
    if get_origin(kind) not in (Union, types.UnionType):
        return False
    parts = get_args(kind)
    return type(None) in parts and not any(part in (str, Any, object) for part in parts)
