"""Runs within runs: what was started inside a run belongs to its picture.

What lives here: `NestedStats`, the numbers of nested runs of one name; `Ledger`, where a run keeps those of its own;
`Beside`, for a channel that is part of no run; `publish`, by which a stage adds a value of its own; what else is read
beside the input, and so ends when the run is drained. What must not: how a run ends (conductor.py), texts about it
(observe).

How it works
------------
*Found by context.* The tasks of a run inherit a context variable that holds its ledger, and so does whatever they
start. A run that is started there enters that ledger. So an operator that runs further sources or branches has nothing
to do for it, nor has a user who runs a pipeline inside a stage.

*Bounded.* A stage may start thousands of runs in its life. Only those that go on are kept; one that has ended is added
to the totals of its name, together with what was nested in it. Of names there are at most `NAMES`, and then "others".

*No cycles.* A ledger knows neither the run that it belongs to nor, once they are over, those that were in it. So the
contexts of tasks and callbacks, which outlive a run, hold a handful of numbers and no run.

Nothing is counted here for an item: a run's channels and stages count anyway, and are asked when it ends, or when
somebody looks.
"""

# ruff: noqa: SLF001  # ledgers of one file that pass on to each other what they hold

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from operator import add
from threading import Lock
from typing import NamedTuple, Protocol, TypeAlias

from streamflow.channel import Channel
from streamflow.engine.names import in_source
from streamflow.engine.segments import Segment
from streamflow.stages import Stage

__all__ = [
    "NAMES",
    "Beside",
    "Counted",
    "Ledger",
    "NestedStats",
    "Numbers",
    "dropped_in",
    "heeding",
    "here",
    "publish",
    "sums",
    "told_to_end",
]

NAMES = 16
"""How many names of nested runs are told apart."""

VALUES = 64
"""How many values that its stages publish a run keeps."""

_OTHERS = "others"


@dataclass(frozen=True, slots=True)
class NestedStats:
    """What the runs of one name came to that were started by stages of another run: further sources, branches, groups.

    `runs` is how many there were (none for a mere channel, such as a branch of `tee`), of which `running` go on, and in
    `failed` of them an error began. `items_in` came in from their sources, `items_out` went to their sinks or to the
    stage that reads them. `dropped` items were dropped on purpose, by a stage or for lack of room (`overflow`).

    `put`, `got`, `discarded` and `items` (those that are in them now) are sums over their channels, and `balanced` says
    whether the account of each of those balances. What an overflow dropped from a channel is in `dropped` and not in
    `discarded`.
    """

    name: str
    runs: int = 0
    running: int = 0
    failed: int = 0
    items_in: int = 0
    items_out: int = 0
    dropped: int = 0
    put: int = 0
    got: int = 0
    discarded: int = 0
    items: int = 0
    balanced: bool = True


class Numbers(NamedTuple):
    """What `NestedStats` shows, as the ledger adds it up; `unbalanced` counts the channels whose account does not."""

    runs: int = 0
    running: int = 0
    failed: int = 0
    items_in: int = 0
    items_out: int = 0
    dropped: int = 0
    put: int = 0
    got: int = 0
    discarded: int = 0
    items: int = 0
    unbalanced: int = 0


def sums(channels: Iterable[tuple[int, int, int, int]]) -> tuple[int, int, int, int, int]:
    """Return the sums over the accounts of channels, as `Numbers` ends."""
    all_put = all_got = all_discarded = all_items = unbalanced = 0
    for put, got, discarded, items in channels:
        all_put += put
        all_got += got
        all_discarded += discarded
        all_items += items
        unbalanced += put != got + discarded + items
    return all_put, all_got, all_discarded, all_items, unbalanced


def dropped_in(segment: Segment) -> list[int]:
    """Return how many items each stage of a segment has dropped on purpose."""
    stages = segment.plan.stages
    for stage in stages:
        if stage.drops:
            break
    else:
        return [0] * len(stages)
    counts = segment.counts()
    guilty = segment.guilty(segment.error)[0] if segment.failed_here and segment.error is not None else None
    parts = [part for part in segment.plan.parts if isinstance(part.step, Stage)]  # one stage may stand twice
    missing = [counts[at] - counts[at + 1] - (part is guilty) for at, part in enumerate(parts)]
    return [max(0, missing[at]) if stage.drops else 0 for at, stage in enumerate(stages)]


class Counted(Protocol):
    """What can be entered in a ledger: a run, or a channel beside one."""

    @property
    def label(self) -> str:
        """The name under which it is counted."""

    def account(self) -> Numbers:
        """Return its numbers so far."""


_Totals: TypeAlias = dict[str, Numbers]

_lock = Lock()  # what runs in a worker thread inherits the context, too


def _add(totals: _Totals, name: str, numbers: Numbers) -> None:
    if name not in totals and len(totals) >= NAMES:
        name = _OTHERS
    totals[name] = Numbers(*map(add, totals[name], numbers)) if name in totals else numbers


class Ledger:
    """The runs that were started inside one run.

    `grace` is that of the run, in seconds: what is started inside it takes it over. `drained` says that its sources
    are to be read no more.
    """

    __slots__ = ("_heeding", "_live", "_moved", "_totals", "_values", "drained", "grace")

    def __init__(self, grace: float) -> None:
        """Begin with none."""
        self.grace = grace
        self.drained = False
        self._heeding: dict[Callable[[], object], bool] = {}
        self._live: dict[Counted, Ledger | None] = {}
        self._totals: _Totals = {}
        self._moved: Ledger | None = None
        self._values: dict[str, str] = {}

    def enter(self, entry: Counted, within: Ledger | None = None) -> None:
        """Count this one from now on; `within` is its own ledger, if it has one."""
        with _lock:
            self._where()._live[entry] = within

    def leave(self, entry: Counted) -> None:
        """It is over: add its numbers to the totals, with what was nested in it, and forget it. Twice is harmless."""
        with _lock:
            where = self._where()
            if entry in where._live:
                within = where._live.pop(entry)
                _add(where._totals, entry.label, entry.account())
                if within is not None:
                    where._take_over(within)

    def add(self, name: str, numbers: Numbers) -> None:
        """Add to the totals what belongs to no run, or happened after its run was over."""
        with _lock:
            _add(self._where()._totals, name, numbers)

    def heed(self, end: Callable[[], object], *, of_source: bool) -> None:
        """Call `end` when the run is drained, at once if that has been; `of_source`: it is of the run's own source."""
        self._heeding[end] = of_source
        if self.drained:
            end()

    def forget(self, end: Callable[[], object]) -> None:
        """What it would end has been closed. Twice is harmless."""
        self._heeding.pop(end, None)

    def drain(self) -> list[bool]:
        """End what is read beside the input; return for each whether it is a part of the run's own source."""
        self.drained = True
        for end in tuple(self._heeding):
            end()
        return list(self._heeding.values())

    def publish(self, name: str, value: str) -> None:
        """Keep a value under this name, or under the name with a number if it is taken."""
        with _lock:
            self._where()._keep(name, value)

    def _keep(self, name: str, value: str) -> None:
        key, number = name, 1
        while key in self._values:
            number += 1
            key = f"{name} ({number})"
        if len(self._values) < VALUES:
            self._values[key] = value

    def values(self) -> dict[str, str]:
        """Return the values so far, those of nested runs that are over too."""
        with _lock:
            return dict(self._values)

    def _where(self) -> Ledger:
        """The ledger that counts: the outer one, once that has taken this one over."""
        ledger = self
        while ledger._moved is not None:
            ledger = ledger._moved
        return ledger

    def _take_over(self, inner: Ledger) -> None:
        """Take what an ended run had nested; what still goes on there, or begins late, is counted here."""
        inner._moved = self
        self._live.update(inner._live)
        for name, numbers in inner._totals.items():
            _add(self._totals, name, numbers)
        for name, value in inner._values.items():
            self._keep(name, value)
        inner._live, inner._totals, inner._values = {}, {}, {}

    def stats(self) -> tuple[NestedStats, ...]:
        """Return the numbers so far by name, those of runs within nested runs too."""
        totals: _Totals = {}
        with _lock:
            self._add_to(totals)
        return tuple(
            NestedStats(name, *numbers[:-1], balanced=not numbers.unbalanced) for name, numbers in totals.items()
        )

    def _add_to(self, totals: _Totals) -> None:
        for name, numbers in self._totals.items():
            _add(totals, name, numbers)
        for entry, within in self._live.items():
            _add(totals, entry.label, entry.account())
            if within is not None:
                within._add_to(totals)


here: ContextVar[Ledger | None] = ContextVar("streamflow.run", default=None)
"""The ledger of the run whose task, or whatever that started, runs now."""


@contextmanager
def heeding(end: Callable[[], object], *, further: bool = False) -> Generator[None, None, None]:
    """For the block, call `end` when the run is drained: it ends what is read here as if there were no more.

    Only inside the source of a run, or where it is said to be a `further` one beside the input of a stage. What a stage
    reads for one of its items is not ended: that item is in flight.
    """
    ledger, of_source = here.get(), in_source()
    if ledger is None or not (of_source or further):
        yield
        return
    ledger.heed(end, of_source=of_source)
    try:
        yield
    finally:
        ledger.forget(end)


def told_to_end() -> bool:
    """Whether the run that this is called in was drained: that its sources have ended says nothing about them then."""
    ledger = here.get()
    return ledger is not None and ledger.drained


def publish(name: str, value: str) -> None:
    """Show a value in the report of the run that this is called in; outside a run it does nothing."""
    ledger = here.get()
    if ledger is not None:
        ledger.publish(name, value)


class Beside:
    """A channel of an operator that is part of no run; a `with` block counts it.

    Example: `with Beside("groups of group_by", channel): ...`
    """

    def __init__(self, label: str, channel: Channel[object]) -> None:
        """Describe it."""
        self.label = label
        self._channel = channel
        self._ledger = here.get()

    def account(self) -> Numbers:
        """Return the numbers of the channel."""
        return Numbers(0, 0, 0, 0, 0, 0, *sums([self._channel.account()]))

    def __enter__(self) -> None:
        """Begin to count."""
        if self._ledger is not None:
            self._ledger.enter(self)

    def __exit__(self, *_error: object) -> None:
        """It has been left: add it to the totals."""
        if self._ledger is not None:
            self._ledger.leave(self)
