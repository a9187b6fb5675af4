"""Parts of bytes of a known size: what is asked for, what is read, what is answered."""

from __future__ import annotations

from datetime import UTC, datetime

import fastapi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.background import BackgroundTask

import streamflow as sf
from streamflow.web.endings import outcome
from streamflow.web.ranges import Part, Ranged, part_of, ranged
from tests.web.calling import call
from tests.web.servers import IN_PYTHON, fetch, serving
from tests.web.test_ndjson import app_of

GIB = 1 << 30
DATA = bytes(range(256)) * 40
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAID = "Fri, 02 Jan 2026 03:04:05 GMT"


class Place:
    """Bytes that count what is read of them; as many as `size` says, of which none are kept."""

    def __init__(self, data=DATA, size=None):
        self.data = data
        self.size = len(data) if size is None else size
        self.asked = []
        self.read = 0

    def open(self, offset, length):
        self.asked.append((offset, length))

        def blocks():
            at, end = offset, offset + length
            while at < end:
                step = min(end - at, 1000)
                self.read += step
                yield bytes((at + more) % 256 for more in range(step))
                at += step

        return blocks

    def response(self, **options):
        options = {"etag": '"v7"', "last_modified": MOMENT, **options}
        return ranged(self.open, size=self.size, **options)


async def asked(place, said=None, method="GET", *, server=None, make=None, **headers):
    """Ask for it: of a real server, if one is named."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if said is not None:
        headers["Range"] = said
    if server is None:
        return await call((make or place.response)(), method, headers)
    async with serving(app_of(make or place.response), server) as url:
        return await fetch(url, method, headers)


# -------------------------------------------------------------------------------------------------- what is asked for


@pytest.mark.parametrize(
    ("said", "size", "part"),
    [
        ("bytes=0-99", 1000, (0, 100)),
        ("bytes=0-0", 1000, (0, 1)),
        ("bytes=999-999", 1000, (999, 1)),
        ("bytes=900-", 1000, (900, 100)),
        ("bytes=-100", 1000, (900, 100)),
        ("bytes=-1000", 1000, (0, 1000)),
        ("bytes=-5000", 1000, (0, 1000)),
        ("bytes=0-5000", 1000, (0, 1000)),
        ("bytes=990-5000", 1000, (990, 10)),
        ("bytes=00000000000000000000000000000000000007-8", 1000, (7, 2)),
        ("BYTES=0-1", 1000, (0, 2)),
        (" bytes = 0 - 1 ", 1000, (0, 2)),
        (f"bytes=5-{10**40}", 1000, (5, 995)),
        (f"bytes={5 * GIB}-{5 * GIB + 9}", 6 * GIB, (5 * GIB, 10)),
        (f"bytes=-{5 * GIB}", 6 * GIB, (GIB, 5 * GIB)),
        (f"bytes={GIB}-", 1 << 62, (GIB, (1 << 62) - GIB)),
    ],
)
def test_a_range_is_a_part(said, size, part):
    assert part_of(said, size) == Part(*part)


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("bytes=1000-", 1000),
        ("bytes=1000-1001", 1000),
        ("bytes=-0", 1000),
        ("bytes=0-", 0),
        ("bytes=0-0", 0),
        ("bytes=-0", 0),
        (f"bytes={10**40}-", 1000),
        ("bytes=" + "9" * 100_000 + "-", 1000),
    ],
)
def test_what_is_not_there_is_a_part_of_nothing(said, size):
    part = part_of(said, size)

    assert part is not None
    assert part.length == 0


NO_RANGES = [None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=1-2-3", "bytes=--1", "bytes=+1-2"]
NO_RANGES += ["bytes=1.0-2", "bytes=0x1-2", "bytes=1_0-20", "bytes=\u0663-\u0664", "bytes:0-1", "items=0-1", "0-1"]
NO_RANGES += ["bytes=0-1,5-6", "bytes=0-1,", "bytes=,0-1"]


@pytest.mark.parametrize("said", NO_RANGES)
def test_a_header_that_is_no_single_range_is_ignored(said):
    assert part_of(said, 1000) is None


def test_the_last_bytes_of_nothing_are_the_whole_of_it():
    assert part_of("bytes=-5", 0) is None


@given(st.text(alphabet="bytes=0123456789-, ", max_size=20), st.integers(0, 40))
def test_a_part_is_always_within_the_bytes(said, size):
    part = part_of(said, size)
    if part is not None and part.length:
        assert 0 <= part.offset < part.offset + part.length <= size


@given(st.integers(0, 30), st.none() | st.integers(0, 30), st.integers(0, 25))
def test_a_part_is_what_a_slice_of_the_bytes_is(first, last, size):
    part = part_of(f"bytes={first}-{'' if last is None else last}", size)

    if last is not None and last < first:
        assert part is None
    else:
        data = bytes(size)
        assert part.length == len(data[first : None if last is None else last + 1])


# ----------------------------------------------------------------------------------------------------- with a server


async def test_without_a_range_the_whole_is_sent():
    place = Place()

    answer = await asked(place)

    assert (answer.status, answer.body, answer.complete) == (200, DATA, True)
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == '"v7"'
    assert answer.headers["last-modified"] == SAID
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("server", IN_PYTHON)
async def test_only_the_bytes_that_were_asked_for_are_read_and_sent(server):
    place = Place()

    answer = await asked(place, "bytes=5000-7499", server=server)

    check_part(answer)
    assert place.asked == [(5000, 2500)]
    assert place.read == 2500


@pytest.mark.slow
async def test_a_server_of_another_process_sends_the_same():
    check_part(await asked(Place(), "bytes=5000-7499", server="granian"))


def check_part(answer):
    assert (answer.status, answer.body, answer.complete) == (206, DATA[5000:7500], True)
    assert answer.headers["content-range"] == f"bytes 5000-7499/{len(DATA)}"
    assert answer.headers["content-length"] == "2500"


async def test_a_few_bytes_at_the_end_of_terabytes_are_read_at_once():
    place = Place(size=5 << 40)

    answer = await asked(place, f"bytes={(5 << 40) - 100}-")

    assert (answer.status, len(answer.body)) == (206, 100)
    assert answer.headers["content-range"] == f"bytes {(5 << 40) - 100}-{(5 << 40) - 1}/{5 << 40}"
    assert place.read == 100


async def test_a_range_behind_the_end_is_refused_with_the_size():
    place = Place()

    answer = await asked(place, f"bytes={len(DATA)}-")

    assert (answer.status, answer.body, answer.complete) == (416, b"", True)
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"
    assert place.asked == []


async def test_several_ranges_are_answered_with_the_whole():
    answer = await asked(Place(), "bytes=0-1,5-6")

    assert (answer.status, answer.body) == (200, DATA)


async def test_of_nothing_there_is_no_part():
    place = Place(b"")

    whole, last, part = await asked(place), await asked(place, "bytes=-5"), await asked(place, "bytes=0-")

    assert [(answer.status, answer.body, answer.complete) for answer in (whole, last)] == [(200, b"", True)] * 2
    assert whole.headers["content-length"] == "0"
    assert part.status == 416
    assert part.headers["content-range"] == "bytes */0"
    assert place.asked == []


async def test_who_asks_for_the_headers_gets_those_of_the_whole_and_nothing_is_opened():
    place = Place()

    answer = await asked(place, "bytes=0-1", "HEAD")

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["accept-ranges"] == "bytes"
    assert place.read == 0


async def test_who_has_this_version_is_told_so_and_nothing_is_opened():
    place = Place()

    answer = await asked(place, "bytes=0-1", If_None_Match='"v7"')

    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == '"v7"'
    assert "content-range" not in answer.headers
    assert place.asked == []
    assert (await asked(place, If_Modified_Since=SAID)).status == 304
    assert (await asked(place, method="HEAD", If_None_Match='W/"v7"')).status == 304


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"v7"', 206),
        (SAID, 206),
        ('"v6"', 200),
        ('W/"v7"', 200),
        ("Fri, 02 Jan 2026 03:04:06 GMT", 200),
        ("nonsense", 200),
    ],
)
async def test_a_part_of_another_version_than_the_client_has_is_never_sent(condition, status):
    answer = await asked(Place(), "bytes=10-19", If_Range=condition)

    assert answer.status == status
    assert answer.body == (DATA[10:20] if status == 206 else DATA)


async def test_a_weak_etag_does_not_resume_a_download():
    place = Place()

    answer = await asked(place, "bytes=10-19", make=lambda: place.response(etag='W/"v7"'), If_Range='W/"v7"')

    assert answer.status == 200


async def test_who_insists_on_another_version_is_refused():
    place = Place()

    assert (await asked(place, If_Match='"v6"')).status == 412
    assert place.asked == []


async def test_a_download_is_resumed_where_it_broke_off():
    place = Place()
    first = await asked(place, "bytes=0-3999")

    rest = await asked(place, "bytes=4000-", If_Range=first.headers["etag"])

    assert first.body + rest.body == DATA


@pytest.mark.parametrize("server", IN_PYTHON)
async def test_a_source_that_ends_early_breaks_the_connection_off(server):
    answer = await asked(None, make=lambda: ranged(lambda _, length: [bytes(length - 1)], size=50_000), server=server)

    assert (answer.status, answer.complete) == (200, False)


async def test_a_source_that_gives_too_much_is_an_error_and_the_client_sees_no_byte_of_it():
    response = ranged(lambda _, length: [bytes(length), b"more"], size=50_000)

    with pytest.raises(sf.TruncatedError, match="50,000 bytes, and the stream gave 50,004"):
        await call(response)
    assert response.outcome == "error"


async def test_is_never_compressed_and_may_be_saved_under_a_name():
    place = Place()
    headers = {"Cache-Control": "private", "ETag": '"mine"'}
    response = place.response(media_type="text/csv", filename="Größe.csv", headers=headers)

    answer = await asked(place, "bytes=0-1", make=lambda: response, Accept_Encoding="gzip")

    assert answer.body == DATA[:2]
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert answer.headers["cache-control"] == "private"
    assert answer.headers["etag"] == '"mine"'


@pytest.mark.parametrize(("said", "status"), [(None, 200), ("bytes=0-1", 206), ("bytes=99999-", 416)])
async def test_headers_that_are_set_later_are_sent_with_every_answer(said, status):
    response = Place().response()
    response.headers["x-late"] = "1"
    response.set_cookie("a", "1")

    answer = await asked(None, said, make=lambda: response)

    assert (answer.status, answer.headers["x-late"]) == (status, "1")
    assert "a=1" in answer.headers["set-cookie"]


@pytest.mark.parametrize("said", ["bytes=0-1", "bytes=99999-"])
async def test_says_how_it_ended_and_then_does_what_is_to_be_done_in_the_background(said):
    done = []
    response = Place().response()
    response.background = BackgroundTask(lambda: done.append(response.outcome))
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)
        await response(scope, receive, send)

    await call(app, headers={"Range": said})

    assert response.outcome == outcome(scopes[0]) == "complete"
    assert len(done) == 1


async def test_is_a_response_to_fastapi():
    app = fastapi.FastAPI()

    @app.get("/")
    async def backup() -> Ranged:
        return Place().response()

    answer = await call(app, headers={"Range": "bytes=0-9"})

    assert (answer.status, answer.body) == (206, DATA[:10])


@pytest.mark.parametrize("size", [-1, 1.5, True, "10", None])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(sf.UsageError, match="number of bytes"):
        ranged(lambda *_: [], size=size)


def test_a_source_that_cannot_begin_anywhere_is_refused():
    with pytest.raises(sf.UsageError, match="function of an offset and a length"):
        ranged([b"x"], size=1)


@pytest.mark.parametrize("option", [{"compress": True}, {"status_code": 203}])
def test_an_option_that_would_have_no_effect_is_refused(option):
    with pytest.raises(sf.UsageError, match="would have no effect"):
        ranged(lambda *_: [], size=1, **option)


async def test_who_asks_for_the_headers_has_no_source_made():
    """A function that opens something at once would leave it open."""
    place = Place()
    assert (await asked(place, method="HEAD")).status == 200
    assert place.asked == []


def test_a_header_that_would_go_on_as_another_is_refused():
    with pytest.raises(sf.UsageError, match="line break or NUL"):
        Place().response(headers={"X-Name": "a\nb: c"})
