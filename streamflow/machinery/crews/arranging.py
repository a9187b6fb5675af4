"""The arguments of `map` and `for_each` made into one thing: checked, and able to run.

What lives here: `arranged`, which refuses what cannot mean anything or has no effect, and `Arrangement`, which makes
the results of a run. What must not: the operators and their words (concurrency.py), workers (crew.py), what a call is
dressed with (calling.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Hashable
from contextlib import aclosing
from inspect import isawaitable
from types import GeneratorType
from typing import Any, Literal, NamedTuple, TypeAlias

from streamflow.callables import is_coroutine_function, name_of
from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.adaptive import Adaptive, Limiter
from streamflow.machinery.crews.calling import Calls
from streamflow.machinery.crews.crew import Crew
from streamflow.machinery.crews.ruled_crew import RuledCrew
from streamflow.machinery.crews.skipping import SKIPPED, Skipping

__all__ = ["Arrangement", "Concurrency", "arranged"]

Concurrency: TypeAlias = int | Literal["auto"] | Adaptive


class Arrangement(NamedTuple):
    """How the items of a stage are called, for any number of runs."""

    name: str
    size: int
    max_waiting: int
    ordered: bool
    calls: Calls
    key: Callable[[Any], Hashable] | None = None
    adaptive: Adaptive | None = None

    @property
    def one_by_one(self) -> bool:
        """Whether there is one call at a time, and that on the event loop."""
        return self.size == 1 and self.calls.workers is None

    @property
    def plain(self) -> bool:
        """Whether there is nothing but the function and how many calls may run."""
        return self.key is None and self.adaptive is None and self.calls.undressed

    @property
    def threads(self) -> int:
        """How many threads a run of it has at most."""
        return self.calls.threads or (0 if self.calls.processes is None else self.size)

    def results(self, items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        """Return an async generator of what the calls return."""
        if self.one_by_one:
            skips = self.calls.skips_only
            return self._one_by_one(items) if skips is None else self._skipping(items, Skipping(skips, self.name))
        return self._plainly(items) if self.plain else self._by_rules(items)

    async def _one_by_one(self, items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        number = 0
        async with self.calls.opened(self.name, 1) as (call, skipping):
            async for item in items:
                number += 1
                result = await call(item, number)
                if result is not SKIPPED:
                    yield result
                del item, result  # not held while waiting for the next item (H57)
            if skipping is not None:
                skipping.check_end()

    async def _skipping(self, items: AsyncIterable[Any], skipping: Skipping) -> AsyncGenerator[Any, None]:
        """Do what `_one_by_one` does where nothing but failures matter: without a coroutine for each call."""
        fn = self.calls.fn
        plain: type = object  # what the last result was that nobody has to await: asking costs as much as a short call
        number = 0
        async for item in items:
            number += 1
            try:
                result = fn(item)
                if type(result) is not plain:
                    if isawaitable(result):
                        result = await result
                    elif type(result) is not GeneratorType:  # of those only some are awaitable
                        plain = type(result)
            except Exception as error:
                if not await skipping.failed(error, item, number):
                    raise
            else:
                skipping.succeeded()
                yield result
            del item  # not held while waiting for the next one (H57)
            result = None
        skipping.check_end()

    def _plainly(self, items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        return self._crew(items).emitted() if isinstance(items, Reader) else self._read_plainly(items)

    async def _read_plainly(self, items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        async with reading(items) as reader, aclosing(self._crew(reader).emitted()) as results:
            async for result in results:
                yield result

    def _crew(self, reader: Reader[Any]) -> Crew[Any]:
        return Crew(self.calls.fn, reader, self.size, ordered=self.ordered, max_waiting=self.max_waiting)

    async def _by_rules(self, items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        limiter = None if self.adaptive is None else Limiter(self.adaptive)
        async with self.calls.opened(self.name, self.size, limiter) as (call, skipping), reading(items) as reader:
            crew = RuledCrew(
                call,
                reader,
                self.size,
                ordered=self.ordered,
                max_waiting=self.max_waiting,
                key=self.key,
                limiter=limiter,
            )
            try:
                crew.start()
                while await crew.results_are_ready():
                    for result in crew.ready():
                        if result is not SKIPPED:
                            yield result
                    result = None  # not held while waiting for the next one (H57)
            finally:
                await crew.dismiss()
            if skipping is not None:
                skipping.check_end()


def arranged(
    operator: str,
    calls: Calls,
    *,
    concurrency: Concurrency,
    ordered: bool | None = None,
    max_waiting: int | None = None,
    key: Callable[[Any], Hashable] | None = None,
) -> Arrangement:
    """Check the arguments of an operator; `ordered=None` where the order is nobody's wish."""
    adaptive = Adaptive() if concurrency == "auto" else concurrency if isinstance(concurrency, Adaptive) else None
    size = adaptive.high if adaptive is not None else _checked_size(concurrency)
    if calls.workers is not None:
        size = _size_for(*calls.workers, size, adaptive)
    if size == 1:
        _refuse_what_needs_several(ordered=ordered, key=key)
        if max_waiting is not None and calls.workers is None:
            raise UsageError(f"max_waiting= {_SEVERAL} leaves no result to wait.")
    if max_waiting is not None and (max_waiting != 0 or isinstance(max_waiting, bool)):
        check_capacity("max_waiting", max_waiting)
    if key is not None:
        _check_key(key)
    return Arrangement(
        name=_name(operator, calls, concurrency, key, ordered=ordered),
        size=size,
        max_waiting=size if max_waiting is None else max_waiting,
        ordered=bool(ordered),
        calls=calls,
        key=key,
        adaptive=adaptive,
    )


def _name(operator: str, calls: Calls, concurrency: Concurrency, key: object, *, ordered: bool | None) -> str:
    limits = f"{concurrency.low}..{concurrency.high}" if isinstance(concurrency, Adaptive) else concurrency
    words = {
        "concurrency": None if limits == 1 else limits,
        "threads": calls.threads,
        "processes": calls.processes,
        "ordered": False if ordered is False else None,
        "key": None if key is None else name_of(key),
        "timeout": None if calls.timeout is None else f"{calls.timeout:g}",
        "retry": None if calls.retry is None else calls.retry.attempts,
    }
    telling = ", ".join(f"{word}={value}" for word, value in words.items() if value is not None)
    return f"{operator}({telling})" if telling else operator


def _checked_size(concurrency: object) -> int:
    if isinstance(concurrency, str):
        raise UsageError(
            f'concurrency must be a whole number of at least 1, "auto" or an Adaptive, not {concurrency!r}.'
        )
    check_capacity("concurrency", concurrency)
    assert isinstance(concurrency, int)
    return concurrency


def _check_key(key: object) -> None:
    if not callable(key) or is_coroutine_function(key):
        raise UsageError(f"key must be a synchronous function of an item, not {name_of(key)!r}.")


def _size_for(word: str, workers: int, size: int, adaptive: Adaptive | None) -> int:
    """Return how many calls may be on their way to so many threads or processes."""
    if adaptive is not None:
        raise UsageError(f"{word}={workers} is a fixed number; an adaptive concurrency has no effect beside it.")
    if 1 < size < workers:
        raise UsageError(
            f"concurrency={size} leaves some of {word}={workers} idle; leave it out, or make it {workers} or more."
        )
    return max(size, workers)


_SEVERAL = "has no effect without concurrency= of at least 2: one call at a time"


def _refuse_what_needs_several(*, ordered: bool | None, key: object) -> None:
    if ordered is False:
        raise UsageError(f"ordered=False {_SEVERAL} keeps the order.")
    if key is not None:
        raise UsageError(f"key= {_SEVERAL} keeps items of any key apart.")
