"""Frames to skip, windows, dictionaries. What all formats share is tested in test_compression_*."""

from __future__ import annotations

import pytest

from streamflow.errors import FormatError, LimitExceeded
from streamflow.formats.zstd import Decompressor, compress, decompress
from tests.formats.compressed import run
from tests.formats.compressed import zstd_library as library

PARAMETER = library.CompressionParameter


@pytest.mark.parametrize("number", range(16))
def test_frames_to_be_skipped_are_skipped_at_every_cut(number: int) -> None:
    """L1."""
    skipped = bytes((0x50 + number,)) + b"\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    frame = library.compress(b"rows")
    packed = skipped + frame + skipped + frame + skipped

    for at in range(len(packed)):
        assert run(Decompressor(), packed[:at], packed[at:]) == b"rowsrows"


def test_a_frame_that_asks_for_too_large_a_window_is_refused_before_it_gets_it() -> None:
    """H60."""
    compressor = library.ZstdCompressor(options={PARAMETER.window_log: 24})
    packed = compressor.compress(b"rows") + compressor.flush()

    assert run(Decompressor(), packed) == run(Decompressor(max_memory=16 << 20), packed) == b"rows"
    for memory in ((16 << 20) - 1, 8 << 20):
        with pytest.raises(LimitExceeded, match=f"too much memory in frame 1, .* max_memory={memory}"):
            run(Decompressor(max_memory=memory), packed)


def test_a_window_that_is_too_large_is_refused_however_little_it_is_used_and_wherever_the_data_is_cut() -> None:
    """L1, H60: the library needs no window where it has the whole frame, so it would read it if it was not cut."""
    content = b"row\n" * 75
    window = 19 << 3  # 2 ** (10 + 19) bytes
    head = library_magic() + bytes([0x40, window]) + (len(content) - 256).to_bytes(2, "little")
    frame = head + (len(content) << 3 | 1).to_bytes(3, "little") + content

    assert library.decompress(frame) == content
    assert run(Decompressor(max_memory=1 << 29), frame) == content
    for at in range(len(frame)):
        with pytest.raises(LimitExceeded, match=r"in frame 1, near byte 0: to read it takes more than max_memory="):
            run(Decompressor(), frame[:at], frame[at:])


def library_magic() -> bytes:
    return library.compress(b"")[:4]


def test_as_much_memory_as_there_is_may_be_allowed() -> None:
    assert run(Decompressor(max_memory=1 << 40), library.compress(b"rows")) == b"rows"


def test_a_frame_with_a_dictionary_that_has_a_name_says_so() -> None:
    samples = [b"row %d, name %d, city %d\n" % (n, n * 7 % 13, n % 5) * 3 for n in range(1000)]
    packed = library.compress(samples[0], zstd_dict=library.train_dict(samples, 2000))

    with pytest.raises(FormatError, match="in frame 1, near byte 0: it was compressed with a dictionary of its own"):
        run(Decompressor(), packed)


def test_a_frame_with_a_dictionary_without_a_name_cannot_be_read() -> None:
    dictionary = library.ZstdDict(b"a dictionary of raw content", is_raw=True)
    packed = library.compress(b"a dictionary of raw content" * 2, zstd_dict=dictionary)

    with pytest.raises(FormatError, match="the zstd data is damaged in frame 1"):
        run(Decompressor(), packed)


def test_the_stages_say_how_much_the_library_takes() -> None:
    assert compress(19).holds > compress(3).holds
    assert decompress(max_memory=1 << 20).holds < 5 << 20
