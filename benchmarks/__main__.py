"""The command: `python -m benchmarks [--write] [--quick] [NAME ...]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks import adaptive, capacity, cmap, hops, memory, ticker
from benchmarks.tables import put_into_page

# What each measures, in `--quick` and in full, and the page it is written to.
_ALL: dict[str, tuple[Callable[[], str], Callable[[], str], str]] = {
    "hops": (lambda: hops.run(items=20_000, rounds=3), hops.run, "benchmarks.md"),
    "cmap": (lambda: cmap.run(items=5_000, rounds=3), cmap.run, "benchmarks.md"),
    "ticker": (lambda: ticker.run(seconds=0.3), ticker.run, "benchmarks.md"),
    "memory": (lambda: memory.run(few=20_000, many=100_000), memory.run, "benchmarks.md"),
    "adaptive": (lambda: adaptive.run(calls=1_000), adaptive.run, "benchmarks.md"),
    "capacity": (lambda: capacity.run(items=50_000, rounds=2), capacity.run, "capacity.md"),
}


def main() -> int:
    """Measure what was asked for; return 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what streamflow costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(_ALL)} (default: all)")
    parser.add_argument("--write", action="store_true", help="write the results into docs/")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in _ALL]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; choose from {', '.join(_ALL)}")
    broken = False
    for name in options.names or _ALL:
        quick, full, page = _ALL[name]
        text = (quick if options.quick else full)()
        print(f"## {name}\n\n{text}\n", flush=True)
        broken = broken or "**missed**" in text
        if options.write:
            put_into_page(page, name, text)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
