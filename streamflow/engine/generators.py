"""Async generators one inside the other in one task, as `sf.fuse` nests stages: opened, closed, and asked who failed.

What lives here: `Generators`, which closes them, and `Nest`, which opens them too. What must not: pulling them
(segments.py), what may be nested (operators/fusing.py).

* *Nothing stands between.* What a stage gets as its input is an `_Input`, whose `aiter` is the generator inside; the
  `async for` of the stage then runs over that one itself, so an item costs what it costs nested by hand.
* *Outside in.* A generator that stops does not close what it iterates. Here all are closed, the outermost first, as if
  each stood in an `aclosing` around the one inside; what fails in closing does not keep the others open.
* *One task.* A generator is closed in the task that runs it (P7). A stage that reads its input in another task (its own
  task group, `reading`) gets one there that closes itself and those inside it.
* *Who failed* is read from the traceback: an error leaves a frame of each generator it passes, from the outermost to
  the one that raised.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from types import TracebackType
from typing import Any

from streamflow.engine.reader import Reader
from streamflow.engine.telling import described
from streamflow.errors import StageError
from streamflow.stages import Source, Stage
from streamflow.types import StageFunction

__all__ = ["Generators", "Nest", "nested"]

_STOPS = (asyncio.CancelledError, GeneratorExit)
_RAISED = "raised by stage"


class Generators:
    """Async iterators, the outermost last, for an `async with` block: it gives the outermost and closes all at its end.

    Args:
        opened: what is to be pulled and closed.
        keep: close nothing: they are their user's to close.
    """

    def __init__(self, opened: Sequence[AsyncIterator[Any]], *, keep: bool = False) -> None:
        """Take them over."""
        self.opened = list(opened)
        self._keep = keep

    async def __aenter__(self) -> AsyncIterator[Any]:
        """Give the outermost."""
        return self.opened[-1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, outside in. What fails in closing is told on the error that ends the block, or raised where none does.

        A stop that was asked for is no error. Several failures come as a group.
        """
        failures: list[BaseException] = []
        for items in () if self._keep else reversed(self.opened):
            try:
                await _close(items)
            except BaseException as failure:  # noqa: BLE001  # raised when the others are closed
                failures.append(failure)
        try:
            if error is not None and not isinstance(error, _STOPS):
                for other in failures:
                    error.add_note(f"while closing what it came through, there was also {described(other)}")
            elif failures:
                raise failures[0] if len(failures) == 1 else BaseExceptionGroup("failed in closing", failures)
        finally:
            failures.clear()  # the traceback holds this frame: let the frame not hold the errors

    def at_work(self) -> AsyncIterator[Any] | None:
        """Return the innermost that runs now: an `async for` hides it from the chain of awaits."""
        running = (items for items in self.opened if getattr(items, "ag_running", False))
        return next(running, self.opened[-1] if self.opened else None)

    async def throw(self, error: asyncio.CancelledError) -> Any:
        """Throw a cancellation into the outermost, which stands at its `yield`; return or raise what comes of it.

        The scope that it is meant for may be in one that is inside, and all stand at a `yield`. So what comes out again
        is thrown into the next. What that raises instead, such as `TimeoutError`, is raised; but where it would go on
        there is nobody left to take its items.
        """
        *inner, outermost = self.opened
        assert isinstance(outermost, AsyncGenerator)
        try:
            return await outermost.athrow(error)
        except asyncio.CancelledError as through:
            error = through
        for items in reversed(inner):
            if inspect.isasyncgen(items) and items.ag_frame is not None:
                try:
                    await items.athrow(error)
                except asyncio.CancelledError as through:
                    error = through
                    continue
                except StopAsyncIteration:
                    pass
                raise StageError(_CUT_SHORT)
        raise error


_CUT_SHORT = (
    "a cancel scope around a `yield` ended while the stages around it, in the same task, stood at a `yield` of their "
    "own, so they were cancelled and the rest would have been lost; leave the stage with that scope out of sf.fuse"
)


class Nest(Generators):
    """The stages of one `sf.fuse` over one input; `total` says how many there are if these are only the first."""

    def __init__(self, stages: Sequence[Stage[Any, Any]], items: AsyncIterable[Any], total: int | None = None) -> None:
        """Open nothing yet."""
        super().__init__(())
        self._stages = stages
        self._total = total or len(stages)
        self._items = items
        self._flows: dict[int, AsyncIterator[Any]] = {}
        self._codes: dict[int, object] = {}
        self._task: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> AsyncIterator[Any]:
        """Open the outermost; each opens the one inside when it begins to iterate."""
        self._task = asyncio.current_task()
        return self.flow(len(self._stages) - 1)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Say who raised the error, and close."""
        if error is not None and not isinstance(error, _STOPS):
            self._note(error)
        await super().__aexit__(kind, error, traceback)

    def flow(self, at: int) -> AsyncIterator[Any]:
        """Return the items that stage `at` emits; whoever asks again goes on where it was."""
        if at not in self._flows:
            if asyncio.current_task() is self._task:
                items = _Input(self, at - 1, self.name(at - 1)) if at else self._items
                self._flows[at] = flow = aiter(_form_of(self._stages[at])(items))
                self._codes[at] = _code_of(flow)
                self.opened.insert(0, flow)  # who opens one stands around it, and is open already
            else:
                self._flows[at] = nested(self._stages[: at + 1], self._items, self._total)
        return self._flows[at]

    def name(self, at: int) -> str:
        """Return the names of the stages up to this one, joined."""
        return " + ".join(stage.name for stage in self._stages[: at + 1])

    def _note(self, error: BaseException) -> None:
        told = any(note.startswith(_RAISED) for note in getattr(error, "__notes__", ()))
        at = None if told else self._raised_by(error)
        if at is not None:
            name = self._stages[at].name
            error.add_note(f"{_RAISED} {at + 1} of the {self._total} that are nested here: {name!r}")

    def _raised_by(self, error: BaseException) -> int | None:
        """Return the stage that raised; `None` where the error came from the input."""
        if isinstance(self._items, Reader) and self._items.raised is error:
            return None
        at, source = len(self._stages), _code_of(self._items)
        traceback = error.__traceback__
        while traceback is not None:
            code = traceback.tb_frame.f_code
            if at == 0 and code is source:
                return None
            at = next((inner for inner in reversed(range(at)) if self._codes.get(inner) is code), at)
            traceback = traceback.tb_next
        return at if at < len(self._stages) else None


class _Input:
    """What a nested stage is given: the items of the stage inside it."""

    __slots__ = ("_at", "_name", "_nest")

    def __init__(self, nest: Nest, at: int, name: str) -> None:
        self._nest = nest
        self._at = at
        self._name = name

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._nest.flow(self._at)

    async def __anext__(self) -> Any:
        return await self._nest.flow(self._at).__anext__()

    @property
    def __streamflow_parts__(self) -> tuple[Source[Any], tuple[()]]:
        """What it is to an operator that reads it in a run of its own."""
        return Source(lambda: self, name=self._name), ()


async def nested(
    stages: Sequence[Stage[Any, Any]], items: AsyncIterable[Any], total: int | None = None
) -> AsyncGenerator[Any, None]:
    """Nest stages by hand: an async generator that closes them. The arguments are those of `Nest`."""
    async with Nest(stages, items, total) as flow:
        async for item in flow:
            yield item


def _form_of(stage: Stage[Any, Any]) -> StageFunction[Any, Any]:
    """The form in which a stage is nested; around a callable it is one that need not find out first what that is."""
    if stage.transform is None or stage.refit is None:
        return stage.function
    transform: Any = stage.transform()
    return stage.refit(transform.fn)


def _code_of(items: object) -> object:
    """The code that shows in a traceback when this raises; `None` where it cannot be told."""
    code = getattr(items, "ag_code", None)
    if code is not None:
        return code
    step = getattr(type(items), "__anext__", None) or getattr(type(items), "__aiter__", None)
    return getattr(step, "__code__", None)


async def _close(items: AsyncIterator[Any]) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
