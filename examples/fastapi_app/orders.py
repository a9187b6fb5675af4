"""The orders: a database made at the start, and a query that is read at the pace of whoever downloads it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamflow as sf

ROWS = 200_000
COLUMNS = ("id", "day", "region", "product", "quantity", "cents")
REGIONS = ("north", "east", "south", "west")
PRODUCTS = ("lamp", "chair, oak", 'shelf "Äster"', "desk", "rug")


@dataclass
class Cursor:
    """How far a query has been read, for who wants to see it stop."""

    rows: int = 0
    state: str = "waiting"


def order(number: int) -> tuple[Any, ...]:
    """Make up one order, the same one each time."""
    day = f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}"
    cents = number * 7919 % 50_000 + 99
    return number, day, REGIONS[number % 4], PRODUCTS[number % 5], number % 9 + 1, cents


def create(path: Path, rows: int = ROWS) -> None:
    """Write the database. It blocks: call it in a thread."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE orders ({', '.join(COLUMNS)})")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", map(order, range(1, rows + 1)))


def select(path: Path, region: str | None, limit: int, seen: Cursor) -> sf.Stream[dict[str, Any]]:
    """Return the rows as a stream. Nothing is opened before somebody reads it.

    A cursor blocks, so it is opened, read and closed in one thread, which is never more than 64 rows ahead: a client
    that stops reading stops the cursor, one that leaves closes it.
    """

    def rows() -> Iterator[dict[str, Any]]:
        query = "SELECT * FROM orders WHERE ?1 IS NULL OR region = ?1 ORDER BY rowid LIMIT ?2"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            seen.state = "open"
            try:
                for row in database.execute(query, (region, limit)):
                    seen.rows += 1
                    yield dict(zip(COLUMNS, row, strict=True))
            finally:
                seen.state = "closed"

    return sf.stream(sf.threaded(rows, name="orders"))
