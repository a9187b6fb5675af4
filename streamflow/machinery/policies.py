"""What to do when a call or a source fails: try again, or skip the item. As values, without running anything.

What lives here: `Backoff`, `Retry`, `ErrorPolicy` and `skip_errors`, `DeadLetter`. What must not: calls, pauses and
counts of a run (calling.py, skipping.py).

Raising is the default everywhere; a policy is asked for. A cancellation is no failure: no policy applies to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

from streamflow.callables import is_coroutine_function
from streamflow.channel import Channel
from streamflow.errors import UsageError
from streamflow.limits import check_capacity

__all__ = ["Backoff", "DeadLetter", "ErrorPolicy", "Retry", "skip_errors"]

T_co = TypeVar("T_co", covariant=True)

Recoverable: TypeAlias = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Which errors are worth another try: types of exceptions, or a function that says so."""


def _drawn() -> float:
    """Draw a number from 0 to 1, from the generator of all of Python."""
    number: float = import_module("random").random()  # here, since few draw one
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to pause before each further attempt: `first` seconds, then `factor` times as long each time.

    Example: `[*itertools.islice(Backoff(jitter=False), 4)] == [0.1, 0.2, 0.4, 0.8]`; each iteration starts anew.

    Args:
        first: seconds before the second attempt.
        factor: by how much each pause is longer than the one before, at least 1.
        most: seconds that no pause exceeds.
        jitter: draw each pause evenly from 0 to its length, so that many clients that failed together do not come back
            together.
        random: gives numbers from 0 to 1 for the jitter; `random.Random(7).random` makes it repeatable.

    Raises `UsageError` for numbers that cannot mean anything.
    """

    first: float = 0.1
    factor: float = 2.0
    most: float = 30.0
    jitter: bool = True
    random: Callable[[], float] = field(default=_drawn, repr=False)

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_capacity("Backoff(first)", self.first, whole=False)
        check_capacity("Backoff(factor)", self.factor, whole=False)
        check_capacity("Backoff(most)", self.most, whole=False)
        if self.factor < 1:
            raise UsageError(f"Backoff(factor) must be at least 1, not {self.factor!r}: pauses do not get shorter.")
        if self.most < self.first:
            raise UsageError(f"Backoff(most={self.most:g}) is less than the first pause of {self.first:g} s.")
        draw: object = self.random
        if not callable(draw):
            raise UsageError(f"Backoff(random) must be a function such as random.Random(7).random, not {draw!r:.60}.")

    def __iter__(self) -> Iterator[float]:
        """Give the pauses in seconds, without end."""
        pause = min(self.first, self.most)
        while True:
            yield self.random() * pause if self.jitter else pause
            pause = min(pause * self.factor, self.most)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after a failure that is worth it.

    Example: `sf.map(fetch, concurrency=16, retry=sf.Retry(5, on=(OSError, TimeoutError)))`

    Args:
        attempts: how many there are in all, the first one included.
        on: which errors are worth another attempt: a type of exception, several in a tuple, or a (sync) function that
            gets the error and returns whether.
        backoff: the pauses between attempts.
        reset_after: for sources: seconds of good running after which the attempts and pauses are counted from the
            start again; `None` never does that.

    Raises `UsageError` for what cannot mean anything. A `CancelledError` is never worth another attempt, nor is a
    `UsageError`; a cancellation in a pause ends it.
    """

    attempts: int = 3
    on: Recoverable = (OSError, TimeoutError)
    backoff: Backoff = field(default_factory=Backoff, kw_only=True)
    reset_after: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_capacity("Retry(attempts)", self.attempts)
        if self.reset_after is not None:
            check_capacity("Retry(reset_after)", self.reset_after, whole=False)
        if not isinstance(self.backoff, Backoff):
            raise UsageError(f"Retry(backoff) must be a Backoff, not {self.backoff!r}. Write Backoff(first=0.1).")
        on: object = self.on
        if isinstance(on, (type, tuple)):
            _check_types("Retry(on)", on if isinstance(on, tuple) else (on,))
        elif not callable(on) or is_coroutine_function(on):
            raise UsageError(
                f"Retry(on) must be types of exceptions or a synchronous function of the error, not {on!r}."
            )

    def applies(self, error: BaseException) -> bool:
        """Return whether this error is worth another attempt."""
        if not isinstance(error, Exception) or isinstance(error, UsageError):
            return False  # a cancellation, Ctrl-C; or a mistake that no attempt mends
        if isinstance(self.on, (type, tuple)):
            return isinstance(error, self.on)
        return bool(self.on(error))

    def delays(self) -> Iterator[float]:
        """Give the pause in seconds before each further attempt: one fewer than there are attempts."""
        return islice(self.backoff, self.attempts - 1)

    @staticmethod
    def note(error: BaseException, attempts: int) -> None:
        """Note on the error that is raised in the end that it was not the first."""
        if attempts > 1:
            error.add_note(f"after {attempts} attempts")


@dataclass(frozen=True, slots=True)
class DeadLetter(Generic[T_co]):
    """An item that was skipped because its call failed, and why.

    Example: `sf.map(parse, errors=sf.skip_errors(ValueError, to=lambda letter: log.warning("%s", letter)))`

    Args:
        item: the item as it came in.
        error: what the call raised, without its traceback: that would keep the variables of every frame alive, and with
            them more items, for as long as the letter is kept.
        stage: the name of the stage.
        number: which item of the stage's input it was, from 1.
        where: `file:line` at which the error was raised.
    """

    item: T_co
    error: Exception
    stage: str
    number: int
    where: str = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPolicy:
    """Which failures are skipped, how many of them, and where they go; made by `skip_errors`."""

    types: tuple[type[Exception], ...]
    budget: int | None
    fraction: float | None
    min_items: int
    to: Channel[DeadLetter[Any]] | Callable[[DeadLetter[Any]], object] | None


def skip_errors(
    *types: type[Exception],
    budget: int | None = None,
    fraction: float | None = None,
    min_items: int = 100,
    to: Channel[DeadLetter[Any]] | Callable[[DeadLetter[Any]], object] | None = None,
) -> ErrorPolicy:
    """Skip items whose call fails, for `errors=` of `map` and `for_each`; they are counted as dropped.

    Example: `await sf.stream(["1", "x", "3"]).map(int, errors=sf.skip_errors(ValueError, budget=10)).collect()` gives
    `[1, 3]`.

    * emits when: never by itself; the stage emits nothing for an item that is skipped.
    * backpressures when: `to` is a `Channel` without room, or a function at work.
    * completes when: the stage does.
    * on error: another error, one too many, and what `to` raises end the stream after the results before it.
    * on early stop: nothing to undo.

    What is raised for the first item too many is its own error, with a note that says how many there were.

    Args:
        types: which errors; none given means every `Exception`. A cancellation is never skipped, nor a `UsageError`.
        budget: how many items at most may be skipped in a run; `None` sets no limit.
        fraction: which part of the items at most may be skipped, above 0 and below 1; looked at from `min_items` on,
            and at the end of the input.
        min_items: how many items there must have been before `fraction` counts.
        to: where skipped items go, as `DeadLetter`s: a `Channel`, whose room is waited for (close it when the run has
            ended), or a (sync or async) function.

    Raises `UsageError` for arguments that cannot mean anything. Cancellation: an item on its way to `to` may not arrive
    there.
    """
    _check_types("skip_errors", types)
    if budget is not None and (budget != 0 or isinstance(budget, bool)):
        check_capacity("skip_errors(budget)", budget)
    if fraction is not None:
        check_capacity("skip_errors(fraction)", fraction, whole=False)
        if fraction >= 1:
            raise UsageError(f"skip_errors(fraction) must be below 1, not {fraction!r}: with 1 it has no effect.")
    elif min_items != 100:  # noqa: PLR2004  # the default
        raise UsageError("skip_errors(min_items) has no effect without fraction=.")
    check_capacity("skip_errors(min_items)", min_items)
    if to is not None and not isinstance(to, Channel) and not callable(to):
        raise UsageError(f"skip_errors(to) must be a Channel or a function of the DeadLetter, not {to!r:.60}.")
    return ErrorPolicy(types=types or (Exception,), budget=budget, fraction=fraction, min_items=min_items, to=to)


def _check_types(name: str, types: tuple[object, ...]) -> None:
    for kind in types:
        if not isinstance(kind, type) or not issubclass(kind, Exception):
            raise UsageError(f"{name} takes types of exceptions (subclasses of Exception), not {kind!r:.60}.")
