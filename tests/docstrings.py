"""What the docstring of an operator says, taken apart: its first sentence, its contract, its example.

What lives here: the operators, and reading their docstrings, for the tests that check them and for the catalogue that
is made of them. What must not: tests, Markdown.

An example runs as it stands, with nothing but `sf`, `asyncio` and the builtins, and says what it gives. It has one of
two forms: a line, or a block. The value of a long last line stands on the line after it.

    Example: `await sf.pipeline([1, 2], sf.sum())` gives `3`.

    Example:
        async def fetch(number):
            return number * 10

        await sf.stream([1, 2]).map(fetch, concurrency=2).collect()  # gives [10, 20]
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import streamflow as sf

OPERATORS: dict[str, Callable[..., Any]] = {
    name: getattr(sf, name)
    for name in sf.__all__
    if inspect.isfunction(getattr(sf, name)) and "* emits when:" in str(getattr(sf, name).__doc__)
}
"""What states a contract; tests/operators/test_docstrings.py sees to it that every operator does."""

_LINE = re.compile(r"^Example: `([^`]+)`\s+gives\s+`([^`]+)`[.,:]", re.MULTILINE)
_BLOCK = re.compile(r"^Example:\n((?:(?: {4}[^\n]*)?\n)+)", re.MULTILINE)
_GIVES = re.compile(r"(?:  |\n)# gives (.+)\Z")
_BULLET = re.compile(r"^\* ([a-z ]+): ((?:.+\n?)(?:  .+\n?)*)", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """Code that runs at a prompt of `python -m asyncio`, and the value of its last line, as Python."""

    code: str
    gives: str


def doc_of(name: str) -> str:
    """Return the docstring of an operator, without its indentation."""
    return inspect.getdoc(OPERATORS[name]) or ""


def sentence(name: str) -> str:
    """Return what an operator is for."""
    return doc_of(name).partition("\n")[0]


def contract(name: str) -> dict[str, str]:
    """Return the five lines of an operator's contract, each under its first words."""
    return {words: " ".join(text.split()) for words, text in _BULLET.findall(doc_of(name))}


def example(name: str) -> Example | None:
    """Return an operator's example, or `None` where none is to be found that says what it gives."""
    doc = doc_of(name)
    if line := _LINE.search(doc):
        code, gives = (" ".join(part.split()) for part in line.groups())
        return Example(code, gives)
    if block := _BLOCK.search(doc):
        code = dedent(block[1]).strip("\n")
        if gives := _GIVES.search(code):
            return Example(code[: gives.start()], gives[1])
    return None
