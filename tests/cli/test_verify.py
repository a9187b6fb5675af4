"""The proof: it must find every kind of difference, by itself and by the first place."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import threading
from pathlib import Path

import pytest

from streamflow.cli import verify as module
from streamflow.cli.verify import compare, verify
from streamflow.places import memory

SOURCE = [["id", "text"], ["1", "a"], ["2", "b\nc"], ["3", "ß"]]
RESULT = [["id", "text", "at"], ["1", "a", "t"], ["2", "b\nc", "t"], ["3", "ß", "t"]]


def test_the_same_rows_are_the_same():
    verdict = compare(iter(SOURCE), iter(RESULT), "at")

    assert (verdict.rows_in, verdict.rows_out, verdict.difference) == (3, 3, None)
    assert verdict.same


@pytest.mark.parametrize(
    ("result", "rows_out", "difference"),
    [
        (RESULT[:3], 2, "row 3 is missing in the result"),
        (RESULT[:2] + RESULT[3:], 2, "row 2 differs: ['2', 'b\\nc'] became ['3', 'ß']"),
        ([*RESULT, ["4", "d", "t"]], 4, "row 4 of the result is not in the source"),
        ([*RESULT[:2], ["2", "b c", "t"], RESULT[3]], 3, "row 2 differs: ['2', 'b\\nc'] became ['2', 'b c']"),
        ([RESULT[0], RESULT[2], RESULT[1], RESULT[3]], 3, "row 1 differs: ['1', 'a'] became ['2', 'b\\nc']"),
        ([*RESULT[:3], ["3", "ß", ""]], 3, "row 3 has '' in the column at"),
        ([*RESULT[:3], ["3", "ß"]], 3, "row 3 has 2 fields, not 3"),
        ([["id", "text", "when"], *RESULT[1:]], 3, "the header has 'when' in the column at"),
        (RESULT[1:], 2, "the header differs: ['id', 'text'] became ['1', 'a']"),
        ([], 0, "the header is missing in the result"),
    ],
)
def test_the_first_difference_is_named(result, rows_out, difference):
    verdict = compare(iter(SOURCE), iter(result), "at")

    assert (verdict.rows_in, verdict.rows_out, verdict.difference) == (3, rows_out, difference)
    assert not verdict.same


def test_no_rows_give_a_result_without_a_header():
    assert compare(iter(SOURCE[:1]), iter([]), "at").same


def test_a_result_that_cannot_be_read_is_a_difference():
    def broken():
        yield from RESULT[:2]
        raise EOFError("Compressed file ended")

    verdict = compare(iter(SOURCE), broken(), "at")

    assert not verdict.same
    assert verdict.rows_out == 1
    assert verdict.difference == "the result cannot be read back: EOFError: Compressed file ended"


def test_it_stops_when_asked():
    verdict = compare(itertools.repeat(["x"]), itertools.repeat(["x", "t"]), "at", lambda: True)

    assert verdict.rows_in == 0


def _written(folder: Path, result: bytes) -> tuple[str, str]:
    source, target = folder / "in.csv", folder / "out.csv.gz"
    source.write_bytes('id,text\r\n1,"a, ""b"""\r\n2,"c\r\nd"\r\n3,東京\r\n'.encode())
    target.write_bytes(result)
    return source.as_uri(), target.as_uri()


WHOLE = gzip.compress('id,text,at\r\n1,"a, ""b""",t\r\n2,"c\r\nd",t\r\n3,東京,t\r\n'.encode())


async def test_files_are_read_by_the_standard_library(tmp_path):
    verdict = await verify(*_written(tmp_path, WHOLE), "at")

    assert verdict.same
    assert verdict.rows_in == 3


async def test_a_truncated_result_is_a_difference(tmp_path):
    verdict = await verify(*_written(tmp_path, WHOLE[:-8]), "at")

    assert not verdict.same
    assert "EOFError" in verdict.difference


async def test_a_damaged_result_is_a_difference(tmp_path):
    damaged = bytearray(WHOLE)
    damaged[-6] ^= 1

    verdict = await verify(*_written(tmp_path, bytes(damaged)), "at")

    assert not verdict.same
    assert "CRC" in verdict.difference


async def test_objects_of_a_store_are_fetched_and_gzipped_sources_unpacked(monkeypatch):
    monkeypatch.setattr(memory, "_buckets", {})
    store = memory.bucket("proof")
    rows = "".join(f"{n},zwölf\r\n" for n in range(100_000))
    stamped = "".join(f"{n},zwölf,t\r\n" for n in range(100_000))
    await store.put("in.csv.gz", gzip.compress(f"id,text\r\n{rows}".encode()))
    await store.put("out.csv.gz", gzip.compress(f"id,text,at\r\n{stamped}".encode()))

    verdict = await verify("memory://proof/in.csv.gz", "memory://proof/out.csv.gz", "at")

    assert verdict.same
    assert verdict.rows_in == 100_000


async def test_a_missing_result_is_an_error(tmp_path):
    source, target = _written(tmp_path, WHOLE)

    with pytest.raises(FileNotFoundError):
        await verify(source, target.replace("out", "nothing"), "at")


async def test_a_cancellation_ends_the_thread(monkeypatch, tmp_path):
    """P7: the thread has ended when the cancellation goes on."""
    under_way, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def never_done(before, after, added, stopped):
        loop.call_soon_threadsafe(under_way.set)
        verdict = compare(itertools.repeat(["x"]), itertools.repeat(["x", "t"]), added, stopped)
        ended.set()
        return verdict

    monkeypatch.setattr(module, "compare", never_done)
    task = asyncio.create_task(verify(*_written(tmp_path, WHOLE), "at"))
    await under_way.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
