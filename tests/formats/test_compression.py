"""Formats seen by their first bytes: the right one at every cut, plain data, data too short to tell."""

from __future__ import annotations

import bz2 as bz2_library
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, MissingExtra, TruncatedError, UsageError
from streamflow.formats import zstd_library
from streamflow.formats.compression import STRONG, Decompressor, decompress
from tests.formats.compressed import KINDS, ROWS, Kind, chunks_of, run, staged

SEEN = [kind for kind in KINDS if kind.name in STRONG]
ALL = [*STRONG, "zlib"]

every_seen = pytest.mark.parametrize("kind", SEEN, ids=lambda kind: kind.name)


@every_seen
def test_the_format_is_seen_at_every_cut(kind: Kind) -> None:
    """L1."""
    packed = kind.pack(b"rows") * 2

    for at in range(len(packed)):
        assert run(Decompressor(), packed[:at], packed[at:]) == b"rowsrows"
        assert run(Decompressor(formats=ALL, plain="pass"), packed[:at], packed[at:]) == b"rowsrows"
    assert run(Decompressor(), *(packed[at : at + 1] for at in range(len(packed)))) == b"rowsrows"


@every_seen
def test_of_several_formats_only_those_asked_for_are_seen(kind: Kind) -> None:
    others: Any = [name for name in ALL if name != kind.name]
    packed = kind.pack(b"rows")

    assert run(Decompressor(formats=[kind.name]), packed) == b"rows"  # type: ignore[list-item]  # one of the names
    assert run(Decompressor(formats=others, plain="pass"), packed) == packed
    with pytest.raises(FormatError, match=f"the data is none of {', '.join(others)}: it starts with .*plain='pass'"):
        run(Decompressor(formats=others), packed)


def test_zlib_is_seen_only_on_request() -> None:
    """Its two bytes are not rare: text may begin like it."""
    packed = KINDS[1].pack(b"rows")

    assert run(Decompressor(formats=["gzip", "zlib"]), packed) == b"rows"
    assert run(Decompressor(plain="pass"), packed) == packed
    assert run(Decompressor(plain="pass"), b"x^2 + 1") == b"x^2 + 1"


@given(data=st.binary(max_size=20), at=st.lists(st.integers(0, 20), max_size=3))
def test_plain_data_is_passed_on_as_it_is(data: bytes, at: list[int]) -> None:
    """L1, C7: no data, too, and data too short to tell."""
    magics = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
    if not data.startswith(magics) and data[1:4] != b"\x2a\x4d\x18":
        assert run(Decompressor(plain="pass"), *chunks_of(data, at)) == data


@pytest.mark.parametrize("head", [b"", b"\x1f", b"B", b"BZ", b"BZh", b"\xfd7zX", b"\x50\x2a"])
def test_data_too_short_to_tell_is_truncated_unless_plain_data_may_come(head: bytes) -> None:
    """P5."""
    assert run(Decompressor(plain="pass"), head) == head
    with pytest.raises(TruncatedError, match=f"the data ends after {len(head)} bytes, before its format can be seen"):
        run(Decompressor(), head)


@every_seen
def test_what_follows_is_the_formats_own_matter(kind: Kind) -> None:
    packed = kind.pack(b"rows")

    with pytest.raises(TruncatedError, match=f"the {kind.name} data ends inside"):
        run(Decompressor(plain="pass"), packed[:-1])
    with pytest.raises(FormatError, match=f"after .* 1 of the {kind.name} data"):
        run(Decompressor(plain="pass"), packed + b"garbage")
    assert run(Decompressor(trailing="ignore"), packed + b"garbage") == b"rows"
    with pytest.raises(LimitExceeded, match="max_output_bytes=3"):
        run(Decompressor(max_output_bytes=3), packed)
    with pytest.raises(LimitExceeded, match="max_ratio=2"):
        run(Decompressor(max_ratio=2), kind.pack(bytes(17 << 20)))


@every_seen
@pytest.mark.parametrize("size", [100, 70_000])
async def test_the_stage_gives_what_the_codec_gives(kind: Kind, size: int) -> None:
    """L1."""
    assert await staged(decompress(), kind.pack(ROWS), size) == ROWS
    assert await staged(decompress(plain="pass"), ROWS, size) == ROWS


def test_the_stage_says_what_it_costs() -> None:
    assert (decompress().name, decompress().threads) == ("compression.decompress", 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"formats": []}, "is no list of formats"),
        ({"formats": "gzip"}, "is no list of formats"),
        ({"formats": 5}, "is no list of formats"),
        ({"formats": ["deflate"]}, "formats: 'deflate' is none of gzip, zstd"),
        ({"formats": [["gzip"]]}, "is none of gzip"),
        ({"plain": "skip"}, "plain='skip' is neither"),
        ({"trailing": "skip"}, "trailing='skip'"),
        ({"max_ratio": 0}, "max_ratio"),
        ({"max_output_bytes": 0}, "max_output_bytes"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], words: str) -> None:
    """F14, P10."""
    with pytest.raises(UsageError, match=words):
        decompress(**options)


def test_text_is_refused_with_advice() -> None:
    for plain in ("error", "pass"):
        decompressor: Any = Decompressor(plain=plain)  # type: ignore[arg-type]  # both are names of it
        with pytest.raises(UsageError, match=r"compression.decompress takes items of bytes, not str"):
            list(decompressor.feed("text"))


def test_zstd_is_missed_when_it_is_asked_for_or_met(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = next(kind for kind in KINDS if kind.name == "zstd").pack(b"rows")
    monkeypatch.setattr(zstd_library, "NAME", "no_such_library")

    with pytest.raises(MissingExtra):
        decompress(formats=["zstd"])
    decompress()
    assert run(Decompressor(), bz2_library.compress(b"rows")) == b"rows"
    with pytest.raises(MissingExtra):
        run(Decompressor(), packed)
