"""What every test of streamflow stands on: the event loops it runs on, and the proof that it left nothing behind.

* An async test runs once on asyncio and once on uvloop. Marked `virtual_time` it runs once, on the kit's `StepLoop`:
  `asyncio.sleep(600)` takes no time, and a deadlock is an error. A sync test runs once.
* After every test: no pending task, no open generator, no new thread or file descriptor, no complaint of the loop.
  `@pytest.mark.may_leak("threads", reason="...")` excuses one kind, where a foreign library keeps something for good.
* Hypothesis: the same examples every time, a fifth of them for `make check` (`STREAMFLOW_HYPOTHESIS=quick`);
  `thorough` draws many random ones.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterator, Mapping

import hypothesis
import pytest
import pytest_asyncio

from streamflow.testing import LeakCheck, LeakError, StepLoop

try:
    import uvloop
except ImportError:  # not on Windows, not on PyPy
    uvloop = None  # type: ignore[assignment]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

hypothesis.settings.register_profile("fast", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("fast"), max_examples=20)
hypothesis.settings.register_profile("thorough", max_examples=2_000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("STREAMFLOW_HYPOTHESIS", "fast"))

_failed = pytest.StashKey[bool]()
_SLOW = {"cancel_everywhere", "serving"}  # what a slow test calls
_LOOP = "_asyncio_loop_factory"  # the parameter in which pytest-asyncio passes a test its loop


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "virtual_time: run on streamflow.testing.StepLoop only; no real time passes")
    config.addinivalue_line("markers", "may_leak(*kinds, reason): kinds of leaks a foreign library is known to leave")


def pytest_collection_finish() -> None:
    """Take what is imported by now out of the garbage collector's sight: the leak checks collect after every test."""
    if uvloop is not None:
        uvloop.new_event_loop().close()  # libuv keeps one pair of descriptors from its first loop on
    gc.collect()
    gc.freeze()


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Say on which event loops an async test runs."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": StepLoop}
    loops: dict[str, LoopFactory] = {"asyncio": asyncio.SelectorEventLoop, "uvloop": _new_uvloop}
    # `make check` takes one of them; `make test` and CI take both.
    chosen = os.environ.get("STREAMFLOW_LOOPS", "asyncio uvloop").split()
    return {name: loop for name, loop in loops.items() if name in chosen}


def _new_uvloop() -> asyncio.AbstractEventLoop:
    return uvloop.new_event_loop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put parameters that are marked `virtual_time` on that loop, once; skip, visibly, what cannot run here.

    A scenario that is cancelled after its every step is run hundreds of times, and a server takes its time: such tests
    are slow.
    """
    items[:] = [item for item in items if not _is_repeated(item)]
    for item in items:
        if isinstance(item, pytest.Function) and _SLOW.intersection(item.function.__code__.co_names):
            item.add_marker(pytest.mark.slow)
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if uvloop is None and _new_uvloop in parameters:
            item.add_marker(pytest.mark.skip(reason="uvloop is not installed"))


def _is_repeated(item: pytest.Item) -> bool:
    """Move a parameter to virtual time: the loops of a function are chosen before the marks of its parameters are seen.

    Returns whether it is there already from another loop.
    """
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    loop = parameters.get(_LOOP)
    if item.get_closest_marker("virtual_time") is None or loop in {None, StepLoop}:
        return False
    parameters[_LOOP] = StepLoop
    return loop is _new_uvloop and "asyncio" in os.environ.get("STREAMFLOW_LOOPS", "asyncio")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember that a test failed: what it left behind then is a consequence and would hide the failure."""
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report


def _ignored(item: pytest.Item) -> set[str]:
    marks = list(item.iter_markers("may_leak"))
    if any("reason" not in mark.kwargs for mark in marks):
        raise pytest.UsageError("may_leak needs a reason: @pytest.mark.may_leak('threads', reason='...')")
    return {kind for mark in marks for kind in mark.args}


def _checked(item: pytest.Item, loop: asyncio.AbstractEventLoop | None, ignore: set[str]) -> Iterator[None]:
    check = LeakCheck(loop, ignore=ignore | _ignored(item))
    check.__enter__()
    yield
    try:
        check.__exit__(None, None, None)
    except LeakError as error:
        leak = "" if item.stash.get(_failed, False) else str(error)
    else:
        leak = ""
    # What lives on now is pytest's and the modules': without this each collection would walk it all again.
    gc.freeze()
    if leak:
        pytest.fail(leak, pytrace=False)


@pytest.fixture
def _process_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check threads, files and complaints after everything, the test's event loop included, is gone."""
    yield from _checked(request.node, None, set())


@pytest_asyncio.fixture
def _loop_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check tasks and generators while the test's event loop is still there, after the test's own fixtures are gone."""
    yield from _checked(request.node, asyncio.get_event_loop(), {"threads", "files"})


@pytest.fixture(autouse=True)
def _nothing_left_behind(_process_leaks: None, request: pytest.FixtureRequest) -> None:
    """Set up the checks before any other fixture of the test, so that they end after all of them."""
    if pytest_asyncio.is_async_test(request.node):
        request.getfixturevalue("_loop_leaks")
