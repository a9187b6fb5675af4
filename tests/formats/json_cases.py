"""What the tests of JSON share: cutting data, running codecs, values and broken texts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

from streamflow.errors import FormatError, UsageError
from streamflow.formats import json_library

cuts = st.lists(st.integers(0, 200), max_size=12)

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.text('\\"[]{},: \n\r\t\u2028\x7f/é😀', max_size=8),
)
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(params=["msgspec", "json"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with msgspec, and with the standard library alone."""
    name: str = request.param
    if name == "json":
        monkeypatch.setattr(json_library, "_installed", lambda: None)
    elif json_library.loaded_msgspec() is None:
        pytest.skip("msgspec (the extra `json`) is not installed")
    return name


def chunks_of(data: Any, at: list[int]) -> list[Any]:
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def each_cut(data: Any) -> Iterator[list[Any]]:
    """Give the data in two parts, cut at each place, and then byte by byte."""
    for at in range(len(data) + 1):
        yield [data[:at], data[at:]]
    yield [data[at : at + 1] for at in range(len(data))]


def run(codec: Any, chunks: list[Any]) -> list[Any]:
    return [out for chunk in chunks for out in codec.feed(chunk)] + list(codec.finish())


def outcome(codec: Any, chunks: list[Any]) -> tuple[list[Any], str]:
    """What came out, and the error that ended it."""
    out: list[Any] = []
    try:
        for chunk in chunks:
            out.extend(codec.feed(chunk))
        out.extend(codec.finish())
    except (FormatError, UsageError) as error:
        return out, f"{type(error).__name__}: {error}"
    return out, ""


def fed_until_error(codec: Any, chunk: bytes) -> tuple[int, str]:
    """Feed the same chunk again and again; return how many bytes were taken, and the error that ended it."""
    for count in range(1_000_000):
        _, error = outcome_of_feed(codec, chunk)
        if error:
            return count * len(chunk), error
    return 1_000_000 * len(chunk), ""


def outcome_of_feed(codec: Any, chunk: Any) -> tuple[list[Any], str]:
    """What comes out for one chunk, and the error that ended it."""
    out: list[Any] = []
    try:
        out.extend(codec.feed(chunk))
    except (FormatError, UsageError) as error:
        return out, f"{type(error).__name__}: {error}"
    return out, ""


def text_of(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same, of the same types: 1 is neither 1.0 nor True, 0.0 is not -0.0."""
    return repr(one) == repr(other)


# Texts that are no JSON, and what the message must say of them.
BROKEN = [
    (b"{'a': 1}", "Expecting property name"),
    (b'{"a": 1,}', "property name|[Tt]railing comma"),
    (b"[1,]", "Expecting value|[Tt]railing comma"),
    (b"{} {}", "Extra data"),
    (b"true1", "Extra data"),
    (b"01", "Extra data"),
    (b'"a\x00b"', "control character"),
    (b'"a\tb"', "control character"),
    (b'"\\x"', r"Invalid \\escape"),
    (b"\x00", "Expecting value"),
    (b"\x0c1", "Expecting value"),
    (b"NaN", "NaN is not JSON"),
    (b'{"a": -Infinity}', "-Infinity is not JSON"),
    (b"1e400", "1e400 is beyond what a float can hold"),
    (b"1" * 5000, "4300 digits"),
    (b'"\\ud800"', r"half of a surrogate pair stands alone: \\ud800"),
    (b'{"\\uDC00x": 1}', r"half of a surrogate pair stands alone: \\udc00"),
    (b'"\xff"', "byte 0xff is not UTF-8"),
    (b'{"\xc0\x80": 1}', "byte 0xc0 is not UTF-8"),
    (b'"\xed\xa0\x80"', "byte 0xed is not UTF-8"),
]
