"""The store behind a cloud's URL: what comes from options, what from the environment, and what is never told."""

from __future__ import annotations

import pytest

from streamflow.errors import UsageError
from streamflow.places.cloud_connect import connect
from streamflow.places.urls import Location

pytest.importorskip("obstore", reason="needs the extra objects")

S3 = Location("s3", "bucket", "k")
SECRET = "c4n4ry/secret+key"
KEYS = {"access_key_id": "AKIAC4N4RY", "secret_access_key": SECRET, "region": "us-east-1"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_CHECKSUM_ALGORITHM"):
        monkeypatch.delenv(name, raising=False)


def connected(location=S3, part_size=1, **config):
    return connect(location, {**KEYS, **config} if location is S3 else config, part_size)._store


def test_the_endpoint_comes_from_the_option_or_from_the_environment_in_the_order_of_aws(monkeypatch):
    assert "endpoint" not in connected().config
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
    assert connected().config["endpoint"] == "http://127.0.0.1:2"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    assert connected().config["endpoint"] == "http://127.0.0.1:1"
    assert connected(endpoint="https://example.org").config["endpoint"] == "https://example.org"


@pytest.mark.parametrize(
    ("location", "config", "allowed"),
    [
        (S3, {"endpoint": "http://127.0.0.1:1"}, True),
        (S3, {"endpoint": "https://127.0.0.1:1"}, False),
        (S3, {}, False),
        (Location("gs", "b", "k"), {"base_url": "http://127.0.0.1:1", "skip_signature": True}, True),
        (
            Location("az", "b", "k"),
            {"endpoint": "http://127.0.0.1:1", "account_name": "a", "account_key": "a2V5"},
            True,
        ),
        (Location("az", "b", "k"), {"account_name": "a", "account_key": "a2V5"}, False),
    ],
)
def test_plain_http_is_allowed_only_where_it_was_named(location, config, allowed):
    assert ("allow_http" in connected(location, **config).client_options) is allowed


def test_options_for_the_client_are_kept():
    client = connected(client_options={"timeout": "5s", "user_agent": "mine"}).client_options

    assert (client["timeout"], client["user_agent"]) == ("5s", "mine")


@pytest.mark.parametrize(("part_size", "seconds"), [(1, 30), (8 << 20, 32), (577 << 20, 2308)])
def test_a_large_part_gets_the_time_it_may_need(part_size, seconds):
    assert connected(part_size=part_size).client_options["timeout"] == f"{seconds}s"


def test_a_checksum_is_sent_unless_another_or_none_is_asked_for(monkeypatch):
    assert connected().config["checksum_algorithm"].upper() == "SHA256"
    assert connected(checksum_algorithm="CRC64NVME").config["checksum_algorithm"].upper() == "CRC64NVME"
    assert "checksum_algorithm" not in connected(checksum_algorithm=None).config
    monkeypatch.setenv("AWS_CHECKSUM_ALGORITHM", "CRC64NVME")
    assert "checksum_algorithm" not in connected().config


@pytest.mark.parametrize("wrong", [{"nonsense": 1}, {"config": {"nonsense": SECRET}}, {"region": object()}])
def test_an_option_that_does_not_exist_is_refused_without_secrets(wrong):
    """P10, H100"""
    with pytest.raises(UsageError, match="s3://bucket/k") as caught:
        connected(**wrong)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("wrong", "home"),
    [
        ({"timeout": "5s"}, "client_options"),
        ({"allow_http": True}, "client_options"),
        ({"connect_timeout": "5s"}, "client_options"),
        ({"max_retries": 3}, "retry_config"),
        ({"retry_timeout": None}, "retry_config"),
        ({"init_backoff": None}, "retry_config"),
    ],
)
def test_an_option_in_the_wrong_place_is_told_the_right_one(wrong, home):
    """P10: obstore would take some of them and panic later."""
    with pytest.raises(UsageError, match=f"s3://bucket/k: {next(iter(wrong))} belongs into {home}="):
        connected(**wrong)
    assert connected(default_region="x")


def test_its_secrets_are_known_wherever_they_were_given(monkeypatch):
    """H100"""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-c4n4ry")
    opened = connect(S3, {"config": KEYS}, 1)

    assert {SECRET, "AKIAC4N4RY", "token-c4n4ry"} <= set(opened._secrets)
    assert SECRET not in repr(opened)
