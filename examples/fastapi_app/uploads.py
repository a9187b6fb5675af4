"""An upload: bytes from the client's socket, typed rows, the store; bad rows are told to who watches, meanwhile."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Literal

import streamflow as sf
from streamflow import csv, gzip, objects
from streamflow.web import Event

TOLD = 200  # bad rows that are shown; all of them are counted
BUDGET = 10_000  # bad rows until it is plain that this is the wrong file
PACE = 0.1  # seconds between two reports of progress


@dataclasses.dataclass
class Order:
    """What a row must be."""

    id: int
    day: date
    region: Literal["north", "east", "south", "west"]
    product: str
    quantity: int
    cents: int


class Upload:
    """One upload, and the hub by which its pages hear of it."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        # A page that does not keep up loses the oldest of what waits for it; the upload does not wait for pages.
        self.hub = sf.Hub[Event](maxsize=500, overflow="drop_oldest", name="upload")
        self.bytes = self.rows = self.bad = 0
        self.started = False
        self._told_at = 0.0

    async def store(self, body: sf.Stream[bytes], target: str) -> dict[str, Any]:
        """Check every row, store the good ones as gzipped CSV, and return the account.

        The object appears when all is well, or not at all. Raises what the body raises, and `FormatError` for what is
        no CSV of orders.
        """
        self.started = True
        async with self._told():
            written = await sf.pipeline(
                body,
                sf.tap(self._came),
                csv.parse(rows=Order, bad=sf.skip_errors(budget=BUDGET, to=self._refuse)),
                sf.tap(self._count),
                sf.map(dataclasses.asdict),
                csv.format(),
                gzip.compress(),
                objects.write(target),
            )
            return {**self.progress(), "stored_bytes": written.bytes}

    async def events(self) -> AsyncIterator[Event]:
        """Tell what becomes of it, from now on."""
        async with self.hub.subscribe() as events:
            yield Event(self.progress(), event="ready")
            async for event in events:
                yield event

    def progress(self) -> dict[str, int]:
        """Return how far it is."""
        return {"bytes": self.bytes, "rows": self.rows, "bad": self.bad}

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Tell who watches how it ended, and that there is no more to tell."""
        try:
            yield
            await self.hub.put(Event(self.progress(), event="stored"))
        except Exception as error:
            await self.hub.put(Event({**self.progress(), "error": str(error)}, event="failed"))
            raise
        finally:
            self.hub.close()

    async def _came(self, chunk: bytes) -> None:
        self.bytes += len(chunk)
        if time.monotonic() - self._told_at > PACE:
            self._told_at = time.monotonic()
            await self.hub.put(Event(self.progress(), event="progress"))

    def _count(self, _: Order) -> None:
        self.rows += 1

    async def _refuse(self, letter: sf.DeadLetter[Any]) -> None:
        self.bad += 1
        if self.bad <= TOLD:
            bad = {"row": letter.item, "line": letter.number, "error": str(letter.error)}
            await self.hub.put(Event(bad, event="bad"))
