"""The command: `python -m benchmarks [--write] [--quick] [--check] [--update-baseline] [NAME ...]`.

What lives here: the options, and the order of things: run, print, write, compare.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks import baseline, registry
from benchmarks.baseline import Change
from benchmarks.registry import BENCHMARKS
from benchmarks.results import Ratio, Result
from benchmarks.tables import DOCS, machine, put_into_page, ratios_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; return 1 if a benchmark failed or, with `--check`, if a ratio has become worse.

    A goal that is missed is said, and is no failure: goals belong to a machine, and the docs say which are missed.
    """
    options = _options(arguments)
    names = options.names or [name for name, one in BENCHMARKS.items() if one.key or not options.quick]
    results = {name: _shown(name, options) for name in names}
    done = {name: result for name, result in results.items() if result is not None}
    ratios = [ratio for result in done.values() for ratio in result.ratios]
    _say_missed(ratios)
    mode = "quick" if options.quick else "full"
    if options.update_baseline:
        baseline.update(mode, done, ratios, machine(), options.baseline)
        print(f"Wrote {len(ratios)} ratios of {mode} runs to {options.baseline.name}.")
    worse = _checked(done, mode, options.baseline) if options.check else []
    return 1 if worse or len(done) < len(results) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure what streamflow costs, beside others that do the same work."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(BENCHMARKS)}")
    parser.add_argument("--write", action="store_true", help="write the results into docs/")
    parser.add_argument("--quick", action="store_true", help="small numbers, and without NAME only the key benchmarks")
    parser.add_argument("--check", action="store_true", help="compare the ratios with baseline.json; exit 1 if worse")
    parser.add_argument("--update-baseline", action="store_true", help="write the ratios to baseline.json")
    parser.add_argument("--baseline", type=Path, default=baseline.FILE, help="another file than baseline.json")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    if options.write and options.quick:
        parser.error("--write needs full runs: the numbers of --quick are too small to be quoted")
    return options


def _shown(name: str, options: argparse.Namespace) -> Result | None:
    """Run one and print it; None if it failed, so that the others are still measured."""
    print(f"## {name}\n", flush=True)
    try:
        result = registry.run(name, quick=options.quick)
        text = "\n\n".join(part for part in (result.text, ratios_table(result.ratios)) if part)
        print(f"{text}\n", flush=True)
        if options.write:
            _write(name, text, result)
    except Exception:  # noqa: BLE001  # whatever it is, it is shown, and the next benchmark is run
        traceback.print_exc()
        return None
    return result


def _write(name: str, text: str, result: Result) -> None:
    put_into_page(DOCS / BENCHMARKS[name].page, name, text)
    for file, picture in result.pictures.items():
        (DOCS / file).write_text(picture, encoding="utf-8")


def _say_missed(ratios: Sequence[Ratio]) -> None:
    goals = [ratio for ratio in ratios if ratio.goal]
    missed = [ratio for ratio in goals if not ratio.kept]
    if goals:
        print(f"{len(goals) - len(missed)} of {len(goals)} goals kept.")
    for ratio in missed:
        print(f"  {ratio.key}: {ratio.shown}, {ratio.goal}: {ratio.verdict}")


def _checked(done: dict[str, Result], mode: str, path: Path) -> list[Change]:
    """Compare with the baseline. A benchmark in which something is worse runs once more: only what stays is told."""
    before = baseline.read(mode, path)
    worse = [change for name, result in done.items() for change in _worse_twice(name, result, mode, before)]
    found = {ratio.key for result in done.values() for ratio in result.ratios}
    missing = [key for key in before if key.partition(".")[0] in done and key not in found]
    compared = len(found & before.keys())
    print(f"{compared} ratios compared with {path.name} (tolerance {baseline.TOLERANCE:.0%}): {len(worse)} are worse.")
    for change in worse:
        print(f"  {change}: {change.worse:.2f} times worse")
    if missing:
        print(f"  not measured here: {', '.join(missing)}")
    return worse


def _worse_twice(name: str, result: Result, mode: str, before: dict[str, float]) -> list[Change]:
    first = {change.ratio.key for change in baseline.compare(result.ratios, before)}
    if not first:
        return []
    print(f"{name} is measured once more: {', '.join(sorted(first))} may be worse.", flush=True)
    again = registry.run(name, quick=mode == "quick")
    return [change for change in baseline.compare(again.ratios, before) if change.ratio.key in first]


if __name__ == "__main__":
    sys.exit(main())
