"""Events as bytes, read back by the parser of the standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.web.events import Event, EventWriter
from tests.web.browser import Got, parsed


def written(*items):
    writing = EventWriter()
    return b"".join([*writing.apply(iter(items)), *writing.finish()])


def test_an_event_is_its_fields_and_a_blank_line():
    event = Event({"price": 9.5}, event="tick", id="1042", retry=3000)

    assert written(event) == b'event: tick\nid: 1042\nretry: 3000\ndata: {"price":9.5}\n\n'


def test_text_is_sent_as_it_is_and_everything_else_as_json():
    assert (
        written("plain", {"a": None}, 0, None, "")
        == b'data: plain\n\ndata: {"a":null}\n\ndata: 0\n\ndata: null\n\ndata: \n\n'
    )


def test_each_kind_of_newline_begins_a_data_line_and_nothing_else_does():
    text = "a\nb\r\nc\rd\n\re\x0bf\x0cg\x85h\u2028i"

    assert written(text).decode() == ("data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\x0bf\x0cg\x85h\u2028i\n\n")


def test_without_data_an_event_only_sets_what_it_says():
    browser = parsed(written(Event(id="7", retry=10), Event("x")))

    assert browser.events == [Got("x", id="7")]
    assert browser.retry == 10


def test_an_event_with_nothing_in_it_is_nothing():
    assert written(Event()) == b""


def test_an_empty_id_makes_the_browser_forget_it():
    assert [event.id for event in parsed(written(Event("a", id="1"), Event("b"), Event("c", id=""))).events] == [
        "1",
        "1",
        "",
    ]


@pytest.mark.parametrize("wrong", ["1\n2", "1\r", "1\x002", 7, b"7"])
def test_an_id_that_would_break_the_lines_is_refused(wrong):
    with pytest.raises(sf.UsageError, match=r"Event\(id=.*without newlines and NUL"):
        Event("x", id=wrong)


@pytest.mark.parametrize("wrong", ["a\nb", "\r", 7])
def test_a_type_that_would_break_the_lines_is_refused(wrong):
    with pytest.raises(sf.UsageError, match=r"Event\(event=.*without newlines"):
        Event("x", event=wrong)


@pytest.mark.parametrize("wrong", [-1, 1.5, "3000", True])
def test_a_retry_that_browsers_ignore_is_refused(wrong):
    with pytest.raises(sf.UsageError, match="whole number of milliseconds"):
        Event("x", retry=wrong)


def test_bytes_are_refused_with_what_to_do():
    with pytest.raises(sf.FormatError, match=r"event 2 cannot be written: its data are bytes, .* decode"):
        written("a", b"b")


def test_what_json_does_not_know_is_refused_by_its_number():
    with pytest.raises(sf.FormatError, match="event 1 cannot be written"):
        written({"z": 1j})
    with pytest.raises(sf.FormatError, match="event 1 cannot be written"):
        written("\ud800")


lines = st.text(alphabet="ab: \n\r\t\x0b\x85☃", max_size=12)
words = st.text(alphabet="ab: \t\x0b☃", max_size=6)


@given(
    st.lists(
        st.builds(Event, lines, event=st.none() | words, id=st.none() | words, retry=st.none() | st.integers(0, 9)),
        max_size=6,
    ),
    st.integers(1, 7),
)
def test_a_browser_reads_what_was_written_however_it_was_cut(events, size):
    wire = written(*events)
    browser = parsed(*[wire[at : at + size] for at in range(0, len(wire), size)])

    expected, last = [], ""
    for event in events:
        last = last if event.id is None else event.id
        text = event.data.replace("\r\n", "\n").replace("\r", "\n")
        expected.append(Got(text, event.event or "message", last))
    assert browser.events == expected


def test_an_error_of_a_function_for_json_stays_as_it_is():
    def refuse(_):
        raise LookupError("mine")

    writing = EventWriter(refuse)
    with pytest.raises(LookupError, match="mine"):
        writing.write({"z": 1j})


def test_a_burst_of_events_is_cut_into_blocks_of_whole_ones():
    blocks = list(EventWriter().apply(iter(["x" * 10_000] * 20)))

    assert len(blocks) == 3
    assert all(len(parsed(block).events) > 5 for block in blocks)


def test_what_stands_before_an_event_that_cannot_be_written_is_sent():
    got = []

    with pytest.raises(sf.FormatError, match="event 3"):
        got.extend(EventWriter().apply(iter(["a", "b", 1j, "c"])))

    assert got == [b"data: a\n\ndata: b\n\n"]


def test_shows_what_it_is():
    assert repr(Event(id="7")) == "Event(data=NO_DATA, event=None, id='7', retry=None)"
