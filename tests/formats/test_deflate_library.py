"""Which library does the deflating."""

from __future__ import annotations

import zlib

import pytest

from streamflow.formats import deflate_library


@pytest.mark.parametrize("level", range(10))
def test_the_faster_library_is_used_for_low_levels_and_for_reading(level: int, library: str) -> None:
    fast = deflate_library.fast() if library == "isal" else zlib

    assert deflate_library.for_decompression() is fast
    assert deflate_library.for_compression(level) is (fast if level in {1, 2, 3} else zlib)
