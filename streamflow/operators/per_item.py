"""A stage around a callable that is called for each item, in the form its first result asks for.

What lives here: the synchronous form of `map`, `filter`, `flat_map` and `tap`, and how it is found out that a callable
is asynchronous after all. What must not: the operators themselves (elements.py).

Only the first result is looked at. From then on the items run through `builtins.map` and its kin at C speed, where a
look at each result would cost more than the call. So a callable is synchronous or it is not: one that returns a value
for its first item and awaitables later is a mistake (an `async def` that awaits only where it must is not).
"""

from __future__ import annotations

import builtins
import itertools
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from streamflow.callables import is_coroutine_function
from streamflow.errors import UsageError
from streamflow.stages import Stage
from streamflow.transforms import NeedsAwait
from streamflow.types import StageFunction

__all__ = ["FILTER", "FLAT_MAP", "MAP", "TAP", "Form", "check_callable", "per_item"]


@dataclass(frozen=True, slots=True)
class Form:
    """One operator over a callable.

    Args:
        over: the operator over a stretch of input: `over(fn, items)`.
        first: what it emits for one item and the result of its call.
        asks: whether a result needs the async form.
    """

    over: Callable[[Callable[[Any], Any], Iterator[Any]], Iterator[Any]]
    first: Callable[[Any, Any], Iterable[Any]]
    asks: Callable[[Any], bool] = isawaitable


def _tapped(fn: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        fn(item)
        yield item


MAP = Form(builtins.map, lambda _item, result: (result,))
FILTER = Form(builtins.filter, lambda item, result: (item,) if result else ())
FLAT_MAP = Form(
    lambda fn, items: itertools.chain.from_iterable(builtins.map(fn, items)),
    lambda _item, result: result,
    lambda result: isawaitable(result) or isinstance(result, AsyncIterable),
)
TAP = Form(_tapped, lambda item, _result: (item,))


class _PerItem:
    """The transform; the first result tells whether the callable is synchronous after all."""

    done = False

    def __init__(self, fn: Callable[[Any], Any], form: Form) -> None:
        self.fn = fn
        self._form = form
        self._probed = False

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        return self._form.over(self.fn, items) if self._probed else self._probe(items)

    def _probe(self, items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            result = self.fn(item)
            if self._form.asks(result):
                raise NeedsAwait(self, item, result, items)
            self._probed = True
            yield from self._form.first(item, result)
            yield from self._form.over(self.fn, items)
            return  # not the next round: were a StopIteration out of `fn` what ended it, that would hide it (H36)

    def finish(self) -> Iterator[Any]:
        return iter(())


def check_callable(operator: str, function: object) -> None:
    """Refuse what cannot be called, naming the operator."""
    if not callable(function):
        raise UsageError(
            f"{operator} needs a function to call for each item, not {type(function).__name__} {function!r:.60}."
        )


def per_item(
    name: str,
    fn: Callable[..., Any],
    form: Form,
    awaiting: Callable[[Callable[..., Any]], StageFunction[Any, Any]],
    *,
    one_to_one: bool = False,
    drops: bool = False,
) -> Stage[Any, Any]:
    """Build the stage of an operator around a callable: synchronous and fusible, unless it is a coroutine function."""
    check_callable(name, fn)
    if is_coroutine_function(fn):
        return Stage(awaiting(fn), name=name, callable=fn, one_to_one=one_to_one, drops=drops)
    return Stage(
        name=name,
        transform=lambda: _PerItem(fn, form),
        refit=awaiting,
        callable=fn,
        one_to_one=one_to_one,
        drops=drops,
    )
