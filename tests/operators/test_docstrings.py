"""Every operator says the same five things in its docstring, each on a line of its own, and explains every argument."""

from __future__ import annotations

import inspect
import pkgutil
import re
from importlib import import_module

import pytest

import streamflow as sf
from streamflow import operators

LINES = ["emits when", "backpressures when", "completes when", "on error", "on early stop"]
OPERATORS = [
    name
    for name in sf.__all__
    if inspect.isfunction(getattr(sf, name)) and getattr(sf, name).__module__.startswith("streamflow.operators")
]

every_operator = pytest.mark.parametrize("name", OPERATORS)


@every_operator
def test_an_operator_states_its_contract_in_five_bullet_lines(name: str) -> None:
    doc = inspect.getdoc(getattr(sf, name)) or ""

    assert re.findall(r"^\* ([a-z ]+): \S", doc, flags=re.MULTILINE) == LINES


@every_operator
def test_an_operator_shows_an_example_and_says_what_cancellation_does(name: str) -> None:
    doc = inspect.getdoc(getattr(sf, name)) or ""

    assert re.search(r"^Example:(?: `|\n    \S)", doc, flags=re.MULTILINE)
    assert re.search(r"Cancellation:\s", doc)


@every_operator
def test_an_operator_explains_every_argument(name: str) -> None:
    doc = inspect.getdoc(getattr(sf, name)) or ""
    arguments = list(inspect.signature(getattr(sf, name)).parameters)

    assert re.findall(r"^    ([a-z_]+): \S", doc, flags=re.MULTILINE) == arguments
    assert not arguments or "Raises `UsageError`" in doc


def test_every_operator_is_on_the_face() -> None:
    """What states a contract is an operator; other functions of operators/ are there for their neighbours."""
    names = [module.name for module in pkgutil.iter_modules(operators.__path__)]
    modules = [import_module(f"streamflow.operators.{name}") for name in names]
    public = {name: getattr(module, name) for module in modules for name in module.__all__}
    stating = {
        name for name, thing in public.items() if inspect.isfunction(thing) and "* emits when:" in str(thing.__doc__)
    }

    assert stating == set(OPERATORS)
