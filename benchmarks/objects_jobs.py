"""One run of one way to an object or from it: `python -m benchmarks.objects_jobs WAY URL MEBIBYTES [--once]`.

What lives here: the ways, of streamflow, obstore, s3fs and the `aws` command, and their timing by the protocol of
`processes.py`. What must not: which ways are compared.

Parts have 8 MiB and four are under way at once, chunks have 1 MiB. What is stored is read back and compared, and what
is read is counted, outside the timing. A way warms up once and tells the median of three runs. The command is timed
from its start to its end, once, and moves a file, since that is what it does best.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import uvloop

__all__ = ["CHUNK", "CONCURRENCY", "PART", "WAYS", "aws_command", "aws_environment", "main"]

CHUNK = 1 << 20
PART = 8 << 20
CONCURRENCY = 4

_RUNS = 3
_BUCKET, _KEY = "bench", "orders.bin"
_CREDENTIALS = {"access_key_id": "anybody", "secret_access_key": "nothing", "region": "us-east-1"}

Seconds = dict[str, float]


def _chunks(mebibytes: int) -> list[bytes]:
    """Return the same chunk many times over: a sender cannot tell, and it takes no memory of its own."""
    return [random.Random(1).randbytes(CHUNK)] * mebibytes  # noqa: S311  # no secret


# --- the ways --------------------------------------------------------------------------------------------------------


def _store(url: str, **options: Any) -> Any:
    s3 = import_module("obstore.store").S3Store
    return s3(_BUCKET, endpoint=url, client_options={"allow_http": True}, **_CREDENTIALS, **options)


async def _obstore_put(url: str, mebibytes: int, **options: Any) -> int:
    writer = import_module("obstore").open_writer_async(
        _store(url, **options), _KEY, buffer_size=PART, max_concurrency=CONCURRENCY
    )
    size = 0
    async with writer as file:
        for chunk in _chunks(mebibytes):
            await file.write(chunk)
            size += len(chunk)
    return size


async def _obstore_put_checked(url: str, mebibytes: int) -> int:
    return await _obstore_put(url, mebibytes, checksum_algorithm="SHA256")


async def _streamflow_put(url: str, mebibytes: int) -> int:
    import streamflow as sf  # noqa: PLC0415

    target = sf.objects.write(
        f"s3://{_BUCKET}/{_KEY}", part_size=PART, concurrency=CONCURRENCY, endpoint=url, **_CREDENTIALS
    )
    return (await sf.pipeline(_chunks(mebibytes), target)).bytes


async def _obstore_get(url: str, _: int) -> int:
    answer = await import_module("obstore").get_async(_store(url), _KEY)
    size = 0
    async for chunk in answer.stream(min_chunk_size=CHUNK):
        size += len(chunk)
    return size


async def _streamflow_get(url: str, _: int) -> int:
    import streamflow as sf  # noqa: PLC0415

    source = sf.objects.read(f"s3://{_BUCKET}/{_KEY}", endpoint=url, **_CREDENTIALS)
    return await sf.pipeline(source, sf.map(len), sf.sum())


def _s3fs(url: str) -> Any:
    files = import_module("s3fs").S3FileSystem(
        key=_CREDENTIALS["access_key_id"],
        secret=_CREDENTIALS["secret_access_key"],
        endpoint_url=url,
        client_kwargs={"region_name": _CREDENTIALS["region"]},
    )
    files.invalidate_cache()
    return files


def _s3fs_put(url: str, mebibytes: int) -> int:
    with _s3fs(url).open(f"{_BUCKET}/{_KEY}", "wb", block_size=PART) as file:
        return sum(file.write(chunk) for chunk in _chunks(mebibytes))


def _s3fs_get(url: str, _: int) -> int:
    size = 0
    with _s3fs(url).open(f"{_BUCKET}/{_KEY}", "rb", block_size=PART) as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
    return size


def aws_command(way: str, url: str, file: Path) -> list[str]:
    """Return the command that copies the file to the object (`aws-put`), or the object to the file."""
    ends = [str(file), f"s3://{_BUCKET}/{_KEY}"]
    return ["aws", "--endpoint-url", url, "s3", "cp", "--quiet", *(ends if way == "aws-put" else reversed(ends))]


def aws_environment() -> dict[str, str]:
    """Return an environment in which the command finds nothing of the user's."""
    mine = {f"AWS_{name.upper()}": value for name, value in _CREDENTIALS.items() if name != "region"}
    none = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    region = {"AWS_DEFAULT_REGION": _CREDENTIALS["region"], "AWS_EC2_METADATA_DISABLED": "true"}
    others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**others, **mine, **none, **region}


WAYS: dict[str, Callable[[str, int], int] | Callable[[str, int], Awaitable[int]]] = {
    "obstore-put": _obstore_put_checked,
    "obstore-put-unchecked": _obstore_put,
    "streamflow-put": _streamflow_put,
    "s3fs-put": _s3fs_put,
    "obstore-get": _obstore_get,
    "streamflow-get": _streamflow_get,
    "s3fs-get": _s3fs_get,
}
"""The ways by name, called with the store's URL and the size in MiB; they return how many bytes there were."""


# --- timing ----------------------------------------------------------------------------------------------------------


def _once(way: str, url: str, mebibytes: int) -> tuple[int, Seconds]:
    job: Any = WAYS[way]
    if "s3fs" in way:
        return _timed_plain(job, url, mebibytes)

    async def run() -> tuple[int, Seconds]:
        start = _clocks()
        return await job(url, mebibytes), _since(start)

    return uvloop.run(run())


def _timed_plain(job: Any, url: str, mebibytes: int) -> tuple[int, Seconds]:
    start = _clocks()
    return job(url, mebibytes), _since(start)


def _clocks() -> Seconds:
    return {"wall": time.perf_counter(), "processor": time.process_time()}


def _since(start: Seconds) -> Seconds:
    return {clock: now - start[clock] for clock, now in _clocks().items()}


def _runs(way: str, url: str, mebibytes: int, *, once: bool) -> Seconds:
    runs = [_once(way, url, mebibytes) for _ in range(1 if once else 1 + _RUNS)]
    if wrong := {size for size, _ in runs} - {mebibytes * CHUNK}:
        raise AssertionError(f"{way}: {wrong} bytes, not {mebibytes * CHUNK}")
    times = [seconds for _, seconds in runs[not once :]]
    return sorted(times, key=lambda seconds: seconds["wall"])[len(times) // 2]


def _command(way: str, url: str, mebibytes: int) -> Seconds:
    with tempfile.TemporaryDirectory(prefix="streamflow-objects-") as folder:
        file = Path(folder) / _KEY
        if way == "aws-put":
            with file.open("xb") as out:
                out.writelines(_chunks(mebibytes))
        start, used = time.perf_counter(), _children()
        subprocess.run(aws_command(way, url, file), env=aws_environment(), check=True)  # noqa: S603  # one of ours
        seconds = {"wall": time.perf_counter() - start, "processor": _children() - used}
        if file.stat().st_size != mebibytes * CHUNK:
            raise AssertionError(f"{way}: {file.stat().st_size} bytes, not {mebibytes * CHUNK}")
    return seconds


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _check_stored(way: str, url: str, mebibytes: int) -> None:
    """Read the object back and compare it with what was sent."""
    wanted, found = hashlib.blake2b(), hashlib.blake2b()
    for chunk in _chunks(mebibytes):
        wanted.update(chunk)
    with urllib.request.urlopen(f"{url}/{_BUCKET}/{_KEY}") as answer:  # noqa: S310  # on loopback
        while block := answer.read(CHUNK):
            found.update(block)
    if found.digest() != wanted.digest():
        raise AssertionError(f"{way}: what is stored is not what was sent")


def main() -> int:
    """Run what the arguments name, check its result, print its seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.objects_jobs", description="Move an object once.")
    parser.add_argument("way", choices=[*WAYS, "aws-put", "aws-get"])
    parser.add_argument("url", help="of the store")
    parser.add_argument("mebibytes", type=int)
    parser.add_argument("--once", action="store_true", help="without warming up and reading back: for the memory")
    options = parser.parse_args()
    place = options.way, options.url, options.mebibytes
    seconds = _command(*place) if options.way.startswith("aws") else _runs(*place, once=options.once)
    if "put" in options.way and not options.once:
        _check_stored(*place)
    print(json.dumps(seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
