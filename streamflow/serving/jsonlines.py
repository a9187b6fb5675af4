"""A log record as one line of JSON, whatever is in it.

What lives here: `JsonFormatter`. What must not: where records come from and go to (logs.py).

A log that fails hides what it was to tell. So nothing that a record holds makes this raise, whoever gave it: values
without a word in JSON are told by their `str`, those whose `str` fails by their type, what refers to itself ends after
some levels, long texts lose their middle. And the names of the fields stay ours: who searches for `level` finds levels.
"""

from __future__ import annotations

import json
import logging
import math
import re
import traceback
from datetime import UTC, datetime
from itertools import islice
from typing import Any

__all__ = ["JsonFormatter", "safe_message"]

_KNOWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
_OURS = frozenset({"time", "level", "logger", "message", "error", "stack"})

_LONGEST = 16_384  # characters of one text
_TAIL = 4_096  # of them from its end, where a traceback says what it was
_MOST = 256  # entries of one list or mapping
_DEEPEST = 8
_VALUES = 4_096  # values of one record in all
_LARGEST = 1 << 63  # beyond, few readers of JSON keep every digit, and Python refuses to write very long ones

# Line ends to some readers, and halves of surrogate pairs, which no encoding can write.
_AWKWARD = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class JsonFormatter(logging.Formatter):
    """One line of JSON for each record: `time` (UTC), `level`, `logger`, `message`, then what was given as `extra`.

    Example: `handler.setFormatter(JsonFormatter())`

    An exception is an object under `error`: `type`, `message`, `notes`, `traceback`; the stack of `stack_info=True` is
    under `stack`. An extra of one of these names is told as `extra_level` and so on. What JSON has no word for is
    written as its `str`, infinity and NaN as text. A text of more than 16,384 characters loses its middle, a list its
    end after 256 items. It never raises, and never writes a second line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without the newline."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": safe_message(record),
        }
        if record.stack_info:
            line["stack"] = record.stack_info
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _error(record.exc_info[1])
        line = {**line, **{_apart(name): value for name, value in vars(record).items() if name not in _KNOWN}}
        return _AWKWARD.sub(_escaped, json.dumps(_Plain().of(line), ensure_ascii=False))


def safe_message(record: logging.LogRecord) -> str:
    """Return the record's message; where its arguments do not fit into its text, both."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  # of the user's `str`, or the wrong number of arguments
        return f"{_text(record.msg)} {_text(record.args)} ({type(error).__name__} when these were put together)"


def _apart(name: str) -> str:
    return f"extra_{name}" if name in _OURS else name


def _error(error: BaseException) -> dict[str, Any]:
    try:
        told = "".join(traceback.format_exception(error))
    except Exception as failure:  # noqa: BLE001  # a chain of causes without end, a `str` that fails
        told = f"no traceback: {type(failure).__name__}"
    return {
        "type": type(error).__name__,
        "message": _text(error),
        "notes": getattr(error, "__notes__", []),
        "traceback": told,
    }


class _Plain:
    """What a record holds in the words of JSON, and whatever has none as text; a bounded part of it."""

    def __init__(self) -> None:
        self._left = _VALUES

    def of(self, value: object, depth: int = 0) -> Any:
        self._left -= 1
        if isinstance(value, (dict, list, tuple)):
            return self._several(value, depth + 1)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int) and abs(value) < _LARGEST:
            return int(value)
        return float(value) if isinstance(value, float) and math.isfinite(value) else _text(value)

    def _several(self, value: dict[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> Any:
        if depth > _DEEPEST or self._left < 0:
            return f"<{type(value).__name__} with more in it>"
        try:
            if isinstance(value, dict):
                return {_text(key): self.of(each, depth) for key, each in islice(value.items(), _MOST)}
            return [self.of(each, depth) for each in islice(value, _MOST)]
        except Exception as error:  # noqa: BLE001  # a class of the user's that is not what it derives from
            return f"<{type(value).__name__} that raises {type(error).__name__} when it is read>"


def _text(value: object) -> str:
    try:
        text = str.__str__(value) if isinstance(value, str) else str(value)
    except Exception as error:  # noqa: BLE001  # it is the user's
        return f"<{type(value).__name__} whose str() raises {type(error).__name__}>"
    if len(text) <= _LONGEST:
        return text
    left_out = len(text) - _LONGEST
    return f"{text[: _LONGEST - _TAIL]} ... {left_out:,} characters left out ... {text[-_TAIL:]}"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
