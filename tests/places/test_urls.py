from __future__ import annotations

import pytest

from streamflow.errors import UsageError
from streamflow.places.urls import Location, parse, redact, secrets_in, url_of

CANARY = "c4n4ry"


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://bucket/key", Location("s3", "bucket", "key")),
        ("gs://bucket/a/b/c.csv", Location("gs", "bucket", "a/b/c.csv")),
        ("az://container/x y?z#%20", Location("az", "container", "x y?z#%20")),
        ("memory://b/k@v", Location("memory", "b", "k@v")),
        ("file:///tmp/a%20b.csv", Location("file", "", "/tmp/a b.csv")),
        ("file:///tmp/what?.csv#1", Location("file", "", "/tmp/what?.csv#1")),
        ("file://localhost/tmp/a", Location("file", "", "/tmp/a")),
    ],
)
def test_a_url_is_taken_apart(url, location):
    assert parse(url) == location


@pytest.mark.parametrize("url", ["s3://bucket/key", "file:///tmp/a", "memory://b/k/l"])
def test_a_location_prints_as_its_url(url):
    assert str(parse(url)) == url


def test_a_bare_key_is_a_location_only_where_a_store_is_given():
    assert parse("a/b", scheme_needed=False) == Location("", "", "a/b")
    with pytest.raises(UsageError, match="s3://bucket/key"):
        parse("a/b")


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("", "not the URL"),
        ("http://host/x", "not known here"),
        ("s3://bucket", "does not name an object"),
        ("s3:///key", "does not name an object"),
        ("file://host/x", "three slashes"),
        (f"s3://AKIA:{CANARY}@bucket/key", "credentials do not belong in the URL"),
    ],
)
def test_what_is_no_url_of_an_object_is_refused_with_advice_and_without_secrets(url, advice):
    with pytest.raises(UsageError, match=advice) as caught:
        parse(url)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"https://me:{CANARY}@host:9000/b/k",
        f"s3://AKIA:ab/{CANARY}+x@bucket/key failed",
        f"https://{CANARY}@host/x",
        f"https://h/b/k?X-Amz-Signature={CANARY}&x=1",
        f"https://h/b/k?a=1&X-Amz-Credential={CANARY}/2024/s3",
        f"https://h/b/k?sig={CANARY}",
        f"https://h/b/k%3FX-Amz-Signature%3D{CANARY}%26x%3D1",
        f"https://h/b/k%3Fa%3D1%26X-Amz-Security-Token%3D{CANARY}",
        f"https://h/b/k?api_key={CANARY}",
        f"https://h/b/k?password={CANARY}#frag",
        f"<Error><AWSAccessKeyId>{CANARY}</AWSAccessKeyId></Error>",
        f"<StringToSign>AWS4\n{CANARY}</StringToSign>",
    ],
)
def test_secrets_are_blotted_out_of_a_text(text):
    """H100."""
    assert CANARY not in redact(text)


@pytest.mark.parametrize(
    "text",
    ["s3://bucket/key", "http://127.0.0.1:9000/bucket/a@b.csv", "https://h/b?prefix=a%26b%3Dc&max=3", "no url at all"],
)
def test_a_text_without_secrets_stays_as_it_is(text):
    assert redact(text) == text


def test_known_secret_values_are_blotted_wherever_they_stand():
    config = {"secret_access_key": CANARY, "region": "us-east-1", "token": "abc", "skip_signature": True}

    assert secrets_in(config) == [CANARY]
    assert redact(f"region us-east-1, {CANARY}!", secrets_in(config)) == "region us-east-1, ***!"


def test_a_bucket_is_a_location_where_no_key_is_needed():
    for url in ("s3://bucket", "s3://bucket/"):
        assert parse(url, key_needed=False) == Location("s3", "bucket", "")
        with pytest.raises(UsageError, match="does not name an object"):
            parse(url)
    with pytest.raises(UsageError):
        parse("s3://", key_needed=False)


def test_the_url_beside_a_location_opens_what_it_names():
    assert url_of(parse("s3://bucket/a/*"), "a/b?c") == "s3://bucket/a/b?c"
    assert parse(url_of(parse("s3://bucket/a/*"), "a/b?c")).key == "a/b?c"
    assert url_of(parse("a/*", scheme_needed=False), "a/b") == "a/b"
