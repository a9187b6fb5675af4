"""Operators that answer an error of the stages above: catch and fallback.

What lives here: what comes instead of the rest. What must not: running the same again (retrying.py), skipping single
items (`errors=` of `map`).

Raising is the default everywhere; these two are asked for, by type. What they answer is logged as a warning of the
logger `streamflow`, and counted as a failure of the stage it came from. A `UsageError` is answered only where its type
is named itself: misuse is not cured by going on (P10).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from inspect import isawaitable
from typing import Any, Literal, Never, TypeAlias, TypeVar, cast, overload

from streamflow.engine.feeding import reading
from streamflow.errors import UsageError
from streamflow.machinery.attempts import AHEAD, HOLDS, Emitted, attempt, shortened
from streamflow.machinery.stage_shapes import Adding
from streamflow.machinery.variables import A, B
from streamflow.operators.resuming import Resume
from streamflow.resolving import parts_of
from streamflow.stages import Sink, Stage
from streamflow.types import SourceLike

__all__ = ["catch", "fallback"]

E = TypeVar("E", bound=Exception)
_Raising: TypeAlias = Callable[[E], Awaitable[None] | None]

_log = logging.getLogger("streamflow")


@overload
def catch(*types: type[E], then: Literal["stop"] | _Raising[E]) -> Adding[Never]: ...
@overload
def catch(
    *types: type[E],
    then: Iterable[B] | AsyncIterable[B] | Callable[[E], SourceLike[B] | Awaitable[SourceLike[B] | None] | None],
) -> Adding[B]: ...
def catch(*types: type[E], then: Any) -> Adding[Any]:
    """End the stream cleanly, or with other items, when the stages above fail with an error of these types.

    Example:
        def rows():
            yield "1,10"
            raise ConnectionError("reset by peer")

        await sf.stream(rows).catch(ConnectionError, then=lambda error: [f"cut short: {error}"]).collect()
        # gives ["1,10", "cut short: reset by peer"]

    A caught error is no error any more: the sink commits what came before it. **A cut file then looks whole**, unless
    an item says that it is not. So there is no default for the types nor for what then happens. To skip single items
    whose call failed, use `errors=` of `sf.map`.

    * emits when: an item comes; after the error, when an item comes from what `then` says.
    * backpressures when: the stage below does; up to 64 items are read ahead of what comes instead.
    * completes when: the input ends, or what `then` says has ended.
    * on error: of these types: goes on as `then` says, after the items before it. Other errors, and those of what comes
      instead, are passed on.
    * on early stop: what came instead is closed.

    Each caught error is logged as a warning of the logger `streamflow`.

    Args:
        types: types of exceptions, at least one. A `UsageError` is caught only by its own type.
        then: `"stop"` ends the stream. An iterable or async iterable gives the items that come instead of the rest. A
            (sync or async) function is called with the error and returns such items; if it returns `None`, for example
            because it only logs, the error is raised after all.

    Raises `UsageError` for arguments that cannot mean anything. Cancellation: a call of `then` is cancelled, what came
    instead is closed.
    """
    _check_types("catch", types)
    _check_then(then)

    async def caught(items: AsyncIterable[A]) -> AsyncGenerator[Any, None]:
        try:
            async for item in items:
                yield item
        except types as error:
            instead = await _instead(then, error) if _is_meant(types, error) else None
            if instead is None:
                raise
            _log.warning("%s: caught %s", name, shortened(error))
        else:
            return
        async with reading(instead, maxsize=AHEAD) as reader:
            async for item in reader:
                yield item

    name = f"catch({', '.join(kind.__name__ for kind in types)})"
    return Adding(caught, name=name, holds_items=HOLDS)


def _check_types(operator: str, types: object) -> None:
    kinds = types if isinstance(types, tuple) else (types,)
    if not kinds or not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        raise UsageError(
            f"{operator} needs types of exceptions (subclasses of Exception), not {types!r:.60}. "
            f"Write {operator}(ConnectionError, ...)."
        )


def _check_then(then: object) -> None:
    if then == "continue":
        raise UsageError(
            "catch(then='continue') cannot be: what has failed gives no more items. To skip the items whose call fails "
            "write sf.map(fn, errors=sf.skip_errors(...)); to run what is above again, sf.retry(...)."
        )
    if isinstance(then, str) and then != "stop":
        raise UsageError(f"catch(then) must be 'stop', items, or a function of the error, not {then!r}.")
    if isinstance(then, (Stage, Sink)) or not (callable(then) or isinstance(then, (Iterable, AsyncIterable))):
        raise UsageError(
            f"catch(then) must be 'stop', items, or a function of the error, not {then!r:.60}. For one item write "
            f"then=[item]."
        )


def _is_meant(types: tuple[type[Exception], ...], error: Exception) -> bool:
    return not isinstance(error, UsageError) or any(issubclass(kind, UsageError) for kind in types)


async def _instead(then: Any, error: Exception) -> SourceLike[Any] | None:
    """Return what comes instead of the rest; `None`: nothing does, raise the error."""
    if isinstance(then, str):
        return ()
    if isinstance(then, (Iterable, AsyncIterable)):
        return then
    result = then(error)
    return cast("SourceLike[Any] | None", (await result) if isawaitable(result) else result)


def fallback(
    *sources: SourceLike[B],
    on: type[Exception] | tuple[type[Exception], ...] = Exception,
    resume: Resume | None = None,
) -> Adding[B]:
    """Go on with another source when what stands above fails, and with the next one when that fails too.

    Example:
        primary = sf.failing(ConnectionError("no route to host"))
        await sf.pipeline(primary, sf.fallback(["from", "the replica"]), sf.collect())  # gives ["from", "the replica"]

    * emits when: an item comes that is to be emitted.
    * backpressures when: the stage below does; up to 64 items are read ahead of a source.
    * completes when: the source that is read ends cleanly.
    * on error: opens the next source; the error of the last one, or one that is not meant, is raised as it is, with
      notes on those before it.
    * on early stop: the source that is open is closed. Those after it are never opened.

    Once items have been emitted, it has to be said where the next source goes on; else the error is raised, since a
    wrong guess would lose or repeat items silently. What fails is logged as a warning of the logger `streamflow`.

    Args:
        sources: iterables or async iterables, opened one after another, only when needed.
        on: on which types of errors; a `UsageError` counts only by its own type.
        resume: `None`: only as long as nothing has been emitted (a cache that is cold, a server that does not answer).
            `"after"`: the sources give the same items, and as many are skipped as were emitted. `"start"`: the next
            source is emitted from its start, after what was emitted already; items may come twice.

    Raises `UsageError` for arguments that cannot mean anything; `StageError` if a source in which items were to be
    skipped ends before them. Cancellation: the source that is open is closed.
    """
    if not sources:
        raise UsageError("fallback needs another source: fallback(replica).")
    _check_types("fallback", on)
    if resume not in (None, "start", "after"):
        raise UsageError(f"fallback(resume) must be 'start', 'after' or None, not {resume!r}.")
    names = [parts_of(source)[0].name for source in sources]
    kinds = on if isinstance(on, tuple) else (on,)

    async def fallen_back(items: AsyncIterable[A]) -> AsyncGenerator[Any, None]:
        line = _Line(names, kinds, resume)
        for source in (items, *sources):
            async with attempt(source, line.may_go_on) as reader:
                async for batch in reader.batches():
                    for item in line.new_of(batch):
                        yield item
            if reader.raised is None:
                line.check_end()
                return

    return Adding(fallen_back, name=f"fallback({', '.join(names)})", holds_items=HOLDS)


class _Line:
    """The sources in the order in which they are tried, and how many items were emitted."""

    def __init__(self, names: list[str], kinds: tuple[type[Exception], ...], resume: Resume | None) -> None:
        self._names = ["the first source", *names]
        self._kinds = kinds
        self._resume = resume
        self._at = 0
        self._emitted = Emitted()
        self._earlier: list[str] = []

    def new_of(self, batch: Sequence[A]) -> Sequence[A]:
        """Return the items that are to be emitted, which then happens."""
        return batch if self._resume == "start" else self._emitted.new_of(batch)

    def check_end(self) -> None:
        """Refuse an end within what was to be skipped: items would be missing."""
        self._emitted.check_end(self._names[self._at])

    def may_go_on(self, error: Exception) -> bool:
        """Whether the next source is to be opened; if not, the error is told what was before it."""
        if isinstance(error, self._kinds) and _is_meant(self._kinds, error) and self._at < len(self._names) - 1:
            if self._resume is not None or not self._emitted.count:
                self._go_on_after(error)
                return True
            error.add_note(
                f"fallback was not used, since {self._emitted.count} items had been emitted: write resume='after' if "
                f"the next source gives the same items, resume='start' to emit it from its start"
            )
        for text in self._earlier:
            error.add_note(text)
        return False

    def _go_on_after(self, error: Exception) -> None:
        text = f"{self._names[self._at]} failed with {shortened(error)}"
        self._earlier.append(f"before it, {text}")
        self._at += 1
        self._emitted.begin()
        _log.warning("fallback: %s; going on with %s", text, self._names[self._at])
