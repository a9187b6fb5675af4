"""What no pipeline can be faster than: deflating the job's output, alone.

What lives here: that one measurement. What must not: the contenders.
"""

from __future__ import annotations

import gzip
import time
from pathlib import Path

from streamflow.formats.deflate_library import for_compression

__all__ = ["deflating"]

_BLOCK = 1 << 20
_GZIP = 31  # with the header and the checksum of gzip
_ROUNDS = 3


def deflating(packed: Path, level: int) -> float:
    """Return the least seconds that streamflow's library takes for the content of a gzip file, in one thread."""
    content = memoryview(gzip.decompress(packed.read_bytes()))
    return min(_once(content, level) for _ in range(_ROUNDS))


def _once(content: memoryview, level: int) -> float:
    library = for_compression(level)
    start = time.perf_counter()
    squeezing = library.compressobj(level, library.DEFLATED, _GZIP)
    for at in range(0, len(content), _BLOCK):
        squeezing.compress(content[at : at + _BLOCK])
    squeezing.flush()
    return time.perf_counter() - start
