"""Rows to run the demo on: made orders, with everything in them that breaks careless CSV code.

What lives here: `orders`. What must not: how they are stored. The same number always gives the same rows; they are made
one at a time, so ten million of them take no memory.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["COLUMNS", "orders"]

COLUMNS = ("order_id", "created", "customer", "email", "city", "product", "quantity", "price", "note")

_FIRST = (
    "Ana",
    "José",
    "Zoë",
    "李雷",
    "Владимир",
    "Siobhán",
    "محمد",
    "Søren",
    "Mary",
    "Łukasz",
    "さくら",
    "Renée",
    "D'Angelo",
)
_LAST = (
    "Müller",
    "O'Brien",
    "García",
    "Nguyễn",
    "Smith, Jr.",
    "Øster",
    "Αλεξάνδρου",
    "Kovács",
    "de la Cruz",
    "Çelik",
    "Jones",
)
_CITIES = (
    "Zürich",
    "São Paulo",
    "København",
    "Łódź",
    "東京",
    "München",
    "Αθήνα",
    "New York, NY",
    "Reykjavík",
    "Kraków",
)
_PRODUCTS = (
    'Monitor 27"',
    "Café crème, 12 × 250 g",  # noqa: RUF001  # as people write it
    "USB-C cable, 2 m",
    'Vinyl 12" "Blue Train"',
    "Desk lamp",
    "Notebook (A5), ruled",
    "Jalapeño sauce 🌶",
)
_NOTES = (
    "",
    "",
    "Leave it with the neighbour.",
    'He said "call first", so call first.',
    "Ring twice,\nthen wait.",
    "2nd floor\r\nback door\r\n\r\nbeware of the dog",
    "Gift: wrap it, please; card says „Alles Gute“",
    ' leading and trailing spaces, and a quote: " ',
    "tab\there, semicolon; there",
)


def orders(rows: int) -> Iterator[dict[str, object]]:
    """Make orders one by one: dictionaries with the keys `COLUMNS`.

    Example: `list(orders(2))`. Quotes, commas, newlines in fields and non-ASCII are among them.
    """
    draw = random.Random(rows)  # noqa: S311  # rows of a demo are no secrets
    bits = draw.getrandbits
    for number in range(1, rows + 1):
        chance = bits(96)
        first = _FIRST[chance % len(_FIRST)]
        yield {
            "order_id": f"{number:08d}-{chance >> 48:012x}",
            "created": f"2025-{chance % 12 + 1:02d}-{(chance >> 4) % 28 + 1:02d}T{(chance >> 9) % 24:02d}:00:00Z",
            "customer": f"{first} {_LAST[(chance >> 20) % len(_LAST)]}",
            "email": f"user{(chance >> 16) & 0xFFFFFF}@example.com",
            "city": _CITIES[(chance >> 24) % len(_CITIES)],
            "product": _PRODUCTS[(chance >> 28) % len(_PRODUCTS)],
            "quantity": (chance >> 32) % 9 + 1,
            "price": f"{(chance >> 36) % 100_000 / 100:.2f}",
            "note": _NOTES[(chance >> 40) % len(_NOTES)],
        }
