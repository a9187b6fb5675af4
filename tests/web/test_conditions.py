"""If-Match, If-None-Match, If-Range and their dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from streamflow.errors import UsageError
from streamflow.web.conditions import NOT_MODIFIED, PRECONDITION_FAILED, Version

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
SAID = "Fri, 02 Jan 2026 03:04:05 GMT"
BEFORE = "Fri, 02 Jan 2026 03:04:04 GMT"
AFTER = "Fri, 02 Jan 2026 03:04:06 GMT"

STRONG = Version('"v7"', MOMENT)
WEAK = Version('W/"v7"', MOMENT)
NAMELESS = Version(None, MOMENT)
UNKNOWN = Version()


def answer(version, **headers):
    return version.answer(Headers({name.replace("_", "-"): value for name, value in headers.items()}))


def test_tells_what_it_knows():
    assert STRONG.headers == {"etag": '"v7"', "last-modified": SAID}
    assert NAMELESS.headers == {"last-modified": SAID}
    assert UNKNOWN.headers == {}


def test_a_moment_of_another_zone_is_told_in_gmt():
    there = MOMENT.astimezone(timezone(timedelta(hours=-5)))

    assert Version(None, there).headers == {"last-modified": SAID}


def test_an_etag_without_quotes_gets_them():
    assert Version("v7").etag == '"v7"'
    assert Version('W/"v7"').etag == 'W/"v7"'


@pytest.mark.parametrize("wrong", ["", 'v"7', "v 7", "v\r\n7", "W/v 7", '"a" "b"', "größe☃", 7, b"v7"])
def test_an_etag_that_no_header_can_hold_is_refused(wrong):
    with pytest.raises(UsageError, match="cannot be an ETag"):
        Version(wrong)


@pytest.mark.parametrize("wrong", [datetime(2026, 1, 2), 1767323045.0, "2026-01-02"])  # noqa: DTZ001  # the mistake
def test_a_moment_without_a_zone_is_refused(wrong):
    with pytest.raises(UsageError, match="datetime with a time zone"):
        Version(None, wrong)


def test_no_condition_is_no_answer():
    assert answer(STRONG) is None
    assert STRONG.is_still(None)


@pytest.mark.parametrize("tags", ['"v7"', 'W/"v7"', '"v6", "v7"', '"a,b" , W/"v7"', "*", ',, "v7"'])
@pytest.mark.parametrize("version", [STRONG, WEAK])
def test_who_has_this_version_is_told_so(version, tags):
    assert answer(version, if_none_match=tags) == NOT_MODIFIED


@pytest.mark.parametrize("tags", ['"v6"', '"V7"', 'v7"', '"v7', "v7", "", 'x"v7"'])
def test_who_has_another_version_is_not(tags):
    assert answer(STRONG, if_none_match=tags) is None
    assert answer(NAMELESS, if_none_match=tags) is None


def test_a_date_says_so_only_where_no_etag_does():
    assert answer(STRONG, if_modified_since=SAID) == NOT_MODIFIED
    assert answer(STRONG, if_modified_since=AFTER) == NOT_MODIFIED
    assert answer(STRONG, if_modified_since=BEFORE) is None
    assert answer(STRONG, if_none_match='"v6"', if_modified_since=SAID) is None
    assert answer(UNKNOWN, if_modified_since=SAID) is None


@pytest.mark.parametrize("wrong", ["yesterday", "", "2026-13-40", "Fri, 02 Jan 99999999 03:04:05 GMT", "-1", "0"])
def test_a_date_that_is_none_is_no_condition(wrong):
    assert answer(STRONG, if_modified_since=wrong) is None
    assert answer(STRONG, if_unmodified_since=wrong) is None
    assert not STRONG.is_still(wrong)


def test_older_ways_to_write_a_date_are_read():
    assert answer(STRONG, if_modified_since="Friday, 02-Jan-26 03:04:05 GMT") == NOT_MODIFIED
    assert answer(STRONG, if_modified_since="Fri Jan  2 03:04:05 2026") == NOT_MODIFIED


def test_who_insists_on_a_version_gets_that_or_nothing():
    assert answer(STRONG, if_match='"v6", "v7"') is None
    assert answer(STRONG, if_match="*") is None
    assert answer(STRONG, if_match='"v6"') == PRECONDITION_FAILED
    assert answer(STRONG, if_match='W/"v7"') == PRECONDITION_FAILED
    assert answer(WEAK, if_match='W/"v7"') == PRECONDITION_FAILED
    assert answer(STRONG, if_unmodified_since=SAID) is None
    assert answer(STRONG, if_unmodified_since=BEFORE) == PRECONDITION_FAILED
    assert answer(STRONG, if_match='"v7"', if_unmodified_since=BEFORE) is None


def test_insisting_comes_before_having():
    assert answer(STRONG, if_match='"v6"', if_none_match='"v7"') == PRECONDITION_FAILED
    assert answer(STRONG, if_match='"v7"', if_none_match='"v7"') == NOT_MODIFIED


def test_a_part_is_sent_only_of_exactly_the_version_that_the_client_has():
    assert STRONG.is_still('"v7"')
    assert STRONG.is_still(SAID)
    assert NAMELESS.is_still(SAID)
    assert not STRONG.is_still('"v6"')
    assert not STRONG.is_still('W/"v7"')
    assert not WEAK.is_still('W/"v7"')
    assert not WEAK.is_still('"v7"')
    assert not STRONG.is_still(AFTER)
    assert not UNKNOWN.is_still(SAID)
    assert not NAMELESS.is_still('"v7"')


def test_etags_of_several_header_lines_are_one_list():
    headers = Headers(raw=[(b"if-none-match", b'"v1"'), (b"if-none-match", b'"v7"')])

    assert STRONG.answer(headers) == NOT_MODIFIED


@given(st.text(alphabet='W/"v7,* \xff=;:GMTJan0126', max_size=30))
def test_no_header_whatever_breaks_it(said):
    for version in (STRONG, WEAK, NAMELESS, UNKNOWN):
        for name in ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since"):
            assert version.answer(Headers({name: said})) in {None, NOT_MODIFIED, PRECONDITION_FAILED}
        version.is_still(said)
