"""Every operator's docstring has an example that runs as it stands and gives what it says.

The examples run on virtual time, as at a prompt of `python -m asyncio`: with `sf`, `asyncio` and the builtins.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pprint import pformat
from typing import Any

import pytest

import streamflow as sf
from tests.docstrings import OPERATORS, Example, example

AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


async def value_of(one: Example) -> Any:
    """Run an example; return the value of its last line, which must be an expression."""
    *statements, last = ast.parse(one.code).body
    assert isinstance(last, ast.Expr)
    names: dict[str, Any] = {"sf": sf, "asyncio": asyncio}
    await _evaluated(compile(ast.Module(statements, []), "<example>", "exec", flags=AWAIT), names)
    return await _evaluated(compile(ast.Expression(last.value), "<example>", "eval", flags=AWAIT), names)


async def _evaluated(code: Any, names: dict[str, Any]) -> Any:
    result = eval(code, names)
    return await result if code.co_flags & inspect.CO_COROUTINE else result


def _example(name: str) -> Example:
    found = example(name)
    assert found is not None, f"the docstring of {name} has no example that says what it gives; see tests/docstrings.py"
    return found


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", OPERATORS)
async def test_an_example_gives_what_it_says(name: str) -> None:
    one = _example(name)

    # Printed alike, not only equal: `[1]`, `[1.0]` and `[True]` are three results. The order in a dict does not count.
    assert pformat(await value_of(one)) == pformat(eval(one.gives, {"sf": sf}))


@pytest.mark.parametrize("name", OPERATORS)
def test_an_example_shows_its_operator(name: str) -> None:
    assert re.search(rf"\.{name}\(", _example(name).code)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_example_can_be_pasted_at_a_prompt(name: str) -> None:
    """A prompt takes a function for finished at an empty line, and at no other."""
    code = _example(name).code

    assert not re.search(r"^ .*\n[^\s)]", code, flags=re.MULTILINE)
    assert not re.search(r"\n\n ", code)


def test_both_spellings_are_shown_often() -> None:
    """As a method of a stream, and as a function for `sf.pipeline`."""
    functions = [name for name in OPERATORS if f"sf.{name}(" in _example(name).code]

    assert len(OPERATORS) / 3 <= len(functions) <= len(OPERATORS) * 2 / 3
