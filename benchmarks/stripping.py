"""streamflow without its counting: the same sources, compiled without the statements that only keep statistics.

What lives here: which statements these are, taking them out, and an importer that does so. What must not: measuring.

A variant written by hand would drift from what it is compared with. So the sources are taken as they are, and what only
counts is left out: what is added to a counter, what notes how full a channel was, and the tallies between fused stages.
What has another use stays: a counter by which something runs, and the clock that tells how long somebody waited, which
is the one that gives the other tasks their turn. What the C extension counts stays too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Container, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

__all__ = ["install", "removed", "stripped"]

_COUNTERS = {
    "_bytes_put", "_discarded", "_drains", "_dropped", "_entered", "_in_batch", "_peak", "_peak_bytes", "_taken",
    "_waited_for_items", "_waited_for_room",
}  # fmt: skip
# Where numbers are given out; who reads a counter anywhere else runs by it.
_REPORTS = {"_put_so_far", "account", "note_peak", "stats"}
_NOTES = {"note_dropped", "note_peak"}
_TALLIES = "_tallies"
_PACKAGES = ("streamflow.channel.", "streamflow.engine.")


class _Strip(ast.NodeTransformer):
    """Takes out what only counts, and remembers the lines."""

    def __init__(self, counters: Container[str]) -> None:
        self._counters = counters
        self.taken: list[int] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Go into a function; the one that sets the counters to zero stays as it is."""
        return node if node.name == "_init" else self._filled(self.generic_visit(node))

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Go into a function."""
        return self._filled(self.generic_visit(node))

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | None:
        """`self._entered += n` goes; of `self._waited_for_room += budget.renew(since)` the call is left."""
        if not self._counts(node.target):
            return node
        self.taken.append(node.lineno)
        calls = isinstance(node.value, ast.Call) and not isinstance(node.value.func, ast.Name)
        return ast.copy_location(ast.Expr(node.value), node) if calls else None

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        """`self._peak = held` and `self._tallies[edge] = ...` go."""
        if not all(self._counts(target) or _is_tally(target) for target in node.targets):
            return node
        self.taken.append(node.lineno)
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """`self.note_peak()` goes."""
        call = node.value
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _NOTES):
            return node
        self.taken.append(node.lineno)
        return None

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """A condition whose branches are empty now goes as well: those of counting have no effect themselves."""
        before = len(self.taken)
        self.generic_visit(node)
        if len(self.taken) > before and not node.body and not node.orelse:
            return None
        return self._filled(node)

    def visit_Try(self, node: ast.Try) -> ast.AST:
        """`finally:` may be empty now."""
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        node.finalbody = node.finalbody or ([] if node.handlers else [ast.Pass()])
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        """A loop may be empty now."""
        return self._filled(self.generic_visit(node))

    def _counts(self, target: ast.AST) -> bool:
        return isinstance(target, ast.Attribute) and target.attr in self._counters

    @staticmethod
    def _filled(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If | ast.For)
        node.body = node.body or [ast.Pass()]
        return node


def _is_tally(target: ast.AST) -> bool:
    of = target.value if isinstance(target, ast.Subscript) else None
    return isinstance(of, ast.Attribute) and of.attr == _TALLIES


@cache
def _only_counting() -> frozenset[str]:
    """The counters that nothing runs by: once all are taken out, nobody but a report reads them."""
    read: set[str] = set()
    for path in _paths():
        tree = _Strip(_COUNTERS).visit(ast.parse(path.read_text(encoding="utf-8")))
        functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        for function in functions:
            if function.name not in _REPORTS:
                read |= {
                    node.attr
                    for node in ast.walk(function)
                    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
                }
    return frozenset(_COUNTERS - read)


def _paths() -> list[Path]:
    root = Path(__file__).parent.parent / "streamflow"
    return sorted(path for folder in ("channel", "engine") for path in (root / folder).glob("*.py"))


def stripped(source: str, path: str) -> tuple[CodeType, list[int]]:
    """Compile a module without its counting; return the code and the lines that were taken out."""
    strip = _Strip(_only_counting())
    tree = ast.fix_missing_locations(strip.visit(ast.parse(source, path)))
    return compile(tree, path, "exec"), strip.taken


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        """Compile it anew, and leave the compiled files on disk alone."""
        return stripped(self.get_data(self.path).decode(), self.path)[0].replace(co_name=fullname)


class _Stripping(MetaPathFinder):
    """Imports streamflow's channel and engine without their counting."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find what is to be stripped as ever, with a loader of our own."""
        if not fullname.startswith(_PACKAGES):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


def install() -> None:
    """Strip what is imported from now on. `RuntimeError` if that comes too late."""
    if "streamflow" in sys.modules:
        raise RuntimeError("streamflow has been imported already, with its counting")
    sys.meta_path.insert(0, _Stripping())


def removed() -> list[str]:
    """The statements that are left out, each with its file and line."""
    found = []
    for path in _paths():
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        taken = stripped(source, str(path))[1]
        found += [f"{path.parent.name}/{path.name}:{at}: {lines[at - 1].strip()}" for at in taken]
    return found


if __name__ == "__main__":
    print("\n".join(removed()))
