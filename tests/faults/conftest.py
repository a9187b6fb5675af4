"""Two S3 servers that have no line in common, each in a process of its own, each behind the fault proxy.

moto keeps all in memory; Swift keeps it on disk, so it knows after a restart what it had. Both are looked at past the
proxy by a client that is not the one under test (boto3).
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.faults.proxy import FaultProxy

SECRET = "c4n4ry/secret+key"
KEYS = {"moto": ("c4n4ry-id", SECRET), "swift": ("test:tester", SECRET)}
NEEDS = {"moto": "moto", "swift": "swift"}

_MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
"""


class Server:
    """One of the two; `start`, `kill` and `start` again."""

    def __init__(self, kind: str, directory: Path) -> None:
        if importlib.util.find_spec(NEEDS[kind]) is None:
            pytest.skip(f"needs {NEEDS[kind]}: pip install -e '.[dev]'")
        self.kind = kind
        self.url = ""
        self._command = {
            "moto": [sys.executable, "-c", _MOTO],
            "swift": [sys.executable, str(Path(__file__).with_name("swift_server.py")), str(directory)],
        }[kind]
        self._process: subprocess.Popen[str] | None = None
        self._client: Any = None

    def start(self) -> None:
        """Start it and wait for its address, which is another one each time."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        assert self.url, f"{self.kind} did not start"

    def client(self) -> Any:
        """Return a client that speaks to it directly."""
        if self._client is None:
            self._client = _client(self.kind, self.url)
        return self._client

    def kill(self) -> None:
        """Kill it, as a crash would."""
        if self._client is not None:
            self._client.close()
            self._client = None
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _client(kind: str, url: str) -> Any:
    """Return boto3's client: it takes a moment to make, so a server has one."""
    import boto3  # noqa: PLC0415  # not in the tests of the proxy
    from botocore.config import Config  # noqa: PLC0415

    access, secret = KEYS[kind]
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )


class Bucket:
    """A new bucket, seen past the proxy."""

    _count = itertools.count()

    def __init__(self, server: Server) -> None:
        self.name = f"bucket-{os.getpid()}-{next(self._count)}"
        self._server = server
        self.kind = server.kind
        self._asked("create_bucket")

    def _asked(self, method: str, **arguments: Any) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what boto3 has to say about the future
            answer: dict[str, Any] = getattr(self._server.client(), method)(Bucket=self.name, **arguments)
            if "Body" in answer:
                answer["Body"] = answer["Body"].read()
            return answer

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        self._asked("put_object", Key=key, Body=body)

    def get(self, key: str) -> bytes:
        """Return an object."""
        body: bytes = self._asked("get_object", Key=key)["Body"]
        return body

    def parts(self, key: str) -> list[int]:
        """Return the sizes of the parts of the one open upload to a key."""
        (upload,) = (one for one in self._asked("list_multipart_uploads")["Uploads"] if one["Key"] == key)
        return [part["Size"] for part in self._asked("list_parts", Key=key, UploadId=upload["UploadId"])["Parts"]]

    def left(self) -> tuple[list[str], list[str]]:
        """Return the keys in it, and the keys of uploads that are neither completed nor aborted."""
        keys = [found["Key"] for found in self._asked("list_objects_v2").get("Contents", [])]
        return keys, [found["Key"] for found in self._asked("list_multipart_uploads").get("Uploads", [])]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """obstore's threads are excused from the leak check; ours are not."""
    yield
    assert [one.name for one in threading.enumerate() if one.name.startswith("streamflow")] == []


@pytest.fixture(scope="session")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    servers: dict[str, Server] = {}
    yield servers
    for server in servers.values():
        server.kill()


@pytest.fixture(params=list(KEYS))
def server(request: pytest.FixtureRequest, _servers: dict[str, Server], tmp_path_factory: Any) -> Server:
    """One that lives as long as the tests."""
    kind = request.param
    if kind not in _servers:
        started = Server(kind, tmp_path_factory.mktemp(kind))
        started.start()
        _servers[kind] = started
    return _servers[kind]


@pytest.fixture
def bucket(server: Server) -> Bucket:
    """A bucket of the test's own."""
    return Bucket(server)


@pytest.fixture(params=list(KEYS))
def mortal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """One of the test's own, to be killed."""
    server = Server(request.param, tmp_path / "swift")
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture
async def proxy(request: pytest.FixtureRequest) -> AsyncIterator[FaultProxy]:
    """The fault proxy before `server`, or before `mortal`."""
    name = "mortal" if "mortal" in request.fixturenames else "server"
    async with FaultProxy(request.getfixturevalue(name).url) as proxy:
        yield proxy


@pytest.fixture
def options(proxy: FaultProxy, request: pytest.FixtureRequest) -> dict[str, Any]:
    """How streamflow reaches the server through the proxy, with short delays: three retries within half a second."""
    name = "mortal" if "mortal" in request.fixturenames else "server"
    access, secret = KEYS[request.getfixturevalue(name).kind]
    return {
        "endpoint": proxy.url,
        "access_key_id": access,
        "secret_access_key": secret,
        "region": "us-east-1",
        "client_options": {"timeout": "1s", "connect_timeout": "1s"},
        "retry_config": {
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=10),
            "backoff": {
                "init_backoff": timedelta(milliseconds=1),
                "max_backoff": timedelta(milliseconds=20),
                "base": 2,
            },
        },
    }
