"""The signature: as in the example that AWS publishes, and as obstore makes it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from streamflow.places.s3_signing import Keys, query_of, reproduces, scope_in, signed

# The keys of AWS's own documentation.
KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
SCOPE, DATE = "us-east-1/s3/aws4_request", "20130524T000000Z"
EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("query", "headers", "wanted"),
    [
        ("/test.txt", {"range": "bytes=0-9"}, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("/?lifecycle=", {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_published_examples_come_out(query, headers, wanted):
    url = f"https://examplebucket.s3.amazonaws.com{query}"
    told = signed(KEYS, SCOPE, DATE, "GET", url, EMPTY, headers)

    assert told["authorization"].endswith(f"Signature={wanted}")
    assert f"Credential={KEYS.id}/20130524/{SCOPE}" in told["authorization"]
    assert told["host"] == "examplebucket.s3.amazonaws.com"


def test_a_query_has_one_form():
    assert query_of({"uploadId": "a/b+c =", "partNumber": "7", "uploads": ""}) == (
        "partNumber=7&uploadId=a%2Fb%2Bc%20%3D&uploads="
    )


def test_a_query_is_ordered_by_its_names():
    assert query_of({"a-b": "1", "a": "2"}) == "a=2&a-b=1"


@pytest.mark.may_leak("threads", "files", reason="obstore keeps tokio's threads and descriptors")
@pytest.mark.parametrize("token", [None, "a/token+of=a role"])
async def test_a_url_that_obstore_signed_is_known_by_its_keys(token):
    pytest.importorskip("obstore", reason="needs the extra objects")
    from obstore import sign_async  # noqa: PLC0415  # an extra
    from obstore.store import S3Store  # noqa: PLC0415  # an extra

    more = {"session_token": token} if token else {}
    store = S3Store("bucket", access_key_id=KEYS.id, secret_access_key=KEYS.secret, region="eu-west-1", **more)
    url = await sign_async(store, "GET", "a dir/ü+&=?.csv", timedelta(seconds=60))
    keys = replace(KEYS, token=token)

    assert scope_in(url) == "eu-west-1/s3/aws4_request"
    assert reproduces(keys, "GET", url)
    for other in (replace(keys, secret="x"), replace(keys, token="another")):
        assert not reproduces(other, "GET", url)
    assert not reproduces(keys, "PUT", url)
    assert not reproduces(keys, "GET", url.partition("?")[0])


def test_no_repr_tells_a_secret():
    """H100"""
    told = repr(replace(KEYS, token="c4n4ry"))
    assert KEYS.secret not in told
    assert "c4n4ry" not in told
