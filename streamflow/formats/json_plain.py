"""JSON by the standard library, as strict as the standard of JSON itself.

What lives here: `loads` and `dumps` as msgspec has them, for where it is not installed, and for the items that it
leaves. What must not: types, streams.

Stricter than `json.loads`: `NaN` and `Infinity` are no JSON; a number that no float can hold would become infinite;
half of a surrogate pair is no text that could be written again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["dumps", "loads"]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON: write null or a string")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text:.40} is beyond what a float can hold")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def loads(data: bytes) -> Any:
    """Return the value of one JSON text in UTF-8; `ValueError` for what is none."""
    text = data.decode()
    value = _DECODER.decode(text)
    if "\\u" in text and "\\ud" in text.lower():
        _check_surrogates(value)
    return value


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ord(error.object[error.start])
        raise ValueError(f"half of a surrogate pair stands alone: \\u{half:04x}") from None


def dumps(item: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """Return an item as one line of JSON without its end; `ValueError` or `TypeError` for what JSON does not know."""
    text = json.dumps(item, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=default)
    return text.encode()
