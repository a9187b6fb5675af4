"""Which items pass: the state machines behind selecting.py.

What lives here: what `take`, `skip` and their kin remember, and how they use it over a stretch of input. What must not:
the operators and their words (selecting.py), calling what may be asynchronous (per_item.py).

Each is a generator over the stretch, which costs what the C iterators of itertools cost where a Python function is
called, and knows what those do not tell: whether they ended because they had enough. Once a `skip` has skipped, it
hands on the input itself and costs nothing any more.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

from streamflow.machinery.functions.forms import Form

__all__ = ["Dedupe", "Distinct", "Keyed", "Skip", "SkipLast", "SkipWhile", "Take", "TakeLast", "TakeWhile"]


class Take:
    """The first `n` items."""

    def __init__(self, n: int) -> None:
        """Nothing has been taken."""
        self._left = n

    @property
    def done(self) -> bool:
        """Whether they have passed."""
        return self._left == 0

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        """Pass what is left to pass."""
        for item in itertools.islice(items, self._left):
            self._left -= 1
            yield item

    def finish(self) -> Iterator[Any]:
        """Nothing is held."""
        return iter(())


class Skip:
    """All but the first `n` items."""

    done = False

    def __init__(self, n: int) -> None:
        """Nothing has been skipped."""
        self._left = n

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        """Skip what is left to skip; after that hand on the input itself."""
        return self._skip(items) if self._left else items

    def _skip(self, items: Iterator[Any]) -> Iterator[Any]:
        for _ in itertools.islice(items, self._left):
            self._left -= 1
        yield from items

    def finish(self) -> Iterator[Any]:
        """Nothing is held."""
        return iter(())


class TakeLast:
    """The last `n` items, at the end."""

    def __init__(self, n: int) -> None:
        """Nothing has come."""
        self.done = n == 0
        self._last: deque[Any] = deque(maxlen=n)

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        """Remember."""
        self._last.extend(items)
        yield from ()

    def finish(self) -> Iterator[Any]:
        """Give what is remembered, each item once."""
        while self._last:
            yield self._last.popleft()


class SkipLast:
    """All but the last `n` items: each passes when `n` more have come."""

    done = False

    def __init__(self, n: int) -> None:
        """Nothing has come."""
        self._n = n
        self._held: deque[Any] = deque()

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        """Hold the first, then give one for each."""
        return self._behind(items) if self._n else items

    def _behind(self, items: Iterator[Any]) -> Iterator[Any]:
        held = self._held
        held.extend(itertools.islice(items, self._n - len(held)))
        for item in items:
            out = held.popleft()
            held.append(item)
            yield out

    def finish(self) -> Iterator[Any]:
        """What is held is not wanted."""
        return iter(())


class TakeWhile(Form):
    """The items before the first that is refused, and that one too if it is `inclusive`."""

    def __init__(self, *, inclusive: bool) -> None:
        """Nothing has been refused."""
        self._inclusive = inclusive

    def over(self, fn: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
        """Pass items until one is refused."""
        for item in items:
            if not fn(item):
                self.done = True
                if self._inclusive:
                    yield item
                return
            yield item


class SkipWhile(Form):
    """The items from the first that is refused."""

    def __init__(self) -> None:
        """Nothing has been refused."""
        self.passing = False

    def over(self, fn: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
        """Skip items until one is refused; after that hand on the input itself."""
        return items if self.passing else self._skip(fn, items)

    def _skip(self, fn: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            if not fn(item):
                self.passing = True
                yield item
                yield from items
                return


class Keyed(Form):
    """A form over a key function that can do without: then it is a transform by itself, and the item is its key."""

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        """Pass what passes with the item as its key."""
        return self.over(None, items)

    def finish(self) -> Iterator[Any]:
        """Nothing is held."""
        return iter(())


class Distinct(Keyed):
    """The items whose key is not among the `n` keys that were seen last."""

    def __init__(self, n: int, refuse: Callable[[object], None]) -> None:
        """Nothing has been seen."""
        self._n = n
        self._refuse = refuse
        self._seen: OrderedDict[Any, None] = OrderedDict()

    def over(self, fn: Callable[[Any], Any] | None, items: Iterator[Any]) -> Iterator[Any]:
        """Pass what is new."""
        n, seen = self._n, self._seen
        for item in items:
            key = item if fn is None else fn(item)
            try:
                if key in seen:
                    seen.move_to_end(key)
                    continue
                seen[key] = None
            except TypeError:
                self._refuse(key)
                raise
            if len(seen) > n:
                seen.popitem(last=False)
            yield item


class Dedupe(Keyed):
    """The items whose key differs from that of the item before."""

    def __init__(self) -> None:
        """Nothing has come; the first differs from nothing."""
        self._last: tuple[Any, ...] = ()

    def over(self, fn: Callable[[Any], Any] | None, items: Iterator[Any]) -> Iterator[Any]:
        """Pass what differs."""
        if not self._last:
            for item in items:
                self._last = (item if fn is None else fn(item),)
                yield item
                break
            else:
                return
        (last,) = self._last
        try:
            for item in items:
                key = item if fn is None else fn(item)
                # As in a list or a `groupby`: what is the same object is equal, also NaN.
                if key is last or key == last:
                    continue
                last = key
                yield item
        finally:
            self._last = (last,)
