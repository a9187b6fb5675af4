"""A frame's window is known before the library sees it, and is judged as the library does."""

from __future__ import annotations

import pytest

from streamflow.errors import LimitExceeded
from streamflow.formats.zstd_member import MAGIC, ZstdMember, window_of
from tests.formats.compressed import zstd_library as library


@pytest.mark.parametrize(
    ("descriptor", "byte", "window"),
    [
        (0x00, 0x00, 1 << 10),
        (0x00, 0x01, (1 << 10) + (1 << 7)),
        (0x04, 10 << 3, 1 << 20),
        (0x00, 10 << 3 | 7, (1 << 20) + 7 * (1 << 17)),
        (0x00, 31 << 3 | 7, (1 << 41) + 7 * (1 << 38)),
        (0x20, 31 << 3, 0),
    ],
)
def test_the_window_is_read_as_the_format_has_it(descriptor: int, byte: int, window: int) -> None:
    assert window_of(MAGIC + bytes([descriptor, byte])) == window


def test_a_frame_to_be_skipped_has_none() -> None:
    assert window_of(b"\x50\x2a\x4d\x18\xff\xff\xff\xff") == 0


@pytest.mark.parametrize("log", [20, 21, 24])
def test_the_largest_window_is_the_one_that_the_library_takes(log: int) -> None:
    """The same limit in both: the library would refuse more too, but only where the data is cut."""
    compressor = library.ZstdCompressor(options={library.CompressionParameter.window_log: log})
    packed = compressor.compress(b"rows") + compressor.flush()

    assert window_of(packed) == 1 << log
    assert ZstdMember(library, 1 << log).read(packed)[0] == b"rows"
    with pytest.raises(LimitExceeded, match=f"more than max_memory={(1 << log) - 1}; pass a larger one"):
        ZstdMember(library, (1 << log) - 1).read(packed)


def test_what_is_too_short_to_judge_is_left() -> None:
    member, packed = ZstdMember(library, 1 << 20), library.compress(b"rows")

    for size in range(6):
        assert member.read(packed[:size]) == (b"", packed[:size])
    assert member.read(packed + b"behind") == (b"rows", b"behind")
    assert member.ended
