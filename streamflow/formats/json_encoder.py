"""Items to JSON texts: the calls that the formatters make of the libraries.

What lives here: `Encoder`. What must not: what stands between the texts (`json_formatter`).

msgspec writes `null` for NaN and infinity, without a word. They are refused here as by the standard library with
`allow_nan=False`: only where a `null` was written whose meaning is not certain (`json_certainty`) the items are looked
through.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

from streamflow.formats.csv_columns import is_mapping
from streamflow.formats.json_certainty import is_meant
from streamflow.formats.json_library import is_pydantic, loaded_msgspec, msgspec_for
from streamflow.formats.json_plain import dumps

__all__ = ["Encoder"]

_ATOMS = {str, int, bool, type(None), float}

_BASES: dict[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}
"""What makes a plain value of one of a subclass, which msgspec does not know."""


class Encoder:
    """Writes items.

    Args:
        default: makes something known of an item, or a part of one, that is not; as for `json.dumps`.

    `many` and `one` raise `ValueError`, `TypeError`, `OverflowError` or `RecursionError` for what cannot be written,
    and what `default` raises; `raised` tells whether it was that.
    """

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        """Choose the library."""
        self._default = default
        self._raised: Exception | None = None
        self._msgspec = loaded_msgspec()
        self._encoder = None if self._msgspec is None else self._msgspec.json.Encoder(enc_hook=self._hook)

    def many(self, items: list[Any]) -> bytes:
        r"""Return the texts of items, each with `\n` behind it."""
        if self._encoder is None:
            return b"".join([text + b"\n" for text in map(self.one, items)])
        lines: bytes = self._encoder.encode_lines(items)
        if not is_meant(lines, items):
            self._check_finite(items)
            if lines.count(b"\n") != len(items):
                raise ValueError("a msgspec.Raw with a newline in it cannot stand on one line")
        return lines

    def one(self, item: Any) -> bytes:
        """Return the text of one item."""
        if self._encoder is None:
            return dumps(item, self._hook)
        try:
            return self.many([item])[:-1]
        except TypeError as error:
            if self.raised(error):
                raise
        return dumps(item, self._hook)  # it knows some keys of dictionaries that msgspec does not: None, True

    def raised(self, error: BaseException) -> bool:
        """Return whether an error is one that the user's `default` raised."""
        return error is self._raised

    def _hook(self, item: Any) -> Any:
        """Make something that the library knows of something that it does not."""
        for kind, plain in _BASES.items():
            if isinstance(item, kind) and not isinstance(item, bool):
                return plain(item)
        if is_pydantic(type(item)) and hasattr(item, "model_dump"):
            return item.model_dump(mode="json")
        if is_mapping(item):
            return {key: item[key] for key in item.keys()}  # noqa: SIM118  # rows of databases iterate over their values
        if self._default is not None and item is not None:
            return self._by_default(self._default, item)
        if dataclasses.is_dataclass(item) or hasattr(item, "isoformat"):
            msgspec_for(f"JSON of an object of type {type(item).__name__}")
        raise TypeError(f"an object of type {type(item).__name__} is not known to JSON: pass default=")

    def _by_default(self, default: Callable[[Any], Any], item: Any) -> Any:
        try:
            return default(item)
        except Exception as error:
            self._raised = error
            raise

    # --- NaN and infinity ----------------------------------------------------------------------------------------

    def _check_finite(self, items: Iterable[Any]) -> None:
        """Look through items, level by level, for floats that are no JSON."""
        values: list[Any] = list(items)
        while values:
            kinds = set(map(type, values))
            if any(issubclass(kind, float) for kind in kinds):
                bad = next((value for value in values if isinstance(value, float) and not math.isfinite(value)), 0.0)
                if not math.isfinite(bad):
                    raise ValueError(f"{bad} is not JSON: write None or a string")
            values = list(itertools.chain.from_iterable(map(self._parts, values))) if kinds - _ATOMS else []

    def _parts(self, value: Any) -> Iterable[Any]:
        if isinstance(value, dict):
            return value.values()
        if isinstance(value, list | tuple | set | frozenset):
            return value
        if type(value) in _ATOMS or isinstance(value, str | bytes | float | int):
            return ()
        if isinstance(value, self._msgspec.Raw):
            return ()
        return (self._msgspec.to_builtins(value, enc_hook=self._hook, str_keys=True),)
