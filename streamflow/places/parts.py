"""How large each part of an upload is: they grow, so that 10,000 of them reach what a store holds.

What lives here: the sizes, for those who write parts and for those who read them again. What must not: sending.

The size doubles every 1,000 parts. From 8 MiB, 7.8 GiB go in parts of 8 MiB, the next 15.6 GiB in parts of 16 MiB, and
so on: 10,000 parts reach 7.8 TiB. No part is larger than 5 GiB, which is as much as S3 takes in one request.
"""

from __future__ import annotations

__all__ = ["GROWS_EVERY", "LARGEST_PART", "PARTS", "grown", "spanned"]

PARTS = 10_000
GROWS_EVERY = 1000
LARGEST_PART = 5 * 1024**3


def grown(first: int, before: int, every: int = GROWS_EVERY) -> int:
    """Return the size in bytes of a part.

    Example: `grown(8 * MIB, 1000)` is 16 MiB, the size of the 1,001st part.

    Args:
        first: the size of the first, in bytes; one above 5 GiB stays as it is.
        before: how many parts come before it.
        every: after how many parts the size doubles.
    """
    return max(first, min(first << (before // every), LARGEST_PART))


def spanned(first: int, count: int, every: int = GROWS_EVERY) -> int:
    """Return how many bytes so many parts hold together, if all of them are full."""
    whole, rest = divmod(count, every)
    return sum(grown(first, every * run, every) for run in range(whole)) * every + rest * grown(first, count, every)
