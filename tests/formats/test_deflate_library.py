"""Which library does the deflating."""

from __future__ import annotations

import zlib

import pytest

from streamflow.formats import deflate_library


@pytest.mark.parametrize("level", range(10))
def test_the_faster_libraries_are_used_where_they_know_the_level(level: int, library: str) -> None:
    fast = deflate_library.fast() if library == "isal" else zlib

    assert deflate_library.for_decompression() is fast
    thorough = zlib if library == "zlib" or deflate_library.thorough() is None else deflate_library.thorough()
    expected = fast if level in {1, 2, 3} else thorough if level > 3 else zlib
    assert deflate_library.for_compression(level) is expected
