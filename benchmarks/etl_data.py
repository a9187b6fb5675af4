"""The rows of the job `etl`: a CSV file that is the same on every machine.

What lives here: making it. What must not: the job. A row has about 41 bytes. One in five has a field in quotes, with a
comma, doubled quotes or a newline in it; most have letters beyond ASCII.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

__all__ = ["COLUMN", "HEADER", "VALUE", "rows_of", "write_input"]

HEADER = ["id", "customer", "city", "cents", "note"]
COLUMN, VALUE = "processed", "2024-03-01T12:00:00Z"
"""The column that the job adds, and what stands in it."""

_STRETCH = 100_000
_NAMES = ("Ann", "Bob", "Chloé", "Dörte", "Emil", "Farah", "Giulia", "Håkon", "Ida", "José", "Karim", "Łukasz", "Mei")
_FAMILIES = (
    *("Smith", "Müller", "Garcia", "Rossi", "Nguyen", "Kowalski", "O'Neil", "Sato", "Silva", "Berg", "Ivanova", "Kim"),
    *("Dubois", "Larsen", "Costa", "Haddad", "Brown", "Weiß", "Novák", "Ek, Jr."),
)
_CITIES = ("Berlin", "Zürich", "Kraków", "Oslo", "Lyon", "Porto", "東京", "Leeds", "Graz")
_NOTES = (
    *("", "", "", "", "", "", "ok", "paid", "new", "späte Zahlung", "by card", "by cheque", "repeat order", "export"),
    *("urgent, call", 'said "yes"', "first line\nsecond line"),
)


def rows_of(count: int) -> Iterator[list[str]]:
    """Yield the rows, the header not among them."""
    chance = random.Random(7)  # noqa: S311  # no secret
    for start in range(0, count, _STRETCH):
        size = min(_STRETCH, count - start)
        names = chance.choices(_NAMES, k=size)
        families = chance.choices(_FAMILIES, k=size)
        cities = chance.choices(_CITIES, k=size)
        cents = chance.choices(range(100, 1_000_000), k=size)
        notes = chance.choices(_NOTES, k=size)
        for at in range(size):
            customer = f"{names[at]} {families[at]}"
            yield [str(1_000_000 + start + at), customer, cities[at], str(cents[at]), notes[at]]


def write_input(path: Path, rows: int, *, times: int = 1) -> None:
    """Write the file; all rows are in it `times` times over."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(HEADER)
        for _ in range(times):
            csv.writer(file, lineterminator="\n").writerows(rows_of(rows))
