"""The face as text: every public name with its signature. `python -m tests.api` writes it to tests/api.txt.

tests/test_face.py compares; so a change of the face is seen in review, and never happens by accident.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import streamflow as sf
from streamflow import web

SNAPSHOT = Path(__file__).parent / "api.txt"


def described() -> str:
    """Return the public names with their signatures, sorted, the same under every version of Python."""
    return "\n".join([*_members("", sf), *_thing("web", web)]) + "\n"


def _members(prefix: str, module: ModuleType) -> Iterator[str]:
    for name in sorted(module.__all__):
        yield from _thing(f"{prefix}{name}", getattr(module, name))


def _thing(path: str, thing: Any) -> Iterator[str]:
    if isinstance(thing, ModuleType):
        yield f"module {path}"
        yield from _members(f"{path}.", thing)
    elif isinstance(thing, type):
        yield from _class(path, thing)
    elif typing.get_origin(thing) is typing.Literal:
        yield f"{path}: {thing}"
    elif callable(thing):
        yield from _function(path, thing)
    else:
        yield f"{path}: {type(thing).__name__}"


def _class(path: str, thing: type) -> Iterator[str]:
    # `asyncio.QueueShutDown` is there from Python 3.13 on; before that something private stands for it.
    names = [base.__name__ for base in _bases(thing) if base is not object]
    yield f"class {path}({', '.join(name for name in names if name != 'QueueShutDown' and name[0] != '_')})"
    if issubclass(thing, BaseException):
        return
    if dataclasses.is_dataclass(thing):
        yield from (f"    {field.name}: {field.type}{_default(field)}" for field in dataclasses.fields(thing))
    for name in sorted(dir(thing)):
        yield from _attribute(thing, name)


def _bases(thing: type) -> Iterator[type]:
    """Yield the bases; the layers a channel is built of are not on the face: the base of the lowest stands for them."""
    for base in thing.__bases__:
        if base.__module__.startswith("streamflow.channel."):
            yield from _bases(base)
        else:
            yield base


def _default(field: dataclasses.Field[Any]) -> str:
    missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return "" if missing else " = ..."


def _attribute(owner: type, name: str) -> Iterator[str]:
    """Describe what streamflow has written: public attributes, and how an object is made, called and iterated."""
    member = inspect.getattr_static(owner, name)
    home = getattr(getattr(member, "fget", member), "__module__", None) or ""
    special = name in {"__init__", "__call__", "__aiter__"} and not (
        name == "__init__" and dataclasses.is_dataclass(owner)
    )
    if not home.startswith("streamflow") or (name.startswith("_") and not special):
        return
    if isinstance(member, property):
        yield f"    {name}: {inspect.signature(typing.cast('Any', member.fget)).return_annotation}"
    elif inspect.isfunction(member):
        yield from (f"    {line}" for line in _function(name, member))


def _function(path: str, function: Callable[..., Any]) -> Iterator[str]:
    kind = "async def" if inspect.iscoroutinefunction(function) else "def"
    yield f"{kind} {path}{_signature(function)}"
    yield from (f"    as {_signature(overload)}" for overload in typing.get_overloads(function))


class _Text:
    """An annotation that prints without quotes."""

    def __init__(self, text: object) -> None:
        self._text = str(text)

    def __repr__(self) -> str:
        return self._text


def _signature(function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    parameters = [_bare(parameter) for parameter in signature.parameters.values() if parameter.name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=_Text(signature.return_annotation)))


def _bare(parameter: inspect.Parameter) -> inspect.Parameter:
    if parameter.default is ...:
        parameter = parameter.replace(default=_Text("..."))
    if parameter.annotation is parameter.empty:
        return parameter
    return parameter.replace(annotation=_Text(parameter.annotation))


if __name__ == "__main__":
    SNAPSHOT.write_text(described(), encoding="utf-8")
    print(f"{SNAPSHOT.name}: {len(described().splitlines())} lines")  # noqa: T201  # the answer to the command
