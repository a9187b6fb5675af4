"""The checksums' algorithms: published values, and what may be written as an expected value."""

from __future__ import annotations

import base64
import sys
from typing import Any, get_args

import pytest

from streamflow.errors import MissingExtra, UsageError
from streamflow.formats import checksums_library
from streamflow.formats.checksums_algorithms import Algorithm, check_algorithm, hash_of, value_of

# For "abc" from FIPS 180-4, RFC 1321 and RFC 7693; for "123456789" from the catalogue of CRCs (check values).
KNOWN = [
    ("sha256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        "sha512",
        b"abc",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ),
    (
        "blake2b",
        b"abc",
        (
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
            "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
        ),
    ),
    ("sha1", b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("md5", b"abc", "900150983cd24fb0d6963f7d28e17f72"),
    ("crc32", b"123456789", "cbf43926"),
    ("crc32c", b"123456789", "e3069283"),
]


@pytest.mark.parametrize(("name", "data", "value"), KNOWN)
def test_the_values_are_the_published_ones_however_the_data_is_cut(name: Any, data: bytes, value: str) -> None:
    """L1."""
    for at in range(len(data) + 1):
        one = hash_of(name)
        one.update(data[:at])
        one.update(data[at:])
        assert one.digest().hex() == value


def test_every_algorithm_has_a_published_value() -> None:
    assert {name for name, *_ in KNOWN} == set(get_args(Algorithm))


@pytest.mark.parametrize(("name", "data", "value"), KNOWN)
def test_a_value_may_be_written_in_three_ways(name: Any, data: bytes, value: str) -> None:
    raw = bytes.fromhex(value)

    for written in (value, value.upper(), f" {value}\n", base64.b64encode(raw).decode(), raw):
        assert value_of(written, name) == raw
    assert data


def test_a_crc_of_eight_characters_is_told_from_base64() -> None:
    assert value_of("AAAAAA==", "crc32") == b"\0\0\0\0"
    assert value_of("aaaaaaaa", "crc32") == b"\xaa\xaa\xaa\xaa"


@pytest.mark.parametrize("expected", ["", "abc", "0" * 63, "0" * 65, "g" * 64, b"x" * 31, 0, None, "=" * 44, "é" * 64])
def test_values_that_cannot_be_are_refused(expected: Any) -> None:
    with pytest.raises(
        UsageError, match=r"is no sha256: write its 64 hexadecimal digits, its base64 \(44 characters\)"
    ):
        value_of(expected, "sha256")


@pytest.mark.parametrize("name", ["sha", "SHA256", "", None, 5, ["md5"]])
def test_algorithms_that_are_none_are_refused_with_those_that_are(name: Any) -> None:
    with pytest.raises(UsageError, match=r"algorithm=.* is none that is known; write one of 'blake2b', 'crc32'"):
        check_algorithm(name)


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(MissingExtra, match=r'needs google-crc32c: pip install -e "\.\[checksums\]"'):
        checksums_library.crc32c("checksum")
