"""What obstore's client was told holds for the requests that it has no call for: timeouts, retries, proxy, trust."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
from datetime import timedelta

import pytest

from streamflow.errors import MissingExtra
from streamflow.places.cloud_connect import connect
from streamflow.places.patience import Patience
from streamflow.places.s3_answers import exchanged
from streamflow.places.s3_line import Line
from streamflow.places.s3_upload import S3Upload
from streamflow.places.urls import Location
from tests.places.scripted import Answer, Bucket3, Scripted

try:
    connect(Location("s3", "bucket", "k"), {"region": "x"}, 1)
except MissingExtra:
    pytest.skip("needs the extra objects", allow_module_level=True)

pytestmark = pytest.mark.may_leak(
    "threads", "files", reason="obstore keeps its connections and tokio's own descriptors"
)

OK = Answer(200, b"<R><A>1</A></R>")


async def sent(url, *, retries=0, retry=None, **client):
    """Send one small request to the server by a store with these options; return its answer or its error."""
    config = {"endpoint": url, "access_key_id": "ID", "secret_access_key": "SECRET", "region": "x"}
    backoff = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=2)}
    config["retry_config"] = {"max_retries": retries, "backoff": backoff, **(retry or {})}
    store = connect(Location("s3", "bucket", "k"), config | {"client_options": client}, 1)
    try:
        root = await (await store._requests("k")).send("POST", {"uploads": ""})
    except OSError as error:
        return error
    return root.findtext("A")


async def silent(_):
    await asyncio.Event().wait()


@pytest.mark.parametrize("options", [{"timeout": "50ms"}, {"timeout": timedelta(minutes=1), "read_timeout": "50ms"}])
async def test_a_server_that_does_not_answer_is_given_up_when_it_was_said(options):
    async with Scripted(silent) as server:
        error = await sent(server.url, retries=1, **options)
        assert "timed out" in str(error)
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nx-long: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "head", "continue"],
)
async def test_an_answer_that_trickles_is_given_up_too(head, drop):
    """Each byte comes in time, the whole does not."""

    left = asyncio.Event()

    async def trickling(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        with contextlib.suppress(OSError):
            while not writer.is_closing():
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        left.set()

    server = await asyncio.start_server(trickling, "127.0.0.1", 0)
    async with asyncio.timeout(20):
        error = await sent(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout="100ms")
        await left.wait()
    server.close()
    await server.wait_closed()
    assert "took longer than 0.1 s" in str(error)


@pytest.mark.parametrize(
    ("retries", "retry", "count"),
    [(0, {}, 1), (3, {}, 4), (12, {}, 13), (12, {"retry_timeout": timedelta(0)}, 1)],
)
async def test_a_request_is_sent_again_as_often_as_it_was_said(retries, retry, count):
    async with Scripted(lambda _: Answer(503)) as server:
        error = await sent(server.url, retries=retries, retry=retry)
    assert "status 503" in str(error)
    assert len(server.requests) == count


async def test_the_connection_has_its_own_time(monkeypatch):
    seen = []
    real = socket.create_connection

    def create(address, timeout, *more, **options):
        seen.append(timeout)
        return real(address, timeout, *more, **options)

    monkeypatch.setattr(socket, "create_connection", create)
    async with Scripted(lambda _: OK) as server:
        assert await sent(server.url, timeout="40s", connect_timeout="7s") == "1"
        assert await sent(server.url, timeout="3s", connect_timeout="7s") == "1"
    assert seen == [7, 3]


async def test_the_proxy_that_was_named_is_asked_and_headers_go_along():
    async with Scripted(lambda _: OK) as server:
        told = {"proxy_url": server.url, "user_agent": "mine/1", "default_headers": {"x-team": "orders"}}
        assert await sent("http://s3.invalid", **told) == "1"

    (request,) = server.requests
    assert request.target.startswith("http://s3.invalid/bucket/k?")
    assert (request.headers["user-agent"], request.headers["x-team"]) == ("mine/1", "orders")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A server's certificate for 127.0.0.1, signed by itself; gives the path of it and its key."""
    x509 = pytest.importorskip("cryptography.x509", reason="needs cryptography")
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "s3 of the tests")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


async def test_a_certificate_is_trusted_only_as_it_was_said(certificate):
    pem = certificate.read_text().partition("-----BEGIN PRIVATE")[0]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with Scripted(lambda _: OK, tls=context) as server:
        assert server.url.startswith("https://")
        assert "certificate verify failed" in str(await sent(server.url))
        assert await sent(server.url, root_certificate=pem) == "1"
        assert await sent(server.url, allow_invalid_certificates=True) == "1"
    assert len(server.requests) == 2


async def test_what_obstore_trusts_is_trusted(tmp_path):
    """An authority below another one, with none of the extensions that Python asks for from 3.13 on."""
    x509 = pytest.importorskip("cryptography.x509", reason="needs cryptography")
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    now, keys = dt.datetime.now(dt.UTC), [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{one} of the tests")]) for one in range(3)]

    def made(one, above, extension):
        begun = x509.CertificateBuilder(names[above], names[one], keys[one].public_key(), x509.random_serial_number())
        times = begun.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        return times.add_extension(extension, critical=True).sign(keys[above], hashes.SHA256())

    authority = made(1, 0, x509.BasicConstraints(ca=True, path_length=None))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    secret = keys[2].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "server.pem"
    path.write_bytes(made(2, 1, address).public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    pem = authority.public_bytes(serialization.Encoding.PEM).decode()
    async with Scripted((s3 := Bucket3()).answer, tls=context) as server:
        options = {"endpoint": server.url, "access_key_id": "ID", "secret_access_key": "SECRET", "region": "x"}
        store = connect(Location("s3", "bucket", "k"), options | {"client_options": {"root_certificate": pem}}, 1000)
        await store.put("k", b"by obstore")
        upload = await store.begin("k", 1000, 1)
        assert isinstance(upload, S3Upload)
        await upload.part(1, b"by ourselves")
        await upload.complete()
    assert s3.objects["/bucket/k"][0] == b"by ourselves"


async def piped(reader, writer):
    with contextlib.suppress(OSError):
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
    writer.close()


async def tunnel(asked, reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    asked.append(head.split()[:2])
    host, _, port = head.split()[1].rpartition(":")
    server_reader, server_writer = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await asyncio.gather(piped(reader, server_writer), piped(server_reader, writer))


async def test_a_tunnel_through_a_proxy_leads_to_the_server_itself(certificate):
    """TLS is spoken with the server; the proxy hears where to."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    asked, tunnels = [], []
    proxy = await asyncio.start_server(
        lambda *ends: tunnels.append(asyncio.ensure_future(tunnel(asked, *ends))), "127.0.0.1", 0
    )
    options = {"proxy_url": f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", "allow_invalid_certificates": True}
    async with Scripted(lambda _: Answer(200, b"ok"), tls=context) as server:
        line = Line(options, Patience())
        line.keep()
        sending = line.request("PUT", f"{server.url}/b/k?x=", [memoryview(b"data")], {"content-type": "x"})
        answer = await asyncio.to_thread(exchanged, sending, line)
        line.close()
        await asyncio.gather(*tunnels)
    proxy.close()
    await proxy.wait_closed()
    assert (answer.status, answer.body) == (200, b"ok")
    assert server.requests[0].body == b"data"
    assert asked == [["CONNECT", server.url.removeprefix("https://")]]
