"""The jobs of `hops.py` without the counting: importing this strips streamflow, in a process of its own.

What lives here: the same jobs, under the same names. What must not: anything that another benchmark imports.
"""

from __future__ import annotations

from benchmarks import stripping

stripping.install()

from benchmarks.hops import boundaries, fused, generators  # noqa: E402  # only now

__all__ = ["boundaries", "fused", "generators"]
