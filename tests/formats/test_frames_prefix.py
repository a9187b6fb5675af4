"""The prefixes of frames: what they write, they read."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import UsageError
from streamflow.formats.frames_prefix import prefix_of

FIXED = {"u8": ">B", "u16be": ">H", "u16le": "<H", "u32be": ">I", "u32le": "<I", "u64be": ">Q", "u64le": "<Q"}


@pytest.mark.parametrize("name", FIXED)
@given(st.data())
def test_fixed_prefixes_are_those_of_struct(name: Any, data: st.DataObject) -> None:
    prefix = prefix_of(name)
    size = data.draw(st.integers(0, prefix.most))
    packed = struct.pack(FIXED[name], size)

    assert packed == prefix.write(size)
    assert prefix.read(b"x" + packed + b"y", 1) == (size, 1 + len(packed))
    assert all(prefix.read(packed[:end], 0) is None for end in range(len(packed)))


@pytest.mark.parametrize(
    ("size", "packed"),
    [
        (0, b"\x00"),
        (1, b"\x01"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (150, b"\x96\x01"),  # the example of protobuf's own documentation
        (300, b"\xac\x02"),
        ((1 << 64) - 1, b"\xff" * 9 + b"\x01"),
    ],
)
def test_varints_are_those_of_protobuf(size: int, packed: bytes) -> None:
    assert packed == prefix_of("varint").write(size)
    assert prefix_of("varint").read(packed, 0) == (size, len(packed))


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=12))
def test_a_varint_is_read_back_whatever_follows(size: int, rest: bytes) -> None:
    varint = prefix_of("varint")
    packed = varint.write(size)

    assert varint.read(packed + rest, 0) == (size, len(packed))
    assert all(varint.read(packed[:end], 0) is None for end in range(len(packed)))


def test_a_varint_that_is_longer_than_it_had_to_be_is_taken() -> None:
    assert prefix_of("varint").read(b"\x81\x80\x00", 0) == (1, 3)


@pytest.mark.parametrize("packed", [b"\xff" * 10, b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x00", b"\xff" * 9 + b"\x7f"])
def test_a_varint_of_more_than_64_bits_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="more than 64 bits"):
        prefix_of("varint").read(packed, 0)


@pytest.mark.parametrize("name", ["u32", "U8", "", 4, None, ["u8"]])
def test_prefixes_that_are_none_are_refused_with_those_that_are(name: Any) -> None:
    with pytest.raises(UsageError, match=r"prefix=.* is none that is known; write one of 'u8', .*'varint'"):
        prefix_of(name)
