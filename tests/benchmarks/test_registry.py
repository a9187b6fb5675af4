"""The list of benchmarks is whole: each module can be called as it is registered, and its page has its markers."""

from __future__ import annotations

import ast
import inspect
import pathlib
import re
from importlib import import_module

import pytest

import benchmarks
from benchmarks import baseline, cmap, hops, registry
from benchmarks.registry import BENCHMARKS, Benchmark
from benchmarks.results import Ratio, Result
from benchmarks.tables import DOCS

HERE = pathlib.Path(benchmarks.__file__).parent


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_is_a_module_whose_run_takes_the_quick_sizes_and_needs_none(name):
    signature = inspect.signature(import_module(f"benchmarks.{name}").run)
    signature.bind(**BENCHMARKS[name].quick)
    signature.bind()


def test_every_module_with_a_run_of_its_own_is_registered():
    """They are read, not imported: some need what may not be installed."""
    modules = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in HERE.glob("*.py")}
    found = {name for name, tree in modules.items() if name != "registry" and any(map(_is_run, tree.body))}
    assert found == set(BENCHMARKS)


def _is_run(node):
    return isinstance(node, ast.FunctionDef) and node.name == "run" and ast.unparse(node.returns) == "Result"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_its_page_has_a_place_for_its_table(name):
    page = (DOCS / BENCHMARKS[name].page).read_text(encoding="utf-8")
    assert re.search(f"<!-- {name} -->\n.*<!-- /{name} -->", page, re.DOTALL)


def test_a_text_alone_is_a_result_without_ratios(monkeypatch):
    monkeypatch.setitem(BENCHMARKS, "ticker", Benchmark({"seconds": 1}))
    monkeypatch.setattr("benchmarks.ticker.run", lambda seconds=2: f"for {seconds} s")
    assert registry.run("ticker", quick=True) == Result("for 1 s")
    assert registry.run("ticker", quick=False) == Result("for 2 s")


def test_a_result_is_handed_on_as_it_is(monkeypatch):
    result = Result("text", [Ratio("ticker.a/b", "a / b", 1.0)])
    monkeypatch.setattr("benchmarks.ticker.run", lambda **_sizes: result)
    assert registry.run("ticker", quick=False) is result


@pytest.mark.parametrize("mode", ["quick", "full"])
def test_each_remembered_ratio_belongs_to_a_benchmark(mode):
    assert {key.partition(".")[0] for key in baseline.read(mode)} <= set(BENCHMARKS)


@pytest.mark.parametrize("mode", ["quick", "full"])
def test_each_remembered_ratio_of_the_hot_paths_is_still_measured(mode):
    measured = {goal.key for goal in [*hops.GOALS, *cmap.GOALS]} | {"cmap.held-map/held-group"}
    assert {key for key in baseline.read(mode) if key.startswith(("hops.", "cmap."))} <= measured
