"""Where the items of an array end: brackets, commas, and strings with anything in them."""

from __future__ import annotations

import pytest

from streamflow.formats.json_scanner import ItemScanner
from tests.formats.json_cases import each_cut


def places(chunks: list[bytes]) -> tuple[list[int], int]:
    """Return the places of the commas and of the end in the whole."""
    scanner, commas, before = ItemScanner(), [], 0
    for chunk in chunks:
        scan = scanner.scan(chunk)
        commas += [before + at for at in scan.commas]
        if scan.end >= 0:
            return commas, before + scan.end
        before += len(chunk)
    return commas, -1


@pytest.mark.parametrize(
    ("data", "commas", "end"),
    [
        (b"", [], -1),
        (b"]", [], 0),
        (b"1,2]", [1], 3),
        (b"1 , 2 ] , 3", [2], 6),
        (b"[1,2],{3,4}]", [5], 11),
        (b'"a,]",1]', [5], 7),
        (b'"a\\",]",1]', [7], 9),
        (b'"a\\\\",1]', [5], 7),
        (b'"\\\\\\"",1]', [6], 8),
        (b'{"]":["}",{"a":","}]},1]', [21], 23),
        (b'"\n\xff",1]', [4], 6),
        (b'"never closed,]', [], -1),
        (b"[[[,", [], -1),
        (b"}", [], 0),
    ],
)
def test_items_end_at_the_same_places_at_every_cut(data: bytes, commas: list[int], end: int) -> None:
    """L1."""
    for chunks in each_cut(data):
        assert places(chunks) == (commas, end)


def test_a_string_of_escapes_is_walked_over_in_one_go() -> None:
    """What is matched grows with the string, not with its square."""
    data = b'"' + b'\\"' * 200_000
    scanner = ItemScanner()
    assert scanner.scan(data).end == -1
    assert scanner.scan(b'x", 1]') == ([2], 5)
