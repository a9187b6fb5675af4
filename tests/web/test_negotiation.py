"""Which content coding is chosen, and what the headers say then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, MutableHeaders

from streamflow.web.negotiation import choose, is_compressible, negotiated, vary

OURS = ("zstd", "br", "gzip")


def asking(*values):
    return Headers(raw=[(b"accept-encoding", value.encode("latin-1")) for value in values])


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("br;q=0.5, gzip;q=0.9", "gzip"),
        ("br;q=0.9, gzip;q=0.9", "br"),
        ("br ; q = 0.1 ,gzip; Q=0.2", "gzip"),
        ("*", "zstd"),
        ("*;q=0.5, gzip", "gzip"),
        ("zstd;q=0, *", "br"),
        ("gzip;q=0.001", "gzip"),
        ("br;level=3;q=0.5, gzip;q=0.6", "gzip"),
        ("identity, gzip", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0.2, gzip;q=0.1", None),
        ("identity;q=0", None),
        ("identity", None),
        ("", None),
        ("deflate, compress", None),
        ("gzip;q=0", None),
        ("gzip;q=0.000, *;q=0", None),
        ("*;q=0", None),
    ],
)
def test_takes_what_the_client_weighs_most_and_of_equals_what_the_server_likes_best(said, chosen):
    assert choose(asking(said), OURS) == chosen


@pytest.mark.parametrize("weight", ["2", "-1", "1.5", "0.1234", "1.001", "nan", "inf", "1e-3", "", "x", "\u0660"])
def test_a_member_with_a_weight_that_cannot_be_is_passed_over(weight):
    said = Headers(raw=[(b"accept-encoding", f"zstd;q={weight}, gzip;q=0.1".encode())])

    assert choose(said, OURS) == "gzip"


def test_a_client_that_says_nothing_gets_the_bytes_as_they_are():
    assert choose(Headers(raw=[]), OURS) is None


def test_a_header_that_comes_in_several_lines_is_one_list():
    assert choose(asking("gzip;q=0.5", "br;q=0.6"), OURS) == "br"


def test_nothing_offered_is_nothing_chosen():
    assert choose(asking("*"), ()) is None


@given(st.text(alphabet="gzipbrstd*;=q.01, \t\xff", max_size=40))
def test_no_header_whatever_breaks_it_or_gives_what_was_not_offered(said):
    assert choose(asking(said), OURS) in {None, *OURS}


def test_says_what_follows_from_the_compression():
    headers = MutableHeaders(
        {"content-type": "text/csv", "content-length": "100", "etag": '"v1"', "accept-ranges": "bytes"}
    )

    assert negotiated(asking("gzip"), headers, 200, OURS) == "gzip"
    assert dict(headers) == {
        "content-type": "text/csv",
        "etag": 'W/"v1"',
        "vary": "Accept-Encoding",
        "content-encoding": "gzip",
    }


def test_caches_learn_that_another_client_would_get_something_else():
    headers = MutableHeaders({"content-type": "text/csv", "content-length": "100", "etag": '"v1"'})

    assert negotiated(asking("identity"), headers, 200, OURS) is None
    assert dict(headers) == {
        "content-type": "text/csv",
        "content-length": "100",
        "etag": '"v1"',
        "vary": "Accept-Encoding",
    }


def test_a_weak_etag_stays_as_it_is():
    headers = MutableHeaders({"etag": 'W/"v1"'})

    negotiated(asking("br"), headers, 200, OURS)

    assert headers["etag"] == 'W/"v1"'


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "image/png"}, 200),
        ({"content-type": "application/gzip"}, 200),
        ({"content-type": "Application/ZIP; x=y"}, 200),
        ({"content-encoding": "br"}, 200),
        ({"cache-control": "public, No-Transform"}, 200),
        ({"content-range": "bytes 0-1/2"}, 200),
        ({"content-type": "text/csv"}, 206),
        ({"content-type": "text/csv"}, 204),
        ({"content-type": "text/csv"}, 304),
        ({"content-type": "text/csv"}, 101),
    ],
)
def test_leaves_alone_what_is_no_smaller_compressed_or_must_not_be_touched(headers, status):
    sent = MutableHeaders(headers)

    assert negotiated(asking("gzip"), sent, status, OURS) is None
    assert dict(sent) == headers


def test_without_an_offer_no_header_is_touched():
    headers = MutableHeaders({"content-type": "text/csv"})

    assert negotiated(asking("gzip"), headers, 200, ()) is None
    assert "vary" not in headers


@pytest.mark.parametrize(
    "kind",
    [
        "text/html; charset=utf-8",
        "application/json",
        "application/x-ndjson",
        "text/event-stream",
        "image/svg+xml",
        "font/ttf",
        "application/octet-stream",
        "",
        None,
    ],
)
def test_text_and_what_nobody_knows_is_worth_compressing(kind):
    assert is_compressible(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "image/jpeg",
        "video/mp4",
        "audio/ogg",
        "font/woff2",
        "application/zstd",
        "application/pdf",
        "application/vnd.apache.parquet",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ],
)
def test_what_is_compressed_by_itself_is_not(kind):
    assert not is_compressible(kind)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], "Accept-Encoding"),
        (["Origin"], "Origin, Accept-Encoding"),
        (["accept-encoding, Origin"], "accept-encoding, Origin"),
        (["*"], "*"),
    ],
)
def test_vary_says_each_header_once(before, after):
    headers = MutableHeaders(raw=[(b"vary", value.encode()) for value in before])

    vary(headers, "Accept-Encoding")

    assert headers.getlist("vary") == [after]


def test_vary_in_several_lines_becomes_one():
    headers = MutableHeaders(raw=[(b"vary", b"Origin"), (b"vary", b"Cookie")])

    vary(headers, "Accept-Encoding")

    assert headers.getlist("vary") == ["Origin,Cookie, Accept-Encoding"]
