"""The rest of a body that nobody will read, while the request is being answered.

What lives here: `linger`. What must not: giving a body up (requests.py), responses of ours, which drop what comes
themselves (client.py).

A handler may have enough of a body, or refuse it. What the client still sends waits in the server, as it should. But
hypercorn (0.18) keeps it in a queue of ten messages, and puts the news that the response is over into the same queue,
behind them: there the response never ends, nor its task, nor the connection. So where messages come through such a
queue, somebody has to take what comes until the request is over.
"""

from __future__ import annotations

import asyncio
import contextlib

from streamflow.web.cutting import reachable
from streamflow.web.inbox import Inbox, Receive

__all__ = ["linger"]

_tasks: set[asyncio.Task[None]] = set()  # a loop does not hold its tasks


def linger(inbox: Inbox, receive: Receive, request: asyncio.Task[object] | None) -> None:
    """Drop the rest of a body until the client is gone or has sent all, or the task of the request has ended.

    Nothing is done where the server can do without, nor where there is no such task, as in a handler that runs in a
    thread.
    """
    if request is None or request.done() or not (_is_here(request) and _comes_through_a_queue(receive)):
        return
    task = request.get_loop().create_task(_drop(inbox), name="streamflow:web:linger")
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    request.add_done_callback(lambda _: task.cancel())


def _is_here(request: asyncio.Task[object]) -> bool:
    """Whether this runs in the loop of the request: the garbage collector runs in any thread."""
    try:
        return asyncio.get_running_loop() is request.get_loop()
    except RuntimeError:
        return False


def _comes_through_a_queue(receive: Receive) -> bool:
    return any(isinstance(thing, asyncio.Queue) and thing.maxsize > 0 for thing in reachable(receive))


async def _drop(inbox: Inbox) -> None:
    await asyncio.sleep(0)  # an eager task must not run inside the one that starts it (H24)
    inbox.abandon()
    with contextlib.suppress(Exception):  # a server that cannot say more of a request has done with it
        while not (inbox.gone or inbox.whole):
            await inbox.news()
