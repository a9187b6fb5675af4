"""Routes that tell how the pipelines are: `status`.

What lives here: the routes and the headers of the page. What must not: the numbers (status_numbers.py), the page itself
(status_page.html).

The page is one file without anything from elsewhere, and its headers allow nothing else: scripts and styles only by
their hash, connections only to where it came from. Names and errors are shown as text, never read as HTML.
"""

from __future__ import annotations

import hashlib
import html
import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from streamflow.engine.clock import seconds_of
from streamflow.errors import UsageError
from streamflow.operators.ticking import interval
from streamflow.serving.supervisor import Supervisor
from streamflow.streams import stream
from streamflow.web.shared import Shared
from streamflow.web.sse import sse
from streamflow.web.status_numbers import health_of, picture

__all__ = ["status"]

_FRESH = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def status(
    supervisor: Supervisor | None = None,
    *,
    shared: Sequence[Shared[Any]] | None = None,
    every: float = 1.0,
    title: str = "Pipelines",
) -> Router:
    """Return routes that tell how the supervised pipelines are, to be mounted.

    Example:
        app = FastAPI(lifespan=web.lifespan({"orders": orders}))
        app.mount("/pipelines", web.status())

    * `/` is a live page for people: states, restarts, the flow through each stage, how full the channels are, and which
      stage is the slowest.
    * `/health` answers 200, or 503 when a pipeline has failed for good; `/ready` answers 200 when every pipeline has
      got going, none has failed for good and the application is not shutting down, else 503. Both as JSON, without
      errors or numbers: they may be public.
    * `/stats` has all numbers as JSON, `/events` the same again and again as server-sent events.

    Errors of pipelines are shown as they are, on the page and in the numbers: put what must not be public behind your
    own authentication, as everything that is mounted can be.

    Args:
        supervisor: whose pipelines; `None` for that of `web.lifespan`.
        shared: which shared streams; `None` for those of `web.lifespan`.
        every: seconds from one picture of the page to the next.
        title: of the page.

    Raises `UsageError` for an `every` that cannot mean anything.
    """
    return _Status(supervisor, shared, seconds_of("status(every)", every), title).routes()


class _Status:
    """The routes, and where they find what they tell."""

    def __init__(
        self, supervisor: Supervisor | None, shared: Sequence[Shared[Any]] | None, every: float, title: str
    ) -> None:
        self._supervisor = supervisor
        self._shared = shared
        self._every = every
        self._title = title

    def routes(self) -> Router:
        return Router(
            [
                Route("/", self._page),
                Route("/health", self._health),
                Route("/ready", self._ready),
                Route("/stats", self._stats),
                Route("/events", self._events),
            ]
        )

    def _kept(self, request: Request) -> Supervisor:
        found = self._supervisor or getattr(request.app.state, "supervisor", None)
        if not isinstance(found, Supervisor):
            raise UsageError(
                "web.status() found no supervisor. Write FastAPI(lifespan=web.lifespan(...)), or give it one: "
                "web.status(supervisor)."
            )
        return found

    def _picture(self, request: Request) -> dict[str, Any]:
        shared = getattr(request.app.state, "shared", ()) if self._shared is None else self._shared
        return picture(self._kept(request), shared)

    async def _page(self, _request: Request) -> Response:
        page, policy = _page_of(self._title)
        return HTMLResponse(page, headers={**_FRESH, "Content-Security-Policy": policy})

    async def _health(self, request: Request) -> Response:
        health = self._kept(request).health()
        return JSONResponse(health_of(health), 200 if health.healthy else 503, headers=_FRESH)

    async def _ready(self, request: Request) -> Response:
        health = self._kept(request).health()
        return JSONResponse(health_of(health), 200 if health.ready else 503, headers=_FRESH)

    async def _stats(self, request: Request) -> Response:
        return JSONResponse(self._picture(request), headers=_FRESH)

    async def _events(self, request: Request) -> Response:
        ticks = stream(interval(self._every)).take_until(self._kept(request).stopping)
        return sse(ticks.map(lambda _: self._picture(request)), retry=2000)


@cache
def _page_of(title: str) -> tuple[str, str]:
    """Return the page and the policy that allows what is in it, and nothing else."""
    page = resources.files(__package__).joinpath("status_page.html").read_text("utf-8")
    scripts, styles = (_hashes(page, tag) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src data:; connect-src 'self'; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    return page.replace("{{title}}", html.escape(title)), policy


def _hashes(page: str, tag: str) -> str:
    blocks = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (b64encode(hashlib.sha256(block.encode()).digest()).decode() for block in blocks)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
