"""The face: its names are counted and sorted, every change of it shows, and both spellings of an operator agree."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import streamflow as sf
from tests.api import SNAPSHOT, described

PLAIN = [name for name in sf.__all__ if not isinstance(getattr(sf, name), ModuleType)]
FUNCTIONS = {
    name: getattr(sf, name)
    for name in PLAIN
    if inspect.isfunction(getattr(sf, name)) and getattr(sf, name).__module__.startswith("streamflow.operators")
}
METHODS = {
    name: member.__streamflow_function__
    for name, member in inspect.getmembers_static(sf.Stream)
    if hasattr(member, "__streamflow_function__")
}
OWN = {"blocking", "open", "run", "through", "to"}
"""What a stream does itself."""


def test_the_face_is_as_written_down() -> None:
    """After a change that is meant: `make api`, and commit tests/api.txt with it."""
    assert described() == SNAPSHOT.read_text(encoding="utf-8")


def test_the_names_are_sorted_and_counted() -> None:
    """A name beside the operators is a decision; an operator is one more line of the catalogue."""
    assert list(sf.__all__) == sorted(sf.__all__)
    assert len(set(sf.__all__) - set(FUNCTIONS)) <= 68  # 16 of them are modules: formats and places


@pytest.mark.parametrize("name", PLAIN)
def test_every_public_name_says_what_it_is_for(name: str) -> None:
    doc = getattr(sf, name).__doc__ or ""

    assert doc.strip()
    assert doc.strip().splitlines()[0].endswith((".", ":"))


def _methods(owner: type) -> list[str]:
    return [
        name
        for name, member in inspect.getmembers_static(owner)
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property))
        and str(getattr(getattr(member, "fget", member), "__module__", "")).startswith("streamflow")
    ]


@pytest.mark.parametrize("owner", [sf.Channel, sf.Pipeline, sf.Reader, sf.Report, sf.RunStats, sf.Stream])
def test_every_public_method_says_what_it_does(owner: type) -> None:
    silent = [name for name in _methods(owner) if not (getattr(owner, name).__doc__ or "").strip()]

    assert silent == []


def _arguments(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """Return names, kinds and defaults, without what a method has as `self`."""
    parameters = inspect.signature(function).parameters.values()
    return [(one.name, one.kind, one.default) for one in parameters if one.name not in {"self", "source"}]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_stream_and_its_function_take_the_same_arguments(name: str) -> None:
    assert _arguments(getattr(sf.Stream, name)) == _arguments(METHODS[name])


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_stream_and_its_function_have_one_docstring(name: str) -> None:
    """At run time; in the source a method has one line, which points to the function."""
    source = inspect.getsource(getattr(sf.Stream, name))

    assert getattr(sf.Stream, name).__doc__ == METHODS[name].__doc__
    assert f"see `sf.{METHODS[name].__name__}`" in source


def test_every_method_is_the_spelling_of_the_function_of_its_name() -> None:
    """Both ways; a source comes first, so it is no method."""
    makes = {name: str(inspect.signature(function).return_annotation) for name, function in FUNCTIONS.items()}
    sources = {name for name, made in makes.items() if made.startswith(("Source", "Push", "Hub", "Resumable"))}

    assert {name: FUNCTIONS[name] for name in FUNCTIONS if name not in sources | POLICIES | IN_PIPELINES} == METHODS
    assert set(_methods(sf.Stream)) == set(METHODS) | OWN


POLICIES = {"skip_errors"}
"""Functions that make an argument of operators."""

IN_PIPELINES = {"balance_to", "broadcast", "drain", "route"}
"""Sinks that make sense at the end of a pipeline only: as a method `drain` is `run`."""


@pytest.mark.parametrize("function", [sf.Pipeline.__init__, sf.pipeline, sf.Stream.to, sf.Stream.open])
def test_the_limits_have_the_same_defaults_everywhere(function: Callable[..., Any]) -> None:
    defaults = {name: default for name, _, default in _arguments(function) if name in {"maxsize", "max_bytes", "grace"}}

    assert defaults == {"maxsize": 1024, "max_bytes": 1 << 20, "grace": 10.0}


def test_names_have_no_a_prefix() -> None:
    """Names follow asyncio and itertools."""
    names = [*sf.__all__, *_methods(sf.Stream), *_methods(sf.Channel)]

    assert [name for name in names if re.fullmatch(r"a(map|filter|put|get|iter|next|open|collect)", name)] == []
