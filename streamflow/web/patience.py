"""How long a client may keep us waiting: all in all, and by how fast it sends.

What lives here: `Patience`, which reckons with seconds and bytes that it is told. What must not: clocks, waiting, what
is said when the patience is over.

Only the time over which we waited for the client counts. While our own stages are busy nothing is read, the client
cannot send, and that is not its fault.

How it works. The minimum rate is kept as an account in seconds, which begins full with `window` of them. A second of
waiting takes one out; so many bytes as make a second at the minimum rate put one in; more than `window` never fit. A
client that sends nothing has `window` seconds; one that sends too slowly has longer, the nearer it is to the rate; one
that sends faster has all its life.
"""

from __future__ import annotations

import math

__all__ = ["Patience"]


class Patience:
    """What is left of the patience with one client.

    Example: `patience.waited(2.0)`, `patience.received(65536)`, then `patience.left()` says how long to wait next.

    Args:
        timeout: seconds of waiting in all; `None` for no limit.
        min_rate: bytes a second; `None` for no limit.
        window: seconds over which a client may be slower than that.
    """

    def __init__(self, timeout: float | None, min_rate: float | None, window: float) -> None:
        """Begin with all of it."""
        self.waited_for = 0.0
        self.bytes = 0
        self._timeout = math.inf if timeout is None else timeout
        self._rate = min_rate
        self._window = self._account = math.inf if min_rate is None else window

    def waited(self, seconds: float) -> None:
        """Note that we waited for the client."""
        self.waited_for += seconds
        self._account -= seconds

    def received(self, size: int) -> None:
        """Note that so many bytes came."""
        self.bytes += size
        if self._rate is not None:
            self._account = min(self._window, self._account + size / self._rate)

    def left(self) -> float | None:
        """Return how many seconds to wait at most for what comes next; `None` for no limit."""
        left = min(self._account, self._timeout - self.waited_for)
        return None if left == math.inf else max(0.0, left)

    def over(self) -> str:
        """Return which limit has passed, in words."""
        came = f"{self.bytes:,} bytes in {self.waited_for:.1f} s of waiting for the client"
        if self._timeout <= self.waited_for:
            return f"timeout={self._timeout:g}: {came}"
        return f"min_rate={self._rate or 0:g} bytes a second over window={self._window:g} s: {came}"
