"""Which library reads and writes JSON: msgspec where the extra `json` is installed, else the standard library.

What lives here: that choice, the one place that imports msgspec and pydantic, and which types need which of them. What
must not: formats.

Without types both give the same values and refuse the same text, msgspec about eight times as fast. Typed items need
msgspec, or pydantic where they are its models. Both are imported when a stage is made, never by `import streamflow`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from streamflow.errors import MissingExtra, UsageError

__all__ = ["adapter_of", "is_plain", "is_pydantic", "loaded_msgspec", "msgspec_for", "refuse_type"]


@cache
def _installed() -> Any:
    return importlib.import_module("msgspec") if importlib.util.find_spec("msgspec") else None


def loaded_msgspec() -> Any:
    """Return msgspec, or `None` where it is not installed."""
    return _installed()


def msgspec_for(who: str) -> Any:
    """Return msgspec; `MissingExtra` where it is not installed, saying who needs it."""
    library = loaded_msgspec()
    if library is None:
        raise MissingExtra(f'{who} needs msgspec: pip install -e ".[json]"')
    return library


def is_plain(kind: Any) -> bool:
    """Return whether a type says nothing: items are what JSON knows, as `json.loads` gives them."""
    return kind is Any or kind is object


def is_pydantic(kind: Any) -> bool:
    """Return whether pydantic has to read this type: a model or dataclass of its own, or something made of one."""
    return any(hasattr(part, "__pydantic_validator__") for part in _parts(kind))


def adapter_of(kind: Any, who: str) -> Any:
    """Return pydantic's `TypeAdapter` for a type; `UsageError` for a type that it cannot read."""
    pydantic = importlib.import_module("pydantic")  # it is there: the type is made with it
    try:
        return pydantic.TypeAdapter(kind)
    except (pydantic.PydanticUserError, TypeError) as error:
        raise refuse_type(kind, who, error) from error


def refuse_type(kind: Any, who: str, error: Exception) -> UsageError:
    """Return the error for a type that the libraries cannot make items of."""
    return UsageError(
        f"{who} cannot make items of {kind!r:.80}: {str(error).partition(chr(10))[0]}. "
        f"Write a dataclass, a TypedDict, a NamedTuple, a msgspec.Struct or a pydantic model"
    )


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind):
        yield from _parts(part)
