"""One upstream, many clients: `Shared`.

What lives here: what a client that is too slow loses, and who is there. What must not: when the upstream runs
(upstream.py), how an item gets to several (operators/hub.py), responses (responses.py), sockets (websockets.py).

A client subscribes when its response begins to read, and is forgotten when the generator behind that is closed, however
that comes about.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Generic, Literal, Self, TypeAlias, TypeVar, get_args

from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.fans.fan import OutletStats, Overflow
from streamflow.machinery.fans.subscriptions import Subscription
from streamflow.stages import Source
from streamflow.streams import Stream, stream
from streamflow.types import SourceLike
from streamflow.web.upstream import Upstream

__all__ = ["Shared", "SharedStats", "Slow"]

T = TypeVar("T")

Slow: TypeAlias = Literal["gate", "drop_oldest", "drop_newest", "latest", "end"]
"""What happens to an item for which a client has no room."""

_RULES: dict[Slow, Overflow] = {
    "gate": "block",
    "drop_oldest": "drop_oldest",
    "drop_newest": "drop_newest",
    "latest": "drop_oldest",
    "end": "fail",
}


@dataclass(frozen=True, slots=True)
class SharedStats:
    """What a shared stream has seen so far: a snapshot.

    `state` is `"closed"`, `"idle"` (nobody listens, so the upstream does not run), `"running"` or `"failed"` (then
    `error` says why; the next client starts it anew). `sessions` counts the starts of the upstream, `items` what it has
    given in all, `dropped` what clients lost because they were too slow, those that have left included, `ended` the
    clients that were sent away for it. `clients` has the numbers of each one that is there, by the name it was given;
    `left` counts those that have gone.
    """

    name: str
    state: str
    sessions: int
    items: int
    dropped: int
    ended: int
    left: int
    clients: tuple[OutletStats, ...]
    error: str | None = None


class Shared(Generic[T]):
    """A live stream that is read once and sent to any number of clients, each at its own pace.

    Example:
        prices = web.Shared(feed_of_prices(), slow="latest")
        app = FastAPI(lifespan=web.lifespan(shared=[prices]))

        @app.get("/prices")
        async def live(request: Request):
            return web.sse(prices.stream(name=request.client.host))

        @app.websocket("/prices")
        async def socket(websocket: WebSocket):
            await websocket.accept()
            await prices.stream().to(web.send_to(websocket)).run()

    Args:
        source: the upstream, which can be opened again for each session: a `Stream`, a `Source`, a list.
        maxsize: how many items may wait for each client.
        slow: what happens to an item for which a client has no room, where `stream()` does not say otherwise. `"gate"`:
            the upstream waits, so the slowest client sets the pace of all; a client that takes nothing at all is ended
            by the send timeout of its response. `"drop_oldest"` and `"drop_newest"` lose an item, for this client only,
            and count it. `"latest"` skips forward: one item waits, always the newest. `"end"` sends the client away:
            after the items that wait its stream raises `LimitExceeded`, so its response is broken off.
            Whatever the rule, what is on its way to a client already is still sent: two items, and what its response,
            the server and the system hold for it.
        start: when the upstream runs: from the `"first"` client until the last has left, or with the `"app"`, from the
            beginning of the block to its end.
        linger: seconds for which the upstream goes on when the last client has left, with `start="first"`.
        name: shown in statistics and errors.

    The block (`async with`, or `web.lifespan(shared=[...])`) owns the upstream. At its end the upstream is closed, and
    the clients' streams end after what waits for them. When the upstream ends, so do their streams; when it fails, they
    raise its error, and the next client starts it anew. For a feed that is to be taken up again without the clients
    noticing, put `sf.retry` into the source.

    Items are shared, not copied. Raises `UsageError` for what cannot mean anything.
    """

    def __init__(
        self,
        source: SourceLike[T],
        *,
        maxsize: int = 64,
        slow: Slow = "gate",
        start: Literal["first", "app"] = "first",
        linger: float = 0.0,
        name: str = "shared",
    ) -> None:
        """Check; nothing runs before the block."""
        check_capacity("Shared(maxsize)", maxsize)
        _check_slow(slow)
        if start not in {"first", "app"}:
            raise UsageError(f'Shared(start) is "first" (client) or "app", not {start!r}.')
        if linger != 0:
            check_capacity("Shared(linger)", linger, whole=False)
        self.name = name
        self._maxsize = maxsize
        self._slow: Slow = slow
        self._upstream = Upstream(stream(source), name=name, maxsize=maxsize, always=start == "app", linger=linger)
        self._clients: dict[str, Subscription[T]] = {}
        self._numbers = itertools.count(1)
        self._dropped = self._ended = self._left = 0

    def __repr__(self) -> str:
        """Show the name, where it stands, and how many clients there are."""
        return f"<Shared {self.name!r}: {self._upstream.state()}, {len(self._clients)} clients>"

    async def __aenter__(self) -> Self:
        """Be ready for clients; with `start="app"`, start the upstream. Raises `UsageError` when it is open already."""
        if self._upstream.is_open:
            raise UsageError(f"The shared stream {self.name!r} is open already.")
        self._upstream.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the upstream and wait for that; the clients' streams end after what waits for them."""
        await self.close()

    async def close(self) -> None:
        """End early what the end of the block ends. Twice is harmless.

        Cancellation: waits all the same until the upstream is closed, then goes on as it came.
        """
        await self._upstream.close()

    # --- clients ---------------------------------------------------------------------------------------------------

    def stream(self, *, slow: Slow | None = None, maxsize: int | None = None, name: str = "client") -> Stream[T]:
        """Return what one client gets: the items that come from the moment on at which it begins to read.

        Example: `web.sse(prices.stream(slow="latest", name=request.client.host))`; to greet it with what is known
        already: `prices.stream().prepend(latest_known)`.

        It subscribes when it is read, and leaves when that ends, however it ends. Each further reading is another
        client.

        Args:
            slow: what happens to an item for which it has no room; `None` for the rule of all.
            maxsize: how many items may wait for it; `None` for the number of all. `"latest"` always has 1.
            name: shown in statistics, with a number.

        Raises `UsageError` for what cannot mean anything; when it is read outside the block of this `Shared`. After the
        block it ends at once.
        """
        rule = self._slow if slow is None else slow
        _check_slow(rule)
        size = 1 if rule == "latest" else self._maxsize if maxsize is None else maxsize
        check_capacity("Shared.stream(maxsize)", size)
        return stream(
            Source(
                lambda: self._heard(rule, size, name),
                name=f"{self.name} for {name}",
                holds_items=size,
                # Only a client that is seen to be busy can be skipped: what lies further down must not hide it.
                output_capacity=None if rule == "gate" else 1,
            )
        )

    async def _heard(self, rule: Slow, size: int, name: str) -> AsyncGenerator[T, None]:
        if self._upstream.closed:
            return
        if not self._upstream.is_open:
            raise UsageError(
                f"The shared stream {self.name!r} is not open. Write FastAPI(lifespan=web.lifespan(shared=[...])), or "
                f"`async with` around the life of the application."
            )
        session = self._upstream.join()
        client = f"{name} {next(self._numbers)}"
        subscription = session.hub.subscribe(maxsize=size, overflow=_RULES[rule])
        self._clients[client] = subscription
        try:
            async for item in subscription:
                yield item
        finally:
            self._forget(client, sent_away=rule == "end")
            self._upstream.leave(session)

    def _forget(self, client: str, *, sent_away: bool) -> None:
        subscription = self._clients.pop(client)
        dropped = subscription.stats().dropped
        subscription.close()
        self._left += 1
        self._dropped += dropped
        self._ended += sent_away and dropped > 0

    # --- looking ---------------------------------------------------------------------------------------------------

    def stats(self) -> SharedStats:
        """Return a snapshot of the counters."""
        upstream = self._upstream
        clients = tuple(replace(heard.stats(), name=client) for client, heard in self._clients.items())
        return SharedStats(
            name=self.name,
            state=upstream.state(),
            sessions=upstream.sessions,
            items=upstream.items,
            dropped=self._dropped + sum(client.dropped for client in clients),
            ended=self._ended,
            left=self._left,
            clients=clients,
            error=upstream.error,
        )


def _check_slow(slow: object) -> None:
    if slow not in get_args(Slow):
        raise UsageError(f"slow must be one of {', '.join(map(repr, get_args(Slow)))}; not {slow!r}.")
