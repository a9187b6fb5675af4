"""How a response can end, in words: what its user is told, and where it can be looked up.

What lives here: `Outcome`, `Sent`, `Calls`, `outcome`. What must not: deciding how one has ended (exchange.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Literal, TypeAlias

from starlette.requests import HTTPConnection

from streamflow.observe.statistics import RunStats
from streamflow.types import MaybeAwaitable
from streamflow.web.client import Reason

__all__ = ["Calls", "Outcome", "Sent", "outcome", "settle"]

Outcome: TypeAlias = Literal["complete", "disconnect", "error"]
"""How a response ended: the server has taken the last byte; the client did not get it all; or the stream failed."""

_KEY = "streamflow.outcome"  # in the scope


@dataclass(frozen=True, slots=True)
class Sent:
    """What a response came to: what `on_complete` gets.

    `bytes` counts those of the body as they were sent, compressed where it was compressed; `seconds` is how long it
    took in all, `waited` how long of it the client was waited for; `stats` are the numbers of the stages. A source
    without stages sends for itself: it hands no items on, so none are counted for it.
    """

    status: int
    bytes: int
    seconds: float
    waited: float
    stats: RunStats = field(repr=False)


@dataclass(frozen=True, slots=True)
class Calls:
    """Whom to tell how it ended. Exactly one of them is told."""

    complete: Callable[[Sent], MaybeAwaitable[object]] | None
    disconnect: Callable[[Reason], MaybeAwaitable[object]] | None
    error: Callable[[BaseException], MaybeAwaitable[object]] | None

    async def tell(self, ended: Outcome, what: Any) -> None:
        """Call the one that is meant and wait for it."""
        call: Callable[[Any], MaybeAwaitable[object]] | None = getattr(self, ended)
        told = call(what) if call is not None else None
        if isawaitable(told):
            await told


def settle(scope: MutableMapping[str, Any], ended: Outcome) -> None:
    """Note in the scope how the response ended."""
    scope[_KEY] = ended


def outcome(connection: HTTPConnection | Mapping[str, Any]) -> Outcome | None:
    """Return how the response to this request (or scope) ended; `None` while it has not, or none of ours was sent.

    Example:
        async def transaction(request: Request):        # a dependency of FastAPI, with `yield`
            async with engine.connect() as connection:
                yield connection
                if web.outcome(request) == "complete":  # FastAPI comes here also when the client has left
                    await connection.commit()
    """
    scope = connection.scope if isinstance(connection, HTTPConnection) else connection
    ended: Outcome | None = scope.get(_KEY)
    return ended
