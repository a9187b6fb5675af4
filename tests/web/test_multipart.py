"""Forms, part by part: the same parts however the body is cut, limits, ends, and what the parts are called."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import tracemalloc

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import streamflow as sf
from streamflow.errors import FormatError, MissingExtra, UsageError
from streamflow.places import memory, objects
from streamflow.web.multipart import parts
from streamflow.web.multipart_parser import FormParser, boundary_of, parameters_of
from streamflow.web.refusals import ClientDisconnected, MalformedForm, RequestTimeout, RequestTooLarge
from streamflow.web.responses import StreamResponse
from tests.web import servers
from tests.web.wire import Wire

# ------------------------------------------------------------------------------------------------------ the format

LIMITS = {"max_parts": 10, "max_header_bytes": 300, "max_part_bytes": 1000}


def form(*parts, boundary=b"frontier", end=b"--\r\n", before=b""):
    body = before
    for headers, content in parts:
        body += b"--" + boundary + b"\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--" + boundary + end


def named(name, content, more=b""):
    return b'Content-Disposition: form-data; name="' + name + b'"' + more, content


def parsed(chunks, boundary=b"frontier", **limits):
    """What the parts are: their headers and contents; or the error, in words."""
    parser = FormParser(boundary, **{**LIMITS, **limits})
    found, open_ = [], False
    try:
        for chunk in chunks:
            for event in parser.feed(chunk):
                if isinstance(event, Headers):
                    found.append((event.raw, bytearray()))
                    open_ = True
                elif event is None:
                    open_ = False
                else:
                    assert open_
                    found[-1][1].extend(event)
        parser.finish()
    except (MalformedForm, RequestTooLarge) as error:
        return type(error)
    return found


def cut(body, at):
    edges = [0, *sorted(at), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]


TRICKY = form(
    named(b"note", b"\r\n--frontie\r\n--frontierX\r\n-- frontier--\r\n-"),
    named(b"file", b"\x00\xff\r\n" * 9, b'; filename="a\\"b.txt"\r\nContent-Type: text/csv'),
    named(b"empty", b""),
    (b"Content-Disposition:form-data;name=plain\r\nX-Long: " + b"y" * 100, b"\r\n"),
)


def test_every_cut_of_the_body_in_two_gives_the_same_parts():
    """L1."""
    whole = parsed([TRICKY])
    assert [bytes(content)[:9] for _, content in whole] == [
        b"\r\n--front",
        b"\x00\xff\r\n\x00\xff\r\n\x00",
        b"",
        b"\r\n",
    ]
    assert all(parsed(cut(TRICKY, [at])) == whole for at in range(len(TRICKY)))


def test_byte_by_byte_gives_the_same_parts():
    """L1."""
    assert parsed([bytes([byte]) for byte in TRICKY]) == parsed([TRICKY])


PIECES = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"f", b"\r\n--f", b"\r\n--frontier", b"frontier", b" ", b"x", b"\r\n"]),
    max_size=8,
).map(b"".join)


@given(st.lists(PIECES, max_size=3), PIECES, st.lists(st.integers(0, 200), max_size=6))
def test_hostile_contents_give_the_same_parts_or_the_same_error_at_any_cuts(contents, before, at):
    """L1."""
    body = form(*(named(b"n", content) for content in contents), before=before)
    assert parsed(cut(body, [place % (len(body) + 1) for place in at])) == parsed([body])


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4), st.lists(st.integers(0, 400), max_size=6))
def test_what_was_sent_is_what_comes(contents, at):
    contents = [content.replace(b"--frontier", b"") for content in contents]
    body = form(*(named(b"n", content) for content in contents))
    assert [bytes(content) for _, content in parsed(cut(body, [place % len(body) for place in at]))] == contents


def test_a_form_without_its_last_boundary_is_an_error_wherever_it_is_cut_off():
    needed = TRICKY.removesuffix(b"\r\n")
    assert all(parsed([needed[:size]]) is MalformedForm for size in range(len(needed)))
    assert parsed([needed]) == parsed([TRICKY])


def test_what_follows_the_last_boundary_is_passed_over():
    assert parsed([TRICKY + b"\r\nepilogue --frontier"]) == parsed([TRICKY])


def test_the_headers_of_a_part_are_bounded_together_and_each():
    """However many, however long, and also where they never end."""
    long = form((b"A: " + b"x" * 301, b""))
    many = form((b"\r\n".join(b"A%d: xxx" % number for number in range(60)), b""))
    endless = [b"--frontier\r\n", *[b"x" * 50] * 1000]
    spaces = [b"--frontier\r\nA:", *[b" " * 50] * 1000]
    for chunks in ([long], [many], endless, spaces):
        body = b"".join(chunks)
        assert parsed(chunks) is parsed([body]) is parsed([bytes([byte]) for byte in body]) is RequestTooLarge
    few_bytes = form((b"\r\n".join([b"A:"] * 65), b""))
    assert parsed([few_bytes]) is MalformedForm


def test_the_number_and_the_size_of_parts_are_bounded():
    body = form(*[named(b"n", b"x" * 10)] * 3)
    assert len(parsed([body], max_parts=3, max_part_bytes=10)) == 3
    assert parsed([body], max_parts=2) is RequestTooLarge
    assert parsed(cut(body, range(len(body))), max_part_bytes=9) is RequestTooLarge


def test_the_size_of_a_part_is_counted_for_each_part():
    assert len(parsed([form(*[named(b"n", b"x" * 1000)] * 9)])) == 9


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        b"--other\r\n\r\n\r\n--other--",
        b"--frontier\r\nno colon\r\n\r\n\r\n--frontier--",
        b"--frontier\r\n: no name\r\n\r\n\r\n--frontier--",
        b"--frontierX\r\n\r\n\r\n--frontier--",
    ],
)
def test_what_is_no_form_is_an_error(body):
    assert parsed([body]) is MalformedForm


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('form-data; name="a"', {"name": "a"}),
        ("form-data; name=a", {"name": "a"}),
        ('form-data; name="a"; filename="b.txt"', {"name": "a", "filename": "b.txt"}),
        ('form-data; name="a"; filename=""', {"name": "a", "filename": ""}),
        (r'form-data; name="say \"hi\""; filename="x;y=\\z"', {"name": 'say "hi"', "filename": r"x;y=\z"}),
        ('form-data; name="na\u00c3\u00afve"', {"name": "na\u00efve"}),
        ('form-data; name="na\u00efve"', {"name": "na\u00efve"}),
        (
            "form-data; name=a; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt",
            {"name": "a", "filename": "na\u00efve \u20ac.txt"},
        ),
        ("form-data; name=a; filename*=iso-8859-1'en'%A3.txt", {"name": "a", "filename": "\u00a3.txt"}),
        ("form-data; name=a; filename=plain; filename*=UTF-8''other", {"name": "a", "filename": "plain"}),
        ("form-data; name=\"a; filename*=UTF-8''hidden\"", {"name": "a; filename*=UTF-8''hidden"}),
    ],
)
def test_the_names_of_a_part(header, expected):
    assert parameters_of(header) == expected


@pytest.mark.parametrize("header", ["", "attachment; name=a", "name=a"])
def test_a_part_that_is_no_form_data_is_an_error(header):
    with pytest.raises(MalformedForm, match="no header 'Content-Disposition: form-data'"):
        parameters_of(header)


def test_the_boundary_is_in_the_header():
    assert boundary_of("Multipart/Form-Data; charset=utf-8; boundary=frontier") == b"frontier"
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b"


@pytest.mark.parametrize(
    ("header", "status"),
    [("", 415), ("text/csv", 415), ("multipart/mixed; boundary=x", 415), ("multipart/form-data", 400)],
)
def test_a_header_that_promises_no_form_is_refused(header, status):
    with pytest.raises(MalformedForm) as caught:
        boundary_of(header)
    assert caught.value.status_code == status


def test_a_boundary_that_is_too_long_is_refused():
    with pytest.raises(MalformedForm, match="boundary of the form cannot be used"):
        parsed([], boundary=b"x" * 500)


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"web\.parts needs python-multipart: pip install -e \"\.\[web\]\""):
        boundary_of("multipart/form-data; boundary=x")


# ----------------------------------------------------------------------------------------------------- the requests


def asked(body, at=(), *, after=()):
    """A request with this body, cut at these places; `after` are further messages."""
    chunks = [{"type": "http.request", "body": piece, "more_body": True} for piece in cut(body, at)]
    return asked_in(iter([*chunks, *(after or [{"type": "http.request", "body": b"", "more_body": False}])]))


def asked_in(messages):
    async def receive():
        for item in messages:
            return item
        return await asyncio.Event().wait()

    headers = [(b"content-type", b'multipart/form-data; boundary="frontier"')]
    return Request({"type": "http", "method": "POST", "headers": headers, "http_version": "1.1"}, receive)


TWO = form(
    named(b"note", "na\u00efve".encode()),
    named(b"file", b"a,b\n1,2\n", b'; filename="f.csv"\r\nContent-Type: text/csv'),
)


async def test_the_parts_come_with_their_names_types_and_contents():
    form_parts = parts(asked(TWO, range(len(TWO))))
    found = [(part.name, part.filename, part.content_type, await part.text()) async for part in form_parts]
    assert found == [("note", None, "", "na\u00efve"), ("file", "f.csv", "text/csv", "a,b\n1,2\n")]


async def test_the_headers_of_a_part_can_be_asked_for():
    async for part in parts(asked(TWO)):
        assert part.headers["Content-Disposition"].startswith("form-data")
        assert repr(part) in {"<Part 'note'>", "<Part 'file', file 'f.csv'>"}


async def test_a_part_that_is_not_read_is_discarded_when_the_next_is_asked_for():
    """Nothing of it shows in the next one, also where it was read in part."""
    body = form(named(b"skipped", b"x" * 500), named(b"begun", b"y" * 500), named(b"read", b"z" * 5))
    for at in ([], range(0, len(body), 7)):
        found = {}
        async for part in parts(asked(body, at)):
            if part.name == "begun":
                async with part.stream.open() as items:
                    found["begun"] = (await anext(items))[:1]
            elif part.name == "read":
                found["read"] = await part.read()
        assert found == {"begun": b"y", "read": b"zzzzz"}


async def test_a_part_that_was_left_is_refused_and_says_why():
    left = [part async for part in parts(asked(TWO))]
    with pytest.raises(UsageError, match="The part 'note' was left when the next one was asked for"):
        await left[0].read()
    with pytest.raises(UsageError, match="The part 'file' was left"):
        await left[1].stream.collect()


async def test_a_part_is_read_once():
    async for part in parts(asked(TWO)):
        await part.stream.collect()
        with pytest.raises(UsageError, match="read already, and it comes only once"):
            await part.read()


async def test_two_tasks_on_one_form_are_refused():
    form_parts = parts(asked_in(iter(())))
    first = asyncio.ensure_future(anext(form_parts))
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="Two tasks read one form at once"):
        await anext(form_parts)
    first.cancel()
    await asyncio.wait([first])


async def test_a_form_is_read_once():
    request = asked(TWO)
    assert len([part async for part in parts(request)]) == 2
    with pytest.raises(UsageError, match="read already"):
        await anext(parts(request))


async def test_the_end_of_the_parts_stays_the_end():
    form_parts = parts(asked(TWO))
    assert len([part async for part in form_parts]) == 2
    assert [part async for part in form_parts] == []


async def test_an_error_that_was_caught_is_raised_again_and_is_no_end():
    """P5: a form that breaks inside a part whose error is ignored must not look complete."""
    form_parts = parts(asked(TWO[:-20]))
    found = []

    async def read_all():
        async for part in form_parts:
            found.append(part.name)
            await part.stream.catch(MalformedForm, then=[]).collect()

    with pytest.raises(MalformedForm, match="without its last boundary"):
        await read_all()
    assert found == ["note", "file"]


async def test_a_client_that_leaves_inside_a_part_aborts_what_was_begun():
    async def store_all():
        async for part in parts(asked(TWO[:-20], after=[{"type": "http.disconnect"}])):
            await sf.pipeline(part.stream, objects.write(f"memory://forms/{part.name}"))

    with pytest.raises(ClientDisconnected):
        await store_all()
    assert memory.bucket("forms").keys() == ["note"]
    assert memory.bucket("forms").uploads == 0


async def test_the_limits_of_the_body_hold_for_forms():
    with pytest.raises(RequestTooLarge, match="The body has"):
        [part async for part in parts(asked(TWO), max_bytes=50)]


@pytest.mark.virtual_time
async def test_a_client_that_stops_inside_a_form_is_timed_out():
    messages = iter([{"type": "http.request", "body": TWO[:100], "more_body": True}])
    with pytest.raises(RequestTimeout):
        [part async for part in parts(asked_in(messages), window=5)]


async def test_the_answer_to_a_faulty_form_closes_the_connection():
    with pytest.raises(MalformedForm) as caught:
        [part async for part in parts(asked(TWO[:-9]))]
    assert caught.value.headers == {"Connection": "close"}


async def test_what_is_read_at_once_is_bounded():
    async for part in parts(asked(form(named(b"n", b"x" * 101)))):
        with pytest.raises(RequestTooLarge, match="'n' has more bytes; 100 are allowed"):
            await part.read(100)


async def test_text_that_is_no_text_is_an_error():
    async for part in parts(asked(form(named(b"n", b"\xff\xfe")))):
        with pytest.raises(FormatError, match="'n' is not text in UTF-8"):
            await part.text()


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (b"Content-Disposition: form-data", "no name"),
        (b"Content-Type: text/plain", "no header 'Content-Disposition"),
        (b"Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64", "encoded as 'base64'"),
    ],
)
async def test_a_part_that_cannot_be_used_is_an_error(headers, message):
    with pytest.raises(MalformedForm, match=message):
        [part async for part in parts(asked(form((headers, b"x"))))]


@pytest.mark.parametrize("limit", ["max_parts", "max_header_bytes", "max_part_bytes", "max_bytes"])
def test_a_limit_that_cannot_mean_anything_is_refused(limit):
    with pytest.raises(UsageError, match=limit):
        parts(asked(TWO), **{limit: 0})


async def test_nothing_of_a_large_part_is_kept():
    """A file of 64 MiB in pieces of 64 KiB; what is held meanwhile is a few of them."""
    piece = b"x" * 65536

    def messages():
        head, tail = form(named(b"file", b"*", b'; filename="big"')).split(b"*")
        for data in [head, *[piece] * 1024, tail]:
            yield {"type": "http.request", "body": data, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    tracemalloc.start()
    try:
        async for part in parts(asked_in(messages())):
            assert await part.stream.map(len).reduce(int.__add__, 0) == 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


async def upload(request):
    """Each file goes into the store; the fields come back."""
    found = {}
    async for part in parts(request, max_part_bytes=2_000_000):
        if part.filename is None:
            found[part.name] = await part.text()
        else:
            stored = await sf.pipeline(part.stream, objects.write(f"memory://formed/{part.name}"))
            found[part.name] = [part.filename, stored.bytes]
    return JSONResponse(found)


@pytest.mark.slow
@pytest.mark.parametrize("server", servers.SERVERS)
@pytest.mark.parametrize("middleware", [False, True])
async def test_a_form_of_a_real_client_goes_into_the_store(server, middleware):
    data = bytes(range(256)) * 5000

    async def download(request):
        return Response(memory.bucket("formed").content("file"))

    app = Starlette(routes=[Route("/", upload, methods=["POST"]), Route("/", download)])
    async with servers.serving(app, server, middleware=middleware) as url, httpx2.AsyncClient() as client:
        answer = await client.post(url, data={"note": "na\u00efve"}, files={"file": ('say "hi".bin', data)})
        refused = await client.post(url, files={"file": ("big", bytes(2_000_001))})
        stored = (await client.get(url)).content
        wrong = await client.post(url, data={"note": "no form"})
    assert answer.json() == {"note": "na\u00efve", "file": ["say %22hi%22.bin", len(data)]}
    assert stored == data
    assert (refused.status_code, wrong.status_code) == (413, 415)


FORM_TYPE = ("Content-Type", "multipart/form-data; boundary=frontier")


async def test_a_loop_that_was_left_early_does_not_hide_that_the_client_leaves():
    """H73. What is still to come of the form is dropped as it comes, so that the disconnect is seen behind it."""
    told = []

    async def quiet():
        yield b"a"
        await asyncio.Event().wait()

    async def first_part_only(request):
        async for part in parts(request):
            told.append(await part.text())
            break
        return StreamResponse(quiet(), within=0, on_disconnect=told.append)

    at = TWO.index(b'name="file"')
    wire = Wire(TWO[:at], TWO[at:], b"", method="POST", headers=[FORM_TYPE])
    app = Starlette(routes=[Route("/", first_part_only, methods=["POST"])])
    sending = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    for _ in range(50):
        await asyncio.sleep(0)
    wire.leave()
    async with asyncio.timeout(5):
        await sending
    assert wire.body == b"a"
    assert told == ["na\u00efve", "left"]


async def test_a_part_is_read_after_the_loop_was_left():
    """Its form lives as long as somebody can read it."""

    async def last_part(request):
        async for part in parts(request):
            if part.filename:
                return StreamResponse(part.stream)
        return None

    wire = Wire(*cut(TWO, range(0, len(TWO), 9)), b"", method="POST", headers=[FORM_TYPE])
    app = Starlette(routes=[Route("/", last_part, methods=["POST"])])
    await app(wire.scope, wire.receive, wire.send)
    assert wire.body == b"a,b\n1,2\n"
