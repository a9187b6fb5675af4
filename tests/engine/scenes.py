"""Pipelines of mixed stages that write down what happens to them, for the tests of the endings.

What lives here: `Scene`, a pipeline with something happening at one place of it, and what must be true of every run.
What must not: tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import anyio

import streamflow as sf

LIVING = {"source", "sync source", "generator", "scoped", "sink"}  # these note when they open and close
FAILING = {*LIVING, "map", "filter", "flat_map", "tap", "awaiting", "concurrent"}
STOPPING = {"generator", "scoped", "map", "sink"}

_here = contextvars.ContextVar("position", default=-1)


class Boom(Exception):
    """The failure of a scene."""


class Scene:
    """A source, stages of the given kinds and a sink; position 0 is the source.

    Args:
        kinds: kinds of the stages between the source and the sink.
        items: what the source gives; endless if not given.
        fail: (position, n, error): there `error` is raised at the n-th item; 0 before the first; -1 at the end.
        enough: (position, n): there the stage ends cleanly after n items.
        hold: the sink waits for ever after so many items, and sets `holding`.
    """

    def __init__(
        self,
        *kinds: str,
        source: str = "source",
        items: Iterable[int] | None = None,
        fail: tuple[int, int, BaseException] | None = None,
        enough: tuple[int, int] | None = None,
        hold: int | None = None,
        pause: bool = False,
        maxsize: int = 3,
        grace: float = 10.0,
    ) -> None:
        self.kinds = (source, *kinds, "sink")
        self.items = items
        self.hold = hold
        self.pause = pause
        self.fail = fail
        self.enough = enough
        self.options = {"maxsize": maxsize, "grace": grace}
        self.events: list[tuple[str, int]] = []
        self.wrong: list[str] = []
        self.got: list[int] = []
        self.taken = [0] * len(self.kinds)
        self.made = [0] * len(self.kinds)
        self.outcome: str | None = None
        self.holding = asyncio.Event()
        self.job = sf.Pipeline(self._source(source), *self._stages(), self._sink, name="scene", **self.options)

    async def run(self) -> Any:
        """Run the pipeline."""
        return await self.job.run()

    # --- the actors -------------------------------------------------------------------------------------------------

    def _source(self, kind: str) -> Any:
        return self._sync_source if kind == "sync source" else self._async_source

    def _numbers(self) -> Iterable[int]:
        return itertools.count() if self.items is None else self.items

    async def _async_source(self) -> AsyncIterator[int]:
        async with self._life(0):
            self._maybe_fail(0, 0)
            for number in self._numbers():
                if self.pause:
                    await asyncio.sleep(0)
                self._maybe_fail(0, number + 1)
                self.made[0] += 1
                yield number
            self._maybe_fail(0, -1)

    def _sync_source(self) -> Iterable[int]:
        self.events.append(("open", 0))
        try:
            self._maybe_fail(0, 0)
            for number in self._numbers():
                self._maybe_fail(0, number + 1)
                self.made[0] += 1
                yield number
            self._maybe_fail(0, -1)
        finally:
            self.events += [("closing", 0), ("closed", 0)]

    def _stages(self) -> list[Any]:
        return [getattr(self, "_" + kind)(at) for at, kind in enumerate(self.kinds[1:-1], 1)]

    def _generator(self, at: int) -> Any:
        async def generator(items):
            async with self._life(at), contextlib.aclosing(self._through(at, items)) as flow:
                async for item in flow:
                    yield item

        return generator

    def _scoped(self, at: int) -> Any:
        async def scoped(items):
            async with self._life(at), asyncio.timeout(3600), contextlib.aclosing(self._through(at, items)) as flow:
                with anyio.CancelScope(), anyio.fail_after(3600):
                    async for item in flow:
                        yield item

        return scoped

    async def _through(self, at: int, items: Any) -> AsyncGenerator[int, None]:
        """What a generator stage does."""
        self._maybe_fail(at, 0)
        if self.enough == (at, 0):
            return
        async for item in items:
            self.taken[at] += 1
            self._maybe_fail(at, self.taken[at])
            self.made[at] += 1
            yield item
            if self.enough == (at, self.taken[at]):
                return
        self._maybe_fail(at, -1)

    def _per_item(self, at: int) -> Any:
        def call(item: int) -> int:
            self.taken[at] += 1
            self._maybe_fail(at, item + 1)
            return item

        return call

    def _map(self, at: int) -> Any:
        if self.enough is not None and self.enough[0] == at:
            return sf.take(self.enough[1])
        return sf.map(self._per_item(at))

    def _filter(self, at: int) -> Any:
        call = self._per_item(at)
        return sf.filter(lambda item: call(item) is not None)

    def _flat_map(self, at: int) -> Any:
        call = self._per_item(at)
        return sf.flat_map(lambda item: [call(item)])

    def _tap(self, at: int) -> Any:
        return sf.tap(self._per_item(at))

    def _awaiting(self, at: int) -> Any:
        return sf.map(lambda item: self._slowly(at, item))

    def _concurrent(self, at: int) -> Any:
        async def call(item: int) -> int:
            return await self._slowly(at, item)

        return sf.map(call, concurrency=3)

    async def _slowly(self, at: int, item: int) -> int:
        self.taken[at] += 1
        await asyncio.sleep(0)
        self._maybe_fail(at, item + 1)
        return item

    def _batch(self, _at: int) -> Any:
        return sf.batched(2, within=3600)

    def _unbatch(self, _at: int) -> Any:
        return sf.flat_map(lambda batch: batch)

    def _buffer(self, _at: int) -> Any:
        return sf.buffer(2)

    async def _sink(self, items: Any) -> list[int]:
        at = len(self.kinds) - 1
        async with self._life(at):
            try:
                await self._consume(at, items)
            except BaseException:
                await _turns()
                self.outcome = "aborted"
                raise
            self.outcome = "committed"
        return self.got

    async def _consume(self, at: int, items: Any) -> None:
        self._maybe_fail(at, 0)
        if self.enough == (at, 0):
            return
        async for item in items:
            self.taken[at] += 1
            self._maybe_fail(at, self.taken[at])
            self.got.append(item)
            if self.enough == (at, self.taken[at]):
                return
            if self.hold is not None and self.taken[at] >= self.hold:
                self.holding.set()
                await asyncio.Event().wait()
        self._maybe_fail(at, -1)

    def _maybe_fail(self, at: int, number: int) -> None:
        if self.fail is not None and self.fail[:2] == (at, number):
            raise self.fail[2]

    @contextlib.asynccontextmanager
    async def _life(self, at: int) -> AsyncIterator[None]:
        """One opening and one closing, which takes a few turns and must not be cut short."""
        task = asyncio.current_task()
        token = _here.set(at)
        self.events.append(("open", at))
        try:
            yield
        finally:
            self.events.append(("closing", at))
            if asyncio.current_task() is not task:
                self.wrong.append(f"{at} was closed in another task")
            if _here.get() != at:
                self.wrong.append(f"{at} was closed in another context")
            _here.reset(token)
            await _turns()
            self.events.append(("closed", at))

    # --- what must be true ------------------------------------------------------------------------------------------

    def verify(self) -> None:
        """Check what holds however a run ended: everything that opened was closed once, and the account is right."""
        assert self.wrong == []
        for at in range(len(self.kinds)):
            opened = self.events.count(("open", at))
            assert opened <= 1
            assert self.events.count(("closing", at)) == opened, f"finally of {at} ran another number of times"
            assert self.events.count(("closed", at)) == opened, f"cleanup of {at} was cut short"
        assert self.got == list(range(len(self.got))), "items were lost, doubled or reordered"
        self.verify_account()

    def verify_account(self) -> None:
        """Compare the statistics with what the actors themselves have counted."""
        stats = self.job.stats()
        assert stats.balanced
        assert stats.finished
        for row in stats.stages:
            kind = self.kinds[row.position - 1]
            if kind in {"source", "generator", "scoped"}:
                assert row.items_out == self.made[row.position - 1], row
            if kind in {"generator", "scoped", "sink"}:
                assert row.items_in == self.taken[row.position - 1], row

    def closed_before(self, at: int) -> None:
        """Check that what is above `at` was closed one after another, the lowest first, after `at` itself."""
        living = [above for above, kind in enumerate(self.kinds[: at + 1]) if kind in LIVING and self.opened(above)]
        for above, below in itertools.pairwise(living):
            assert self.events.index(("closed", below)) < self.events.index(("closing", above)), self.events

    def opened(self, at: int) -> bool:
        """Whether the stage at this position ever began."""
        return ("open", at) in self.events


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def places(kinds: Iterable[str], able: set[str]) -> list[int]:
    """Return the positions (0 is the source) at which a scene of these kinds can do what `able` kinds can."""
    return [at for at, kind in enumerate(kinds) if kind in able]
