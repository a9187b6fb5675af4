"""The application: its routes, and what lives as long as it does."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal
from weakref import WeakValueDictionary

import fastapi
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.staticfiles import StaticFiles

import streamflow as sf
from streamflow import csv, gzip, json, web

from . import orders
from .live import Live
from .uploads import Upload

MAX_UPLOAD = 256 << 20  # bytes
REMEMBERED = 100  # cursors that a page may still ask for
FRESH = {"Cache-Control": "no-store"}  # else browsers read on into their cache, at any speed, for a page that does not

Key = Annotated[str, fastapi.Path(pattern="^[0-9a-f-]{1,36}$")]
Stored = Annotated[str, fastapi.Path(pattern=r"^[0-9a-f-]{1,36}\.csv\.gz$")]
Rows = Annotated[int, fastapi.Query(ge=1, le=orders.ROWS)]

again = sf.Restart(max_restarts=None, backoff=sf.Backoff(first=0.5, most=5, jitter=False))
supervisor = sf.Supervisor(restart=again, drain=5)
live = Live(supervisor)
cursors: dict[str, orders.Cursor] = {}
uploads: WeakValueDictionary[str, Upload] = WeakValueDictionary()  # for as long as it goes on, or somebody watches


@asynccontextmanager
async def storage(app: FastAPI) -> AsyncIterator[None]:
    """Make the database and the store, in a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="streamflow-app-") as folder:
        app.state.database = Path(folder, "orders.db")
        app.state.store = Path(folder, "store")
        app.state.store.mkdir()
        await asyncio.to_thread(orders.create, app.state.database)
        yield


app = FastAPI(title="streamflow in FastAPI", lifespan=web.lifespan(supervisor, shared=[live.pages], own=storage))
app.mount("/pipelines", web.status(supervisor))


# --- downloads ------------------------------------------------------------------------------------------------------


@app.get("/orders")
async def download(
    request: Request,
    form: Literal["csv", "csv.gz", "ndjson", "ndjson.gz"] = "csv",
    region: Literal["", "north", "east", "south", "west"] = "",
    rows: Rows = orders.ROWS,
    cursor: Annotated[str, fastapi.Query(pattern="^[0-9a-f-]{0,36}$")] = "",
) -> Response:
    """Send a query, row by row, at the pace of the client."""
    found = orders.select(request.app.state.database, region or None, rows, remembered(cursor))
    if form == "csv":
        return web.csv_download(found, filename="orders.csv", columns=orders.COLUMNS, compress=True, headers=FRESH)
    if form == "ndjson":
        # A page that watches the cursor is to see it stop: compressed, all of it would fit into the browser's buffers.
        return web.ndjson(found, filename="orders.ndjson", compress=not cursor, headers=FRESH)
    text = csv.format() if form == "csv.gz" else json.format_lines()
    packed = found.through(text).through(gzip.compress())
    return web.StreamResponse(packed, media_type="application/gzip", filename=f"orders.{form}", headers=FRESH)


def remembered(key: str) -> orders.Cursor:
    """Return a new cursor, which can be asked for by its key until many others have come."""
    seen = orders.Cursor()
    if key:
        cursors[key] = seen
    if len(cursors) > REMEMBERED:
        del cursors[next(iter(cursors))]
    return seen


@app.get("/cursors/{key}")
async def cursor(key: Key) -> orders.Cursor:
    """Tell how far a download has read."""
    if key not in cursors:
        raise HTTPException(404, "There is no such download.")
    return cursors[key]


# --- uploads --------------------------------------------------------------------------------------------------------


@app.get("/uploads/{key}/events")
async def watch(key: Key) -> Response:
    """Tell what becomes of an upload, while it goes on. Ask for this first, then send the upload."""
    told = sf.stream(uploads.setdefault(key, Upload()).events())
    return web.sse(told.take_until(supervisor.stopping))


@app.put("/uploads/{key}", status_code=201)
async def upload(key: Key, request: Request) -> dict[str, Any]:
    """Take a CSV of orders at the pace at which its rows can be checked and stored."""
    taken = uploads.setdefault(key, Upload())
    if taken.started:
        raise HTTPException(409, "This upload has been begun already. Take a new key.")
    body = web.body(request, max_bytes=MAX_UPLOAD)
    try:
        return await taken.store(body, f"{request.app.state.store.as_uri()}/{key}.csv.gz")
    except (sf.FormatError, sf.TruncatedError, sf.LimitExceeded) as error:
        if isinstance(error, HTTPException):
            raise
        raise HTTPException(422, str(error)) from error


@app.get("/stored")
def stored(request: Request) -> list[dict[str, Any]]:
    """List what is in the store, the newest first."""
    files = [(path.stat(), path.name) for path in request.app.state.store.glob("*.csv.gz")]
    return [{"name": name, "bytes": stat.st_size} for stat, name in sorted(files, reverse=True, key=_time)]


def _time(file: tuple[Any, str]) -> int:
    return int(file[0].st_mtime_ns)


@app.get("/stored/{name}")
async def stored_file(name: Stored, request: Request) -> Response:
    """Send a stored file, or a range of it."""
    path = request.app.state.store / name
    if not path.exists():
        raise HTTPException(404, "There is no such file in the store.")
    return web.file(path)


# --- live -----------------------------------------------------------------------------------------------------------


@app.get("/live/events")
async def events(request: Request) -> Response:
    """Send readings and statistics for as long as the client stays."""
    client = request.client.host if request.client else "client"
    return web.sse(live.events(client), heartbeat=5)


@app.post("/live/unplug", status_code=204)
async def unplug(seconds: Annotated[float, fastapi.Query(gt=0, le=60)] = 3) -> None:
    """Let the sensor fail for a while, to see its pipeline started again."""
    live.sensor.unplug(seconds)


app.mount("/", StaticFiles(directory=Path(__file__).parent / "static", html=True))
