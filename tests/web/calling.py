"""A response called as a server calls it, without one: for tests of what is answered, not of how it travels.

What lives here: `call`. What must not: what a real server does to a response (`servers.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tests.web.servers import Answer

__all__ = ["call"]


async def call(app, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request to an ASGI app; the client stays until the end of the answer."""
    messages = [{"type": "http.request", "body": b"", "more_body": False}]
    answer = Answer(0)
    ended = asyncio.Event()

    async def receive():
        if messages:
            return messages.pop()
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            answer.body += message["body"]
            answer.complete = not message.get("more_body", False)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {"type": "http", "http_version": "1.1", "method": method, "path": "/", "query_string": b"", "headers": raw}
    scope["asgi"] = {"version": "3.0", "spec_version": "2.4"}
    try:
        await app(scope, receive, send)
    finally:
        ended.set()
    return answer
