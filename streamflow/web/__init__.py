"""Streams inside web services: responses, requests and WebSockets for FastAPI, Starlette and any other ASGI app.

Example: `from streamflow import web`, then `return web.StreamResponse(stream, media_type="text/csv")` in a handler.

What lives here: the names. What must not: anything else. It needs Starlette: `pip install -e ".[web]"`.
"""

from streamflow.errors import MissingExtra

try:
    from streamflow.web.client import Reason
    from streamflow.web.downloads import file
    from streamflow.web.downloads import object_ as object  # noqa: A004  # as the place is called
    from streamflow.web.endings import Outcome, Sent, outcome
    from streamflow.web.lifespan import lifespan
    from streamflow.web.multipart import Part, parts
    from streamflow.web.ndjson import ndjson
    from streamflow.web.ranges import ranged
    from streamflow.web.refusals import ClientDisconnected, MalformedForm, RequestTimeout, RequestTooLarge
    from streamflow.web.requests import body
    from streamflow.web.responses import StreamResponse
    from streamflow.web.shared import Shared, SharedStats
    from streamflow.web.sse import Event, last_event_id, sse
    from streamflow.web.status import status
    from streamflow.web.tables import csv_download
    from streamflow.web.websockets import messages, send_to
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "starlette":
        raise
    raise MissingExtra('streamflow.web needs Starlette: pip install -e ".[web]"') from None

__all__ = [
    "ClientDisconnected",
    "Event",
    "MalformedForm",
    "Outcome",
    "Part",
    "Reason",
    "RequestTimeout",
    "RequestTooLarge",
    "Sent",
    "Shared",
    "SharedStats",
    "StreamResponse",
    "body",
    "csv_download",
    "file",
    "last_event_id",
    "lifespan",
    "messages",
    "ndjson",
    "object",
    "outcome",
    "parts",
    "ranged",
    "send_to",
    "sse",
    "status",
]
