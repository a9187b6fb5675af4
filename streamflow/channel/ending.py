"""The ways to end a channel: `close`, `fail`, `abandon`, `shutdown`. None of them waits.

What lives here: the changes of state. What must not: what a state means (`states`).

`close` and `fail` are the writers' ends: the first one stands, and who is in line is served before it. `abandon` is the
reader's: it and `shutdown` turn away who is in line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from streamflow.channel.bound import NOTHING
from streamflow.channel.hand import Handed
from streamflow.errors import ChannelClosed, UsageError

__all__ = ["Ending"]

T = TypeVar("T")


def _never_an_end(error: BaseException) -> BaseException:
    """Do as generators do: raised at a reader's `async for`, these two would look like a clean end (P5)."""
    if not isinstance(error, (StopIteration, StopAsyncIteration)):
        return error
    disguised = RuntimeError(f"the writer failed with {type(error).__name__}")
    disguised.__cause__ = error
    return disguised


class Ending(Handed[T]):
    """A queue with an end."""

    def close(self) -> None:
        """End the channel cleanly: readers take what is left, then their iteration ends.

        Never waits; twice is harmless.
        Writers that wait now are served before the end; later ones get `ChannelClosed`.
        """
        if not self._ended:
            self._ended = True
            self.wake()

    def fail(self, error: BaseException) -> None:
        """End the channel with an error, which readers get after the items put before it. Never waits.

        After `close()`, `fail()` or `abandon()` it does nothing: the first ending stands.
        """
        if not isinstance(error, BaseException):
            raise UsageError(f"fail() needs an exception object, not {error!r}. To end without an error write close().")
        if not self._ended:
            self._failure = _never_an_end(error)
            self._failure_traceback = error.__traceback__
            self.close()

    def abandon(self) -> list[T]:
        """Leave as the reader: nothing will be taken any more. Return the items that were not delivered.

        They are counted as discarded. Waiting and later writers get `ReaderGone`. Twice is harmless.
        """
        self.note_peak()
        in_hand = list(self._hand)
        self._taken -= len(in_hand)
        left = [*in_hand, *self._queue]
        self._hand = NOTHING
        self._queue.clear()
        self._weights.clear()
        self._bytes = self._hand_bytes = 0
        self._discarded += len(left)
        self._forget_tasks(len(left))
        self._end_writers(self._gone)
        return left

    def shutdown(self, immediate: bool = False) -> None:  # noqa: FBT001, FBT002  # asyncio.Queue's own signature
        """End the channel as `asyncio.Queue.shutdown` does (Python 3.13), on every Python version.

        Unlike `close()` it turns waiting writers away with `ChannelClosed`; `immediate=True` also discards what is
        queued.
        """
        if immediate:
            self._forget_tasks(len(self._queue))
            self._discarded += len(self._queue)
            self._queue.clear()
            self._weights.clear()
            self._bytes = self._hand_bytes
        self._end_writers(self._refusal or self._shut)

    def _end_writers(self, refusal: Callable[[], ChannelClosed]) -> None:
        self._ended = True
        self._refusal = refusal
        for waiter in self._putters:
            if not waiter.done():
                waiter.set_result(None)  # each looks at the refusal when it resumes
        self.wake()
