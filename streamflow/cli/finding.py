"""From `module:attribute` to the pipelines that it names.

What lives here: importing, and errors that say what is there instead. What must not: running anything.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from streamflow.errors import UsageError
from streamflow.jobs import Job
from streamflow.serving.serve import answer_of, checked, made
from streamflow.serving.service import Runs

__all__ = ["found", "jobs_of"]


def found(target: str) -> Any:
    """Return what `module:attribute` names; the module is looked for in the current directory first.

    Raises `UsageError` where there is no such module or attribute, with what is there. What the module itself raises
    while it is imported is raised as it is.
    """
    module_name, colon, path = target.partition(":")
    if not (module_name and colon and path):
        raise UsageError(
            f"{target!r} names no pipeline. Write module:attribute, as in {module_name or 'shop'}:pipeline."
        )
    if module_name.endswith(".py") or os.sep in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace(os.sep, ".")
        raise UsageError(f"{module_name!r} is a path; name the module: {dotted}:{path}")
    if module_name.startswith("."):
        raise UsageError(f"{module_name!r} is relative; name the module as it is from here: {target.lstrip('.')}")
    thing: Any = _imported(module_name)
    for name in path.split("."):
        thing = _attribute(thing, name, module_name)
    return thing


def _imported(name: str) -> ModuleType:
    here = str(Path.cwd())
    if sys.path[:1] not in ([here], [""]):
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # something that the module imports is missing
        modules = [path.stem if path.parent == Path.cwd() else path.parent.name for path in _files()]
        raise UsageError(f"There is no module {error.name!r} in {here}, nor installed.{_near(name, modules)}") from None


def _files() -> list[Path]:
    return [*Path.cwd().glob("*.py"), *Path.cwd().glob("*/*.py")]


def _attribute(thing: Any, name: str, module: str) -> Any:
    try:
        return getattr(thing, name)
    except AttributeError:
        names = [each for each in vars(thing) if not each.startswith("_")] if hasattr(thing, "__dict__") else []
        jobs = [each for each in names if isinstance(getattr(thing, each), Job)]
        near = _near(name, names) or (f" Its pipelines: {', '.join(sorted(jobs))}." if jobs else "")
        where = f"The module {module!r}" if isinstance(thing, ModuleType) else f"{type(thing).__name__} in {module!r}"
        raise UsageError(f"{where} has no {name!r}.{near}") from None


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, set(names), n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


async def jobs_of(thing: Any) -> list[Runs]:
    """Return what a thing stands for: a pipeline or a supervisor, a list of them, or a function that makes either.

    Raises `UsageError` for anything else, and for an empty list.
    """
    answer = await answer_of(thing)
    if not isinstance(answer, (list, tuple)):
        return [checked(thing, answer)]
    if not answer:
        raise UsageError("There is nothing to run: the list of pipelines is empty.")
    return [await made(each) for each in answer]
