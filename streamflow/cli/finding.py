"""From `module:attribute` to the pipelines that it names.

What lives here: importing, and errors that say what is there instead. What must not: running anything.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from streamflow.errors import UsageError
from streamflow.jobs import Job
from streamflow.serving.serve import answer_of, checked, made
from streamflow.serving.service import Runs
from streamflow.serving.supervisor import Supervisor

__all__ = ["found", "jobs_of"]


def found(target: str) -> Any:
    """Return what `module:attribute` names; the module is looked for in the current directory first.

    Raises `UsageError` where there is no such module or attribute, with what is there. What the module itself raises
    while it is imported is raised as it is.
    """
    module_name, colon, path = target.partition(":")
    if not (module_name and colon and all(path.split("."))):
        raise UsageError(f"{target!r} names no pipeline. Write module:attribute, as in {_example(module_name, path)}.")
    if module_name.endswith(".py") or os.sep in module_name:
        raise UsageError(f"{module_name!r} is a path; name the module: {_dotted(module_name)}:{path}")
    if module_name.startswith("."):
        raise UsageError(f"{module_name!r} is relative; name the module as it is from here: {target.lstrip('.')}")
    thing: Any = _imported(module_name)
    for name in path.split("."):
        thing = _attribute(thing, name, module_name)
    return thing


def _dotted(path: str) -> str:
    return path.removesuffix(".py").strip("./").replace(os.sep, ".")


def _example(module: str, path: str) -> str:
    """Return what was meant, as far as it can be seen: `shop:orders` for `shop.orders`, `shop:pipeline` for `shop`."""
    dotted = _dotted(module) or "shop"
    name = path.strip(".")
    if not name and "." in dotted and not module.endswith(".py"):
        dotted, _, name = dotted.rpartition(".")
    return f"{dotted}:{name or 'pipeline'}"


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
        if not isinstance(thing, ModuleType):
            raise UsageError(
                f"{type(thing).__name__} in {module!r} has no {name!r}.{_near(name, dir(thing))}"
            ) from None
        raise UsageError(f"The module {module!r} has no {name!r}.{_instead(thing, name)}") from None


def _instead(module: ModuleType, name: str) -> str:
    """Say what is there instead: a name like it, the pipelines, the modules of a package."""
    here = Path.cwd() / f"{module.__name__}.py"
    if here.exists() and os.path.realpath(getattr(module, "__file__", None) or "") != str(here.resolve()):
        return f" It is not your {here.name}: Python has a module of that name already. Give yours another one."
    names = [each for each in vars(module) if not each.startswith("_")]
    if near := _near(name, names):
        return near
    jobs = [each for each in names if isinstance(getattr(module, each), (Job, Supervisor))]
    if jobs:
        return f" Its pipelines: {', '.join(sorted(jobs))}."
    inside = [each.name for each in pkgutil.iter_modules(getattr(module, "__path__", ()))]
    if inside:
        first = f"{module.__name__}.{inside[0]}:{name}"
        return f" It is a package; name a module in it ({', '.join(inside)}), as in {first}"
    return " There is no pipeline in it."


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
