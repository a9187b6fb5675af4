"""CPython's own tests of `asyncio.Queue`, run on `Channel`: a channel is a queue wherever a queue is expected.

They come from the interpreter's `test` package, so each Python version brings its own. The adapter differs from a
channel in one point: where the tests ask for an unbounded queue it gives a very large one, for there is no unbounded
channel (P1). The tests of `LifoQueue` and `PriorityQueue` are left out: those are other classes. One test is left out
by name: it asks how an unbounded queue is printed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
import types
import unittest
from collections.abc import Callable, Iterator

import pytest

from streamflow.channel import Channel

uvloop = pytest.importorskip("uvloop") if importlib.util.find_spec("uvloop") else None

_MODULE = "test.test_asyncio.test_queues"
_LARGE = 1_000_000
_UNBOUNDED_ONLY = {"test_format"}
_LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop}
if uvloop is not None:
    _LOOPS["uvloop"] = uvloop.new_event_loop


class Queue(Channel[object]):
    """A channel that may be asked to be unbounded or to hold 2.5 items, as CPython's tests do."""

    def __init__(self, maxsize: float = 0) -> None:
        super().__init__(math.ceil(maxsize) if maxsize > 0 else _LARGE)


def _load() -> types.ModuleType | None:
    """Return a private copy of CPython's test module in which `asyncio.Queue` is the channel."""
    try:
        spec = importlib.util.find_spec(_MODULE)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stand_in = types.ModuleType("asyncio")
    stand_in.__dict__.update(vars(asyncio), Queue=Queue)
    module.asyncio = stand_in  # type: ignore[attr-defined]  # that is what the tests call it
    return module


def _cases(module: types.ModuleType) -> Iterator[type[unittest.IsolatedAsyncioTestCase]]:
    for name, case in sorted(vars(module).items()):
        is_case = isinstance(case, type) and issubclass(case, unittest.TestCase)
        if is_case and not name.startswith(("Lifo", "Priority", "_")):
            if "q_class" in vars(case):  # the name was bound before the stand-in was there
                assert case.q_class is asyncio.Queue
                case.q_class = Queue
            yield case


def _collect() -> list[object]:
    module = _load()
    if module is None:
        return [pytest.param(None, "", marks=pytest.mark.skip(reason=f"this Python comes without {_MODULE}"))]
    loader = unittest.TestLoader()
    return [
        pytest.param(case, method, id=f"{case.__name__}.{method}")
        for case in _cases(module)
        for method in loader.getTestCaseNames(case)
        if method not in _UNBOUNDED_ONLY
    ]


@pytest.mark.parametrize("loop", _LOOPS)
@pytest.mark.parametrize(("case", "method"), _collect())
def test_a_channel_passes(case: type[unittest.IsolatedAsyncioTestCase], method: str, loop: str) -> None:
    class OnThisLoop(case):
        def _setupAsyncioRunner(self) -> None:  # noqa: N802  # unittest's name
            self._asyncioRunner = asyncio.Runner(debug=True, loop_factory=_LOOPS[loop])

    result = unittest.TestResult()
    OnThisLoop(method).run(result)
    assert result.testsRun == 1
    for _, reason in result.skipped:
        pytest.skip(reason)
    for _, trace in [*result.errors, *result.failures]:
        pytest.fail(trace, pytrace=False)


def test_the_tests_are_run_on_a_channel() -> None:
    """A test written for this one fact: the stand-in reaches the tests, and the other classes stay out."""
    module = _load()
    if module is None:
        pytest.skip(f"this Python comes without {_MODULE}")
    names = {case.__name__ for case in _cases(module)}
    assert {"QueueBasicTests", "QueueGetTests", "QueuePutTests", "QueueJoinTests"} <= names
    assert module.asyncio.Queue is Queue
    assert issubclass(Queue, Channel)
