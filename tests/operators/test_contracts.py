"""Every operator says the same five things, each on a line of its own, and its tests hold it to them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from streamflow.operators import batching, concurrency, elements, sinks

LINES = ["emits when", "backpressures when", "completes when", "on error", "on early stop"]
OPERATORS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name)
    for module in (batching, concurrency, elements, sinks)
    for name in module.__all__
    if name != "map_each"  # what `map` returns without concurrency; nobody else calls it
}


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_operator_states_its_contract_in_five_bullet_lines(name: str) -> None:
    doc = inspect.getdoc(OPERATORS[name]) or ""

    assert re.findall(r"^\* ([a-z ]+): \S", doc, flags=re.MULTILINE) == LINES


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_operator_shows_an_example_and_says_what_cancellation_does(name: str) -> None:
    doc = inspect.getdoc(OPERATORS[name]) or ""

    assert "Example: `" in doc
    assert "Cancellation: " in doc


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_operator_explains_every_argument(name: str) -> None:
    doc = inspect.getdoc(OPERATORS[name]) or ""
    arguments = list(inspect.signature(OPERATORS[name]).parameters)

    assert re.findall(r"^    ([a-z]+): \S", doc, flags=re.MULTILINE) == arguments
    assert not arguments or "Raises `UsageError`" in doc
