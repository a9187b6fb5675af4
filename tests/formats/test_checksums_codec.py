"""The codec of checksums: the bytes pass unchanged, and the value is that of the whole or none."""

from __future__ import annotations

import hashlib
import itertools
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import ChecksumMismatch, UsageError
from streamflow.formats.checksums_codec import Checksum, Digest


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_the_value_is_that_of_the_standard_library_however_the_bytes_are_cut(data: bytes, at: list[int]) -> None:
    """L1."""
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(edges)]
    for name, value in (("sha256", hashlib.sha256(data).hexdigest()), ("crc32", f"{zlib.crc32(data):08x}")):
        codec = Checksum(name, expected=value)  # type: ignore[arg-type]  # of the literals, in a variable
        assert [out for chunk in chunks for out in codec.feed(chunk)] == chunks
        assert codec.value is None
        assert list(codec.finish()) == []
        assert codec.value == value


def test_no_data_has_a_checksum_too() -> None:
    """C7."""
    digest = Digest()
    codec = Checksum("md5", into=digest)
    list(codec.finish())

    assert digest == Digest("d41d8cd98f00b204e9800998ecf8427e", 0)


def test_a_value_that_is_not_the_expected_one_is_an_error_with_both_and_leaves_none() -> None:
    digest = Digest()
    codec = Checksum("crc32", expected="00000001", into=digest)
    list(codec.feed(b"123456789"))

    words = "crc32 of the 9 bytes that passed is cbf43926 and not 00000001, as expected"
    with pytest.raises(ChecksumMismatch, match=words):
        codec.finish()
    assert digest == Digest()
    assert codec.value is None


def test_the_value_in_base64_is_that_of_the_headers() -> None:
    digest = Digest()
    assert digest.base64 is None
    codec = Checksum("md5", into=digest)
    list(codec.feed(b"abc"))
    list(codec.finish())

    assert digest.base64 == "kAFQmDzST7DWlj99KOF/cg=="


def test_a_new_run_begins_without_a_value() -> None:
    digest = Digest("old", 3)
    Checksum(into=digest)

    assert digest == Digest()


def test_a_buffer_that_may_change_is_passed_on_as_it_was_when_it_was_counted() -> None:
    """H56."""
    buffer = bytearray(b"abc")
    codec = Checksum("md5")
    passed: Any = list(codec.feed(buffer))
    buffer[:] = b"zzz"
    list(codec.finish())

    assert passed == [b"abc"]
    assert codec.value == hashlib.md5(b"abc", usedforsecurity=False).hexdigest()


def test_other_items_are_refused() -> None:
    with pytest.raises(UsageError, match=r"checksum takes items of bytes, not str. Put text.encode\(\) before it"):
        Checksum().feed("text")  # type: ignore[arg-type]  # the mistake is the point
