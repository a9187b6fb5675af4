"""The name of a download is what was meant, in any browser, and cannot smuggle anything."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import UsageError
from streamflow.web.headers import content_disposition


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("orders.csv", 'attachment; filename="orders.csv"'),
        ("two words.csv", 'attachment; filename="two words.csv"'),
        ("Größe.csv", "attachment; filename=\"Grosse.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv"),
        ("100%.csv", "attachment; filename=\"100_.csv\"; filename*=UTF-8''100%25.csv"),
        ('a"b\\c', "attachment; filename=\"a_b_c\"; filename*=UTF-8''a%22b%5Cc"),
        ("注文.csv", "attachment; filename=\"__.csv\"; filename*=UTF-8''%E6%B3%A8%E6%96%87.csv"),
    ],
)
def test_a_name_beyond_ascii_comes_twice(name, value):
    assert content_disposition(name) == value


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1))
def test_every_name_survives_and_the_header_stays_one_header(name):
    try:
        value = content_disposition(name)
    except UsageError:
        assert not name.strip(". ")
        return
    plain, _, encoded = value.removeprefix('attachment; filename="').partition('"')
    assert value.isascii()
    assert value.isprintable()
    assert '"' not in encoded
    assert (unquote(encoded.removeprefix("; filename*=UTF-8''")) if encoded else plain) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b.csv", "a\r\nSet-Cookie: b", "a\x00b", None, 3])
def test_what_cannot_be_the_name_of_a_file_is_refused(name):
    with pytest.raises(UsageError, match="filename="):
        content_disposition(name)


@pytest.mark.parametrize("name", ["\uff0e\uff0e\uff0fpasswd", "\u2024\u2024", "a\u2100b"])
def test_letters_that_are_like_dots_and_slashes_make_no_path_of_the_ascii_name(name):
    plain = content_disposition(name).split('"')[1]
    assert "/" not in plain
    assert plain.strip(".")
