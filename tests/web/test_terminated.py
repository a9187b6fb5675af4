"""SIGTERM under load: what was accepted completes or fails loudly, and no object is stored in part."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

import pytest

from tests.web.servers import Answer, connect, fetch, hang_up, read_answer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM"),
]

CLIENTS, PIECES, PIECE = 20, 60, b"y" * 5_000
WHOLE = b"".join(f"line {number:03} {'x' * 80}\n".encode() for number in range(60))


@contextlib.asynccontextmanager
async def server(folder, grace):
    command = [sys.executable, "-m", "tests.web.terminated_app", str(folder), str(grace)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def download(url):
    reader, writer = await connect(f"{url}/download")
    try:
        return await read_answer(reader)
    finally:
        await hang_up(writer)


async def upload(url, name):
    reader, writer = await connect(f"{url}/{name}", "PUT", {"Transfer-Encoding": "chunked"})
    try:
        for _ in range(PIECES):
            writer.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")
        return await read_answer(reader)
    except (OSError, RuntimeError):  # uvloop's transports say the latter when they are closed
        return Answer(0)
    finally:
        await hang_up(writer)


@pytest.mark.parametrize("grace", [10, 0], ids=["time enough", "no time"])
async def test_every_request_completes_or_fails_loudly_and_no_object_is_stored_in_part(tmp_path, grace):
    """H83, H84"""
    async with server(tmp_path, grace) as (process, url):
        downloads = [asyncio.create_task(download(url)) for _ in range(CLIENTS)]
        uploads = {f"object-{at}": asyncio.create_task(upload(url, f"object-{at}")) for at in range(CLIENTS)}
        while int((await fetch(f"{url}/begun")).body) < 2 * CLIENTS:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        fetched = await asyncio.gather(*downloads)
        stored = dict(zip(uploads, await asyncio.gather(*uploads.values()), strict=True))
        await asyncio.wait_for(process.wait(), 30)

    assert all(answer.body == WHOLE for answer in fetched if answer.complete and answer.status == 200)
    assert all(WHOLE.startswith(answer.body) for answer in fetched if answer.status == 200)
    there = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(there.values()) <= {PIECES * len(PIECE)}
    assert {name for name, answer in stored.items() if answer.status == 200} <= set(there) <= set(stored)
    if grace:
        assert all(answer.complete and answer.status == 200 for answer in [*fetched, *stored.values()])
    else:
        assert not all(answer.complete for answer in fetched)
