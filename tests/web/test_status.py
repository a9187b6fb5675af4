"""The status routes: health and readiness as status codes, the numbers as JSON, a live page that trusts nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import streamflow as sf
from streamflow.serving.restarting import Restart
from streamflow.serving.supervisor import Supervisor
from streamflow.web.lifespan import lifespan
from streamflow.web.shared import Shared
from streamflow.web.status import status
from tests.web.servers import Answer, connect, fetch, hang_up, read_head, serving, until

EVIL = "<img src=x onerror=alert(1)>"


async def ticking() -> AsyncGenerator[int, None]:
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(0.01)


def ticks() -> sf.Pipeline[Any]:
    return sf.Pipeline(sf.Source(ticking, name="ticks"), sf.buffer(4), sf.map(str), sf.collect(), name="ticks")


def broken() -> sf.Pipeline[Any]:
    return sf.Pipeline(sf.failing(ValueError(EVIL)), sf.drain())


@asynccontextmanager
async def app(
    supervisor: Supervisor, *, shared: tuple[Shared[Any], ...] = (), **options: Any
) -> AsyncGenerator[str, None]:
    """Serve an application with the routes at /pipelines."""
    starlette = Starlette(
        routes=[Mount("/pipelines", status(**options))], lifespan=lifespan(supervisor, shared=list(shared))
    )
    async with serving(starlette, lifespan=True) as url:
        yield f"{url}/pipelines"


def states(answer: Answer) -> tuple[int, dict[str, str]]:
    return answer.status, json.loads(answer.body)["states"]


async def test_health_and_readiness_are_status_codes_and_tell_the_states() -> None:
    supervisor = Supervisor({"ticks": ticks}, restart=Restart(max_restarts=0), steady=0.05)
    async with app(supervisor) as url:
        assert states(await fetch(f"{url}/health")) == (200, {"ticks": "running"})
        await until(lambda: supervisor.ready)
        assert (await fetch(f"{url}/ready")).status == 200

        supervisor.add("broken", broken)
        await until(lambda: not supervisor.health().healthy)
        health, ready = await fetch(f"{url}/health"), await fetch(f"{url}/ready")
        assert states(health) == (503, {"ticks": "running", "broken": "failed"})
        assert ready.status == 503
        assert health.headers["cache-control"] == "no-store"
        assert EVIL.encode() not in health.body + ready.body


async def test_it_is_not_ready_before_the_pipelines_have_got_going() -> None:
    gate = asyncio.Event()

    async def made() -> sf.Pipeline[Any]:
        await gate.wait()
        return ticks()

    async with app(Supervisor({"late": made})) as url:
        answer = await fetch(f"{url}/ready")
        assert states(answer) == (503, {"late": "starting"})
        assert (await fetch(f"{url}/health")).status == 200
        gate.set()
        async with asyncio.timeout(5):
            while (await fetch(f"{url}/ready")).status != 200:  # noqa: ASYNC110  # as a probe asks
                await asyncio.sleep(0.01)


async def test_the_numbers_of_each_stage_and_channel_are_json() -> None:
    supervisor = Supervisor({"ticks": ticks, "broken": broken}, restart=Restart(max_restarts=0))
    async with app(supervisor) as url:
        await until(lambda: (run := supervisor.stats()["ticks"].run) is not None and run.stages[-1].items_in > 3)
        answer = await fetch(f"{url}/stats")
        assert answer.headers["content-type"] == "application/json"
        told = json.loads(answer.body)

    assert [pipeline["name"] for pipeline in told["pipelines"]] == ["ticks", "broken"]
    going, failed = told["pipelines"]
    assert (going["state"], going["error"], going["runs"]) == ("running", None, 1)
    assert failed["error"] == f"ValueError: {EVIL}"
    stages, channels = going["run"]["stages"], going["run"]["channels"]
    assert [stage["name"] for stage in stages] == ["ticks", "map", "collect"]
    assert stages[0]["out"] >= stages[-1]["in"] > 3
    assert 4 in {channel["maxsize"] for channel in channels}
    assert all(0 <= channel["fill"] <= 1 for channel in channels)
    assert all(channel["put"] == channel["got"] + channel["discarded"] + channel["items"] for channel in channels)
    assert {channel["after"] for channel in channels} <= {stage["position"] for stage in stages[:-1]}
    assert going["run"]["bottleneck"]


async def test_shared_streams_are_told_with_their_slowest_clients() -> None:
    prices = Shared(sf.Source(ticking, name="feed"), maxsize=2, slow="drop_oldest", name="prices")
    async with app(Supervisor(), shared=(prices,)) as url, contextlib.AsyncExitStack() as stack:
        for number in range(25):
            await stack.enter_async_context(opened(prices.stream(name=f"client {EVIL if number == 7 else ''}")))
        await until(lambda: prices.stats().dropped > 20)
        (told,) = json.loads((await fetch(f"{url}/stats")).body)["shared"]

    assert (told["name"], told["state"], told["clients"]) == ("prices", "running", 25)
    assert len(told["slowest"]) == 20
    assert told["dropped"] > 20
    assert told["slowest"][0]["dropped"] >= told["slowest"][-1]["dropped"]


@asynccontextmanager
async def opened(items: sf.Stream[Any]) -> AsyncGenerator[None, None]:
    """A client that takes one item and then nothing."""
    async with items.open(maxsize=1) as reader:
        await anext(reader)
        yield


async def test_the_page_gets_a_picture_again_and_again_and_its_end_when_the_application_stops() -> None:
    supervisor = Supervisor({"ticks": ticks})
    async with app(supervisor, every=0.05) as url:
        reader, writer = await connect(f"{url}/events")
        head = await read_head(reader)
        assert head.headers["content-type"].startswith("text/event-stream")
        pictures = [await event(reader) for _ in range(3)]
        ins = [picture["pipelines"][0]["run"]["stages"][0]["out"] for picture in pictures]
        assert ins == sorted(ins)
        assert ins[0] < ins[-1]

        supervisor.stopping.set()
        async with asyncio.timeout(5):
            rest = await reader.readuntil(b"\r\n0\r\n\r\n")  # the proper end of the response
        assert rest.endswith(b"0\r\n\r\n")
        await hang_up(writer)


async def event(reader: asyncio.StreamReader) -> Any:
    async with asyncio.timeout(5):
        while not (line := await reader.readline()).startswith(b"data: "):
            pass
    return json.loads(line[6:])


async def test_the_page_loads_nothing_from_elsewhere_and_its_policy_allows_what_is_in_it_and_no_more() -> None:
    async with app(Supervisor(), title=f"Jobs {EVIL}") as url:
        answer = await fetch(f"{url}/")
        slashless = await fetch(url)
    page, policy = answer.body.decode(), answer.headers["content-security-policy"]

    assert answer.status == 200
    assert slashless.headers["location"].endswith("/pipelines/")
    assert EVIL not in page
    assert page.count("Jobs &lt;img src=x onerror=alert(1)&gt;") == 2
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?(?:https?:)?//|@import|url\(""", page)
    for tag in ("script", "style"):
        (block,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_nothing_on_the_page_reads_text_as_html() -> None:
    async with app(Supervisor()) as url:
        page = (await fetch(f"{url}/")).body.decode()

    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "onclick="):
        assert word not in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


async def test_without_a_supervisor_it_says_what_to_write() -> None:
    routes = status()
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/health", "headers": [], "app": Starlette()}

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None: ...

    with pytest.raises(sf.UsageError, match=r"lifespan=web.lifespan"):
        await routes({**scope, "query_string": b"", "root_path": ""}, receive, send)


@pytest.mark.parametrize("every", [0, -1, float("nan")])
def test_an_interval_that_cannot_mean_anything_is_refused(every: float) -> None:
    with pytest.raises(sf.UsageError, match="every"):
        status(every=every)
