"""The state: whether the channel has ended, how, and what that means to a writer and to a reader.

What lives here: the questions, and the errors that answer. What must not: the ways to end it, which wake who waits
(`ending`).

`_ended` refuses new writers. `_refusal`, set when nobody reads any more or by `shutdown()`, refuses those in line too.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from streamflow.channel.bound import Bounded
from streamflow.errors import ChannelClosed, EndOfChannel, ReaderGone

__all__ = ["Stated"]

T = TypeVar("T")


class Stated(Bounded[T]):
    """A bounded queue that can have ended."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._ended = False
        self._refusal: Callable[[], ChannelClosed] | None = None
        self._failure: BaseException | None = None
        self._failure_traceback: TracebackType | None = None

    @property
    def state(self) -> str:
        """`open`, `closed` (items are left), `drained`, `failed` or `reader gone`."""
        if self._refusal == self._gone:
            return "reader gone"
        if self._failure is not None:
            return "failed"
        if not self._ended:
            return "open"
        return "drained" if self._over() else "closed"

    @property
    def over(self) -> bool:
        """Whether no reader will ever get another item."""
        return self._over()

    @property
    def closing(self) -> bool:
        """Whether it has ended for new writers."""
        return self._ended

    @property
    def failure(self) -> BaseException | None:
        """The error given to `fail()`, once a reader has taken everything put before it; else `None`."""
        return self._failure if self._over() else None

    def _over(self) -> bool:
        """Whether no reader will ever get another item: neither a writer admitted before the end nor a slot is left."""
        if self._queue or not self._ended:
            return False
        return self._refusal is not None or not (self._putters or self._reserved)

    def _ending(self) -> BaseException:
        if self._failure is None or self._refusal == self._gone:
            return EndOfChannel(f"{self.name} has ended: it was closed and everything has been taken")
        # The same object for every reader, without growing its traceback each time.
        return self._failure.with_traceback(self._failure_traceback)

    def _refuse_if_ended(self) -> None:
        if self._refusal is not None:
            raise self._refusal()
        if self._ended:
            raise ChannelClosed(f"{self.name} is {self.state}: nothing can be put after the end") from self._failure

    def _gone(self) -> ReaderGone:
        return ReaderGone(f"the reader of {self.name} has left: nothing put now would ever be taken")

    def _shut(self) -> ChannelClosed:
        return ChannelClosed(f"{self.name} was shut down: nothing can be put any more")
