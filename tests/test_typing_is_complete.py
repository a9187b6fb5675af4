"""Every operator, and every method of a stream, stands in an expectation of tests/typing, which mypy and pyright check.

An expectation is an `assert_type`, or an assignment with an annotation where a checker cannot say it exactly.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import streamflow as sf

FILES = sorted((Path(__file__).parent / "typing").glob("*.py"))
OPERATORS = [
    name
    for name in sf.__all__
    if inspect.isfunction(thing := getattr(sf, name)) and thing.__module__.startswith("streamflow.operators")
]
METHODS = [
    name for name, member in inspect.getmembers_static(sf.Stream) if name[0] != "_" and inspect.isfunction(member)
]


def _expectations(tree: ast.AST) -> list[ast.expr]:
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "assert_type":
            found.append(node.args[0])
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            found.append(node.value)
    return found


def _called(tree: ast.AST) -> set[str]:
    """Return what is called inside expectations: `sf.name` of functions, `.name` of methods."""
    calls = [node.func for part in _expectations(tree) for node in ast.walk(part) if isinstance(node, ast.Call)]
    return {
        ast.unparse(call) if _is_of_face(call) else f".{call.attr}" for call in calls if isinstance(call, ast.Attribute)
    }


def _is_of_face(call: ast.expr) -> bool:
    return isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "sf"


CALLED = set[str]().union(*(_called(ast.parse(file.read_text(encoding="utf-8"))) for file in FILES))


@pytest.mark.parametrize("name", OPERATORS)
def test_the_type_of_every_operator_is_expected(name: str) -> None:
    assert f"sf.{name}" in CALLED, f"sf.{name} stands in no assert_type of tests/typing"


@pytest.mark.parametrize("name", METHODS)
def test_the_type_of_every_method_is_expected(name: str) -> None:
    assert f".{name}" in CALLED, f".{name}() of a stream stands in no assert_type of tests/typing"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_everything_is_taken_from_the_face(file: Path) -> None:
    """What users cannot write proves nothing about what they see."""
    modules = [node.module or "" for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]

    assert [module for module in modules if module.startswith("streamflow")] == []
