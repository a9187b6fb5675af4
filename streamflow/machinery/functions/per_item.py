"""A stage around a callable that is called for each item, in the form its first result asks for.

What lives here: how it is found out that a callable is asynchronous after all, and the stage that follows from it. What
must not: what is made of the results (forms.py), the operators themselves (elements.py and others).

Only the first result is looked at. From then on the items run through `builtins.map` and its kin at C speed, where a
look at each result would cost more than the call. So a callable is synchronous or it is not: one that returns a value
for its first item and awaitables later is a mistake (an `async def` that awaits only where it must is not). Where it
costs nothing the mistake is an error; `map` hands the awaitable on as the item, and `filter` takes it for true, with
Python's own warning that it was never awaited.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from inspect import isawaitable
from types import FunctionType
from typing import Any, TypeVar, cast

from streamflow.callables import is_coroutine_function, name_of
from streamflow.errors import UsageError
from streamflow.machinery.functions.forms import FILTER, FLAT_MAP, MAP, TAP, Form, Spread
from streamflow.stages import Stage
from streamflow.transforms import NeedsAwait
from streamflow.types import StageFunction

__all__ = ["FILTER", "FLAT_MAP", "MAP", "TAP", "Form", "Spread", "check_callable", "check_plain", "per_item"]

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound=Stage[Any, Any])


class _PerItem:
    """The transform; the first result tells whether the callable is synchronous after all."""

    def __init__(self, name: str, fn: Callable[[Any], Any], form: Form) -> None:
        self.fn = fn
        self._name = name
        self._form = form
        self._probed = False

    @property
    def done(self) -> bool:
        return self._form.done

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        return self._form.over(self.fn, items) if self._probed else self._probe(items)

    def _probe(self, items: Iterator[Any]) -> Iterator[Any]:
        form = self._form
        for item in items:
            result = self.fn(form.given(item))
            if form.asks(result):
                raise NeedsAwait(self, item, result, items)
            self._probed = True
            yield from form.over(_giving(result), iter((item,)))
            if not form.done:
                yield from form.over(self.fn, items)
            return  # not the next round: were a StopIteration out of `fn` what ended it, that would hide it (H36)

    def finish(self) -> Iterator[Any]:
        rest = self._form.ending()
        if FLAT_MAP.asks(rest):
            getattr(rest, "close", int)()  # a coroutine; else Python would warn of it too
            raise UsageError(
                f"{self._name}: what was called at the end returned {type(rest).__name__}, which has to be awaited, "
                f"but the stage runs synchronously. Give the coroutine function or async generator function itself."
            )
        return iter(rest)


def _giving(result: Any) -> Callable[[Any], Any]:
    """Stand in for a callable whose result is there."""
    return lambda _item: result


def check_callable(operator: str, function: object) -> None:
    """Refuse what cannot be called, naming the operator."""
    if not callable(function):
        raise UsageError(
            f"{operator} needs a function to call for each item, not {type(function).__name__} {function!r:.60}."
        )


def check_plain(operator: str, function: object) -> None:
    """Refuse what cannot be called, and what would have to be awaited where nobody awaits, naming the argument."""
    check_callable(operator, function)
    if is_coroutine_function(function):
        raise UsageError(
            f"{operator} must be a plain function: nobody would await the coroutine function {name_of(function)!r} "
            f"there. Do in a stage before, by sf.map(fn), what has to be awaited."
        )


def own_frame(function: F) -> F:
    """Return the function with a code object of its own, by which the engine knows a stage in a traceback."""
    plain = cast("FunctionType", function)
    own = FunctionType(plain.__code__.replace(), plain.__globals__, plain.__name__, closure=plain.__closure__)
    return cast("F", own)


def per_item(
    name: str,
    fn: Callable[..., Any],
    form: Form | Callable[[], Form],
    awaiting: Callable[[Callable[[Any], Any]], StageFunction[Any, Any]] | None = None,
    *,
    spread: bool = False,
    awaits: bool = False,
    one_to_one: bool = False,
    drops: bool = False,
    holds_items: int = 1,
    kind: type[S] = Stage,  # type: ignore[assignment]  # `S` is what the operator says it returns
) -> S:
    """Build the stage of an operator around a callable: synchronous and fusible, unless it is a coroutine function.

    Args:
        name: the operator, as shown in plans and errors.
        fn: the callable.
        form: what is made of the results; where that has state, what makes one for each run.
        awaiting: a faster async form than the one that can be derived from `form`.
        spread: whether `fn` takes several arguments; then `form.given` is the tuple of them.
        awaits: take the async form, whatever `fn` is.
        one_to_one: as for `Stage`.
        drops: as for `Stage`.
        holds_items: as for `Stage`.
        kind: the subclass of `Stage` to make, of an operator whose type follows from its input.
    """
    check_callable(name.partition("(")[0], fn)
    make: Callable[[], Form] = (lambda: form) if isinstance(form, Form) else form
    call = Spread(fn) if spread else fn
    build: Callable[..., S] = partial(
        kind, name=name, callable=fn, one_to_one=one_to_one, drops=drops, holds_items=holds_items
    )
    if awaits or is_coroutine_function(fn):
        return build(awaiting(call) if awaiting is not None else _awaiting(make, call))
    refit = awaiting if awaiting is not None else partial(_awaiting, make, call)
    return build(transform=lambda: _PerItem(name, call, make()), refit=refit)


def _awaiting(
    make: Callable[[], Form], fn: Callable[[Any], Any], first: Callable[[Any], Any] | None = None
) -> StageFunction[Any, Any]:
    """Derive the async form: the form is given each result when that has been awaited.

    Args:
        make: makes the form of a run.
        fn: the callable.
        first: stands for it at the first item, where that call has been made already.
    """

    async def awaited(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        form, made = make(), first
        async for item in items:
            if form.passing:
                yield item
                continue
            result = fn(form.given(item)) if made is None else made(item)
            made = None
            result = await result if isawaitable(result) else result
            for out in form.over(_giving(result), iter((item,))):
                yield out
            if form.done:
                break
        async with aclosing(_unrolled(form.ending())) as rest:
            async for out in rest:
                yield out

    return awaited


async def _unrolled(rest: Any) -> AsyncGenerator[Any, None]:
    """Give the items of an iterable, or of an async iterable, or of an awaitable of one."""

    async def once() -> AsyncGenerator[None, None]:
        yield None

    unrolling = FLAT_MAP.awaiting(lambda _: rest)
    async with aclosing(once()) as single, aclosing(cast("AsyncGenerator[Any, None]", unrolling(single))) as outs:
        async for out in outs:
            yield out
