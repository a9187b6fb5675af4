"""How patient our own requests are: what obstore was told, in its words, and what it does where it was told nothing."""

from __future__ import annotations

from datetime import timedelta

import hypothesis
import hypothesis.strategies as st
import pytest

from streamflow.errors import UsageError
from streamflow.places.patience import Patience, patience, seconds


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90s", 90),
        ("1m 30s", 90),
        ("1h30min", 5400),
        ("2hours", 7200),
        ("500ms", 0.5),
        ("1s 500msec", 1.5),
        ("250 us", 0.000_25),
        ("7 nsec", 7e-9),
        ("1d", 86400),
        ("1w", 604_800),
        ("1M", 30.44 * 86400),
        ("1year", 365.25 * 86400),
        (timedelta(minutes=2), 120),
    ],
)
def test_a_duration_is_read_as_obstore_reads_it(text, wanted):
    assert seconds(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "5", "s", "2 parsecs", "1s and more", "1.5s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError, match="no duration"):
        seconds(text)


def made(**options):
    store = pytest.importorskip("obstore.store", reason="needs the extra objects").S3Store
    return patience(store("bucket", region="x", **options))


def test_every_way_of_saying_it_reaches_our_requests():
    client = {"timeout": timedelta(seconds=90), "connect_timeout": "1m 1s", "read_timeout": "7s"}
    client |= {"pool_idle_timeout": "9s"}
    backoff = {"init_backoff": timedelta(milliseconds=3), "max_backoff": timedelta(seconds=4), "base": 5}
    retry = {"max_retries": 2, "retry_timeout": timedelta(minutes=6), "backoff": backoff}
    assert made(client_options=client, retry_config=retry) == Patience(90, 61, 7, 2, 360, 0.003, 4, 5, 9)


def test_where_nothing_was_said_it_is_as_patient_as_obstore():
    """obstore tells its own numbers once it was told one of them."""
    assert made() == Patience()
    assert made(retry_config={}) == Patience()


@hypothesis.given(retries=st.integers(0, 20), first=st.floats(0, 10), longest=st.floats(0, 20), base=st.floats(1, 10))
def test_waits_grow_to_the_longest_and_are_as_many_as_the_repetitions(retries, first, longest, base):
    waits = list(Patience(max_retries=retries, init_backoff=first, max_backoff=longest, base=base).waits())
    assert len(waits) == retries
    wanted = first
    for wait in waits:
        assert min(wanted, longest) / 2 <= wait <= min(wanted, longest)
        wanted = min(wanted * base, longest)
