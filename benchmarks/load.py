"""A streaming handler under load: streamflow's response beside Starlette's own, on uvicorn, asked by wrk and by hey.

What lives here: who is compared with whom, the goals, and the tables. What must not: the handlers (`load_app.py`).

wrk is given one core's worth of connections for some seconds, each round in turn; then a thousand connections at once,
where nothing but waiting may be the answer. Both handlers read the same generator. The server is one process; who asks
is another, on the second core.

How many requests there are in a second is asked by wrk, which itself takes little. How long the slowest take is asked
by hey: wrk reads one connection until nothing is left in it, so while a server feeds that as quickly as it is read, the
others wait; with long bodies it is then wrk that settles which is the slowest, by seconds. hey reads them in turn.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from benchmarks.load_app import SIZES
from benchmarks.processes import ROOT
from benchmarks.results import Ratio, Result
from benchmarks.tables import machine, table

__all__ = ["run"]

_MIB = 1 << 20
_LONG, _FEW = 8, 5  # seconds and rounds for the latencies: of 500 long bodies the 99th percentile is that of five
_BODIES = {"rows": "1,000 rows of 76 bytes", "blocks": "16 blocks of 64 KiB", "more": "256 blocks of 64 KiB"}
_WHO = {"starlette": "`StreamingResponse`", "streamflow": "`StreamResponse`"}
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class _Answer:
    """What wrk or hey says: requests per second, the 99th percentile in milliseconds, requests that failed."""

    requests: float
    slow: float
    errors: int


_Asking: TypeAlias = Callable[[str, str, str, int, float], _Answer]


def run(*, seconds: float = 3, rounds: int = 9, connections: int = 32, crowd: int = 1_000) -> Result:
    """Ask both handlers for both bodies in turn; return the tables and the ratios."""
    if missing := [name for name in ("wrk", "hey") if shutil.which(name) is None]:
        names = " and ".join(missing)
        return Result(f"There is no {names} here (on Debian: `apt install wrk hey`), so there was nothing to ask with.")
    with _serving() as address:
        names = [(what, who) for what in _BODIES for who in _WHO]
        for name in names:
            _asked(address, *name, connections, 1)
        found = _in_rounds(_asked, address, names, connections, seconds, rounds)
        timed = _in_rounds(_timed, address, names, connections, _LONG, _FEW)
        crowded = {name: _asked(address, *name, crowd, seconds) for name in names}
    head = (
        f"{connections} connections, median of {rounds} rounds of {seconds:g} s (requests) and of {_FEW} of {_LONG} s "
        f"(99th percentile). {machine()}"
    )
    text = "\n\n".join([head, _table(found, timed), f"{crowd:,} connections at once:", _crowd_table(crowded)])
    return Result(text, [*_ratios(found, timed), *_crowd_ratios(crowded, crowd)])


def _in_rounds(  # noqa: PLR0917  # made in one place
    ask: _Asking, address: str, names: Sequence[tuple[str, str]], connections: int, seconds: float, rounds: int
) -> dict[tuple[str, str], list[_Answer]]:
    found: dict[tuple[str, str], list[_Answer]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(ask(address, *name, connections, seconds))
    return found


@contextmanager
def _serving() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.load_app"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.stdin.close()


def _asked(address: str, what: str, who: str, connections: int, seconds: float) -> _Answer:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "--latency"]
    said = subprocess.run([*command, f"{address}/{what}/{who}"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    percentile, unit = _found(r"99%\s+([\d.]+)(us|ms|s|m)\b", said)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    errors = sum(int(number) for match in (refused, broken) if match for number in match.groups())
    requests, size = float(_found(r"Requests/sec:\s+([\d.]+)", said)[0]), _found(r"([\d.]+)([KMG]B) read", said)
    _check_size(float(_found(r"(\d+) requests in", said)[0]), size, SIZES[what], said)
    return _Answer(requests, float(percentile) * _UNITS[unit], errors)


def _timed(address: str, what: str, who: str, connections: int, seconds: float) -> _Answer:
    """Ask by hey, on one core."""
    command = ["hey", "-cpus", "1", "-c", str(connections), "-z", f"{seconds:g}s", "-t", "30", "-disable-compression"]
    said = subprocess.run([*command, f"{address}/{what}/{who}"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    statuses = {status: int(number) for status, number in re.findall(r"\[(\d{3})\]\s+(\d+) responses", said)}
    if not statuses.pop("200", 0):
        raise AssertionError(f"there was no answer: {said}")
    errors = sum(statuses.values()) + sum(map(int, re.findall(r"\[(\d+)\]\s+Get ", said)))
    slow = float(_found(r"99% in ([\d.]+) secs", said)[0])
    return _Answer(float(_found(r"Requests/sec:\s+([\d.]+)", said)[0]), slow * 1e3, errors)


def _found(pattern: str, said: str) -> Sequence[str]:
    match = re.search(pattern, said)
    if match is None:
        raise AssertionError(f"it did not say {pattern!r}: {said}")
    return match.groups()


def _check_size(requests: float, read: Sequence[str], size: int, said: str) -> None:
    """What was read must be what so many bodies hold: a handler that leaves something out would be fast."""
    got = float(read[0]) * {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}[read[1]]
    if not requests * size * 0.98 <= got:
        raise AssertionError(f"{requests} bodies of {size} bytes are more than {got:.0f} bytes: {said}")


def _table(found: dict[tuple[str, str], list[_Answer]], timed: dict[tuple[str, str], list[_Answer]]) -> str:
    rows = []
    for (what, who), answers in found.items():
        requests = median(answer.requests for answer in answers)
        slow = median(answer.slow for answer in timed[what, who])
        rows.append(
            [
                f"{_WHO[who]}, {_BODIES[what]}",
                f"{requests:,.0f}",
                f"{requests * SIZES[what] / _MIB:,.0f} MiB/s",
                f"{slow:.0f} ms",
                str(sum(answer.errors for answer in [*answers, *timed[what, who]])),
            ]
        )
    return table(["", "requests/s", "throughput", "99th percentile", "errors"], rows)


def _crowd_table(crowded: dict[tuple[str, str], _Answer]) -> str:
    rows = [
        [f"{_WHO[who]}, {_BODIES[what]}", f"{answer.requests:,.0f}", f"{answer.slow:,.0f} ms", str(answer.errors)]
        for (what, who), answer in crowded.items()
    ]
    return table(["", "requests/s", "99th percentile", "errors"], rows)


def _ratios(
    found: dict[tuple[str, str], list[_Answer]], timed: dict[tuple[str, str], list[_Answer]]
) -> Iterator[Ratio]:
    for what, body in _BODIES.items():
        more = [ours.requests / bare.requests for ours, bare in _pairs(found, what)]
        slower = [ours.slow / bare.slow for ours, bare in _pairs(timed, what)]
        for key, name, quotients, limit in (
            ("requests", "requests per second", more, {"at_least": 0.95}),
            ("slow", "99th percentile", slower, {"at_most": 1.0}),
        ):
            yield Ratio(
                f"load.{what}.{key}/starlette",
                f"{name}, {body}: `StreamResponse` / `StreamingResponse`",
                median(quotients),
                **limit,
                spread=f"{min(quotients):.3g} to {max(quotients):.3g}",
            )


def _pairs(found: dict[tuple[str, str], list[_Answer]], what: str) -> list[tuple[_Answer, _Answer]]:
    return list(zip(found[what, "streamflow"], found[what, "starlette"], strict=True))


def _crowd_ratios(crowded: dict[tuple[str, str], _Answer], crowd: int) -> Iterator[Ratio]:
    errors = sum(answer.errors for (_, who), answer in crowded.items() if who == "streamflow")
    yield Ratio("load.errors", f"requests that failed with {crowd:,} connections at once", errors, at_most=0, unit="")
