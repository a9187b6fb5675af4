"""The proxy does what it was told, where it was told, and counts only what really happened."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.faults.proxy import Answer, Corrupt, Cut, FaultProxy, Latency, Reset, Slices, Stall

DATA = bytes(range(256)) * 1024


class Echo:
    """A server that gives `DATA` to GET, and to PUT the number of bytes it got."""

    def __init__(self):
        self.asked = []

    async def __call__(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next((int(line[15:]) for line in head.splitlines() if line.startswith("content-length:")), 0)
            body = await reader.readexactly(length)
            self.asked.append(body)
            answer = DATA if head.startswith("GET") else str(len(body)).encode()
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
            await writer.drain()
        writer.close()


@pytest.fixture
async def echo():
    echo = Echo()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    echo.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield echo
    server.close()
    await server.wait_closed()


@pytest.fixture
async def proxy(echo):
    async with FaultProxy(echo.url) as proxy:
        yield proxy


async def connected(proxy):
    return await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]), limit=2**20)


async def asked(proxy, line="GET /a", body=b"", connection=None):
    """Return the status and as much of the body as came; says whether it ended well, was cut, or was reset."""
    reader, writer = connection or await connected(proxy)
    writer.write(f"{line} HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    got, ending = b"", "whole"
    status = 0
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split()[1])
        length = next(int(text[15:]) for text in head.splitlines() if text.startswith("content-length:"))
        while len(got) < length and (piece := await reader.read(length - len(got))):
            got += piece
        if len(got) < length:
            ending = "cut"
    except asyncio.IncompleteReadError:
        ending = "cut"
    except OSError:
        ending = "reset"
    if connection is None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return status, got, ending


async def test_without_a_fault_all_passes_and_is_listed(proxy, echo):
    assert await asked(proxy) == (200, DATA, "whole")
    assert await asked(proxy, "PUT /b?c=d", DATA) == (200, str(len(DATA)).encode(), "whole")
    assert echo.asked == [b"", DATA]
    assert proxy.requests == ["GET /a", "PUT /b?c=d"]


async def test_a_connection_takes_one_request_after_another(proxy):
    connection = await connected(proxy)
    assert [await asked(proxy, connection=connection) for _ in range(3)] == [(200, DATA, "whole")] * 3
    assert (proxy.connections, len(proxy.requests)) == (1, 3)
    connection[1].close()
    await connection[1].wait_closed()


@pytest.mark.parametrize("after", [0, 1, 65535, 65536, 65537, len(DATA) - 1])
async def test_a_cut_comes_after_exactly_so_many_bytes(proxy, after):
    cut = proxy.add(Cut(after=after))
    assert await asked(proxy) == (200, DATA[:after], "cut")
    assert cut.happened == 1


async def test_a_cut_behind_the_end_has_not_happened(proxy):
    cut = proxy.add(Cut(after=len(DATA)))
    assert await asked(proxy) == (200, DATA, "whole")
    assert cut.happened == 0


async def test_a_reset_is_not_an_end(proxy):
    reset = proxy.add(Reset(after=1000))
    _, _, ending = await asked(proxy)
    assert ending == "reset"
    assert reset.happened == 1


async def test_a_corrupted_byte_is_one_byte(proxy):
    corrupt = proxy.add(Corrupt(after=70_000))
    _, got, ending = await asked(proxy)
    assert [at for at in range(len(DATA)) if got[at] != DATA[at]] == [70_000]
    assert (ending, corrupt.happened) == ("whole", 1)


async def test_the_way_up_can_be_faulty_too(proxy, echo):
    corrupt = proxy.add(Corrupt(after=5), direction="up")
    await asked(proxy, "PUT /b", b"0123456789")
    assert echo.asked == [b"01234\xca6789"]
    assert corrupt.happened == 1


async def test_a_cut_on_the_way_up_reaches_neither_end_whole(proxy, echo):
    cut = proxy.add(Cut(after=5), direction="up")
    assert await asked(proxy, "PUT /b", b"0123456789") == (0, b"", "cut")
    assert (echo.asked, cut.happened) == ([], 1)


async def test_a_stall_ends_when_it_is_over(proxy):
    stall = proxy.add(Stall(after=1000))
    waiting = asyncio.ensure_future(asked(proxy))
    await stall.reached.wait()
    assert not waiting.done()
    stall.over.set()
    assert await waiting == (200, DATA, "whole")


async def test_a_closed_proxy_ends_what_is_stalled(echo):
    async with FaultProxy(echo.url) as proxy:
        stall = proxy.add(Stall(after=1000))
        waiting = asyncio.ensure_future(asked(proxy))
        await stall.reached.wait()
    assert (await waiting)[2] != "whole"


async def test_slices_and_latency_change_no_byte(proxy):
    slices, latency = proxy.add(Slices(10_000)), proxy.add(Latency(0.001))
    assert await asked(proxy) == (200, DATA, "whole")
    assert slices.happened >= len(DATA) // 10_000
    assert latency.happened == 1


async def test_a_scripted_answer_comes_instead_of_the_servers(proxy, echo):
    answer = proxy.add(Answer(503, b"busy", {"retry-after": "1"}), times=1)
    assert await asked(proxy, "PUT /b", b"body") == (503, b"busy", "whole")
    assert (echo.asked, answer.happened) == ([], 1)
    assert await asked(proxy) == (200, DATA, "whole")


async def test_a_scripted_answer_can_hide_that_the_server_did_it(proxy, echo):
    answer = proxy.add(Answer(500, b"lost", forward=True))
    assert await asked(proxy, "PUT /b", b"body") == (500, b"lost", "whole")
    assert (echo.asked, answer.happened) == ([b"body"], 1)


async def test_a_fault_is_for_the_requests_it_was_ordered_for(proxy):
    cut = proxy.add(Cut(after=0), "GET /a$", skip=1, times=2)
    endings = [(await asked(proxy, line))[2] for line in ["GET /b", "GET /a", "GET /a", "GET /b", "GET /a", "GET /a"]]
    assert endings == ["whole", "whole", "cut", "whole", "cut", "whole"]
    assert cut.happened == 2


async def test_a_fault_can_be_for_one_connection(proxy):
    cut = proxy.add(Cut(after=0), connection=2)
    assert [(await asked(proxy))[2] for _ in range(3)] == ["whole", "cut", "whole"]
    assert cut.happened == 1


async def test_a_server_that_is_not_there_is_a_reset_or_an_end(echo):
    async with FaultProxy("http://127.0.0.1:9") as proxy:
        assert (await asked(proxy))[0] == 0


async def test_exchanges_beyond_the_limit_wait(echo):
    async with FaultProxy(echo.url, at_once=2) as proxy, asyncio.TaskGroup() as group:
        results = [group.create_task(asked(proxy)) for _ in range(5)]
        assert [await result for result in results] == [(200, DATA, "whole")] * 5
        assert proxy.most == 2
        await proxy.idle()
