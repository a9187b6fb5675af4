"""One run of one way to move a file: `python -m benchmarks.copying_jobs WAY SOURCE TARGET DIGEST [--sync] [...]`.

What lives here: the ways, of streamflow and of the command line, and their timing by the protocol of `processes.py`.
What must not: which ways are compared.

A command is timed from its start to its end; to start one takes about a millisecond. A pipeline of streamflow is timed
from its start to its end inside Python. With `--sync` the result is on the disk when the clock is stopped, for either.
Then it is checked against the SHA-256 of what it must hold, and removed.

Before the clock is started the same is done with the file given by `--warm`, so that Python has imported what it needs.
Copies warm up with the whole file: on a virtual machine pages that nobody has used for some seconds may belong to the
host again, and to get 256 MiB of them back takes several times as long as the copy.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip as plain_gzip
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import uvloop

from benchmarks.copying_profile import count_threads

__all__ = ["COMMANDS", "digest", "main"]

COMMANDS: dict[str, Sequence[str]] = {
    "cp": ("cp",),
    "gzip": ("gzip", "-6", "-c"),
    "pigz": ("pigz", "-p", "2", "-6", "-c"),
    "gunzip": ("gzip", "-d", "-c"),
    "unpigz": ("pigz", "-p", "2", "-d", "-c"),
}
"""Programs by the name of the way; those with `-c` write to their standard output, which is the target."""

_BLOCK = 1 << 18
_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def digest(path: Path, *, packed: bool = False) -> str:
    """Return the SHA-256 of a file's content, or of what it holds compressed; read in blocks, to take little memory."""
    found = hashlib.sha256()
    with cast("IO[bytes]", plain_gzip.open(path, "rb") if packed else path.open("rb")) as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _command(way: str, source: Path, target: Path, *, sync: bool) -> dict[str, float]:
    command = [*COMMANDS[way], str(source)]
    start, used = time.perf_counter(), _children()
    if "-c" in command:
        with target.open("xb") as out:
            subprocess.run(command, stdout=out, check=True)  # noqa: S603  # one of our list
    else:
        subprocess.run([*command, str(target)], check=True)  # noqa: S603
    if sync:
        _synced(target)
    return {"wall": time.perf_counter() - start, "processor": _children() - used}


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _synced(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _pipelines() -> dict[str, Callable[..., Any]]:
    """Streamflow's ways. Imported here: `--plain` has to come before it, and a command needs none of it."""
    import streamflow as sf  # noqa: PLC0415
    from streamflow import files, gzip, objects  # noqa: PLC0415

    def copy(source: Path, target: Path, *, sync: bool, **_: int) -> Any:
        return sf.pipeline(files.read(source), files.write(target, sync=sync))

    def compress(source: Path, target: Path, *, threads: int, **_: bool) -> Any:
        packing = gzip.compress(level=6, threads=threads)
        return sf.pipeline(files.read(source), packing, objects.write(target.as_uri()))

    def decompress(source: Path, target: Path, *, sync: bool, **_: int) -> Any:
        return sf.pipeline(objects.read(source.as_uri()), gzip.decompress(), files.write(target, sync=sync))

    return {"copy": copy, "compress": compress, "decompress": decompress}


def _pipeline(way: str, source: Path, target: Path, options: argparse.Namespace) -> dict[str, Any]:
    job = _pipelines()[way]
    threads = count_threads() if options.by_thread else {}

    async def run() -> dict[str, Any]:
        start, used, mine = time.perf_counter(), time.process_time(), time.thread_time()
        await job(source, target, sync=options.sync, threads=options.threads)
        wall, loop = time.perf_counter() - start, time.thread_time() - mine
        return {"wall": wall, "processor": time.process_time() - used, "loop": loop, "threads": threads}

    with asyncio.Runner(loop_factory=_LOOPS[options.loop]) as runner:
        return runner.run(run())


def _once(way: str, source: Path, target: Path, options: argparse.Namespace) -> dict[str, Any]:
    if way in COMMANDS:
        return _command(way, source, target, sync=options.sync)
    return _pipeline(way, source, target, options)


def main() -> int:
    """Run what the arguments name, check its result, print its seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copying_jobs", description="Move a file once.")
    parser.add_argument("way", choices=[*COMMANDS, "copy", "compress", "decompress"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("digest", help="SHA-256 of the target's content; of what it holds, when it is compressed")
    parser.add_argument("--sync", action="store_true", help="wait until it is on the disk")
    parser.add_argument("--threads", type=int, default=1, help="of compress")
    parser.add_argument("--plain", action="store_true", help="do without the extra `fast`")
    parser.add_argument("--by-thread", action="store_true", help="count the time of each thread")
    parser.add_argument("--loop", choices=_LOOPS, default="uvloop")
    parser.add_argument("--warm", type=Path, help="a source to begin with, which is not timed")
    options = parser.parse_args()
    if options.plain:
        for library in ("isal", "zlib_ng"):  # as if they were not installed
            sys.modules[library] = cast("Any", None)
    try:
        if options.warm:
            _once(options.way, options.warm, options.target, options)
            options.target.unlink()
        seconds = _once(options.way, options.source, options.target, options)
        if digest(options.target, packed=options.way in ("gzip", "pigz", "compress")) != options.digest:
            raise AssertionError(f"{options.way}: the result is not what it should be")
    finally:
        with suppress(FileNotFoundError):
            options.target.unlink()
    print(json.dumps(seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
