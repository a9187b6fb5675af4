"""Records as JSON: one valid line each, whatever is in them, and the names of the fields stay ours."""

from __future__ import annotations

import enum
import io
import json
import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from streamflow.serving.jsonlines import JsonFormatter


def lines_of(log_it, *, encoding="utf-8"):
    """What `log_it(logger)` writes to a file of this encoding, strictly, as text."""
    raw = io.BytesIO()
    handler = logging.StreamHandler(io.TextIOWrapper(raw, encoding, "strict", newline="", write_through=True))
    handler.setFormatter(JsonFormatter())
    handler.handleError = lambda _: pytest.fail("the record was lost")
    log = logging.Logger("test of lines")  # noqa: LOG001  # one of its own: nothing is shared, nothing is left
    log.addHandler(handler)
    log_it(log)
    return raw.getvalue().decode(encoding)


def line_of(log_it):
    text = lines_of(log_it)
    assert text.endswith("\n")
    (line,) = text.splitlines()  # which splits at more than \n
    return json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def told(**extra):
    return line_of(lambda log: log.info("said", extra=extra))


class Awkward:
    def __str__(self):
        raise RuntimeError("no words")

    __repr__ = __str__


class Untrue(dict):
    def items(self):
        raise OSError("gone")


def test_the_fields_of_ours_cannot_be_overwritten_and_what_was_given_is_kept_apart():
    line = told(time="noon", level=3, logger="me", error="none", stack=1, rows=2)
    assert (line["level"], line["logger"], line["message"], line["rows"]) == ("INFO", "test of lines", "said", 2)
    assert line["time"].endswith("+00:00")
    assert "error" not in line
    apart = {name: value for name, value in line.items() if name.startswith("extra_")}
    assert apart == {
        "extra_time": "noon",
        "extra_level": 3,
        "extra_logger": "me",
        "extra_error": "none",
        "extra_stack": 1,
    }


def test_another_formatter_before_it_adds_nothing():
    def both(log):
        first = logging.StreamHandler(io.StringIO())
        first.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.handlers.insert(0, first)
        log.info("said")

    assert set(line_of(both)) == {"time", "level", "logger", "message"}


@pytest.mark.parametrize("text", ["two\nlines\r\n", "\x85 \u2028 \u2029 \x0b \x1e \x00 \x7f", "東京 Zoë 😀", '"\\'])
def test_a_text_stays_as_it_is_on_one_line(text):
    line = line_of(lambda log: log.info("%s", text, extra={"given": text, text: 1}))
    assert line["message"] == line["given"] == text
    assert line[text] == 1


def test_half_a_surrogate_pair_is_written_and_read_again():
    assert told(path="bad\udcff")["path"] == "bad\udcff"


def test_words_are_readable_and_not_escaped():
    assert "東京" in lines_of(lambda log: log.info("東京"))


class Colour(str, enum.Enum):  # noqa: UP042  # whose `str` is another, unlike a StrEnum's
    RED = "red"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (math.inf, "inf"),
        (math.nan, "nan"),
        (10**30, str(10**30)),
        (10**5000, "<int whose str() raises ValueError>"),
        (-5, -5),
        (True, True),
        (None, None),
        (1.5, 1.5),
        (b"\xff", r"b'\xff'"),
        (Awkward(), "<Awkward whose str() raises RuntimeError>"),
        ({1: {"a": (1, [None])}, None: 2}, {"1": {"a": [1, [None]]}, "None": 2}),
        (Untrue(), "<Untrue that raises OSError when it is read>"),
        (Colour.RED, "red"),
        (enum.IntEnum("Size", "SMALL")(1), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_has_no_word_for_is_text(value, word):
    assert told(value=value)["value"] == word


def test_what_refers_to_itself_ends():
    round_ = []
    round_.append({"again": round_})
    assert "<dict with more in it>" in str(told(value=round_)["value"])


def test_what_is_large_is_cut():
    wide = ["x"] * 300
    bush = "leaf"
    for _ in range(6):
        bush = [bush] * 200  # 200 to the sixth, from seven lists
    line = told(text="a" * 20_000 + "end", wide=wide, bush=bush)
    assert line["text"].startswith("aaa")
    assert line["text"].endswith("end")
    assert "3,619 characters left out" in line["text"]
    assert len(line["wide"]) == 256
    assert len(str(line)) < 1_000_000


def test_an_error_with_a_huge_text_keeps_its_beginning_and_its_end():
    error = ValueError("begin" + "x" * 1_000_000 + "end")
    error.add_note("n" * 100_000)
    found = line_of(lambda log: log.error("failed", exc_info=error))["error"]
    assert found["message"].startswith("begin")
    assert found["message"].endswith("end")
    assert found["traceback"].startswith("ValueError: begin")
    assert all(len(text) < 20_000 for text in [found["message"], found["traceback"], *found["notes"]])


def test_an_error_that_cannot_be_told_is_told_by_its_type():
    class Silent(Exception):
        __str__ = Awkward.__str__

    error = Silent()
    error.__notes__ = 3
    found = line_of(lambda log: log.error("failed", exc_info=error))["error"]
    assert (found["type"], found["message"], found["notes"]) == (
        "Silent",
        "<Silent whose str() raises RuntimeError>",
        3,
    )
    assert "Silent" in found["traceback"]


def test_errors_that_cause_each_other_end():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    for number in range(3_000):
        third = ValueError(number)
        third.__cause__ = second
        second = third
    found = line_of(lambda log: log.error("failed", exc_info=second))["error"]
    assert found["message"] == "2999"
    assert found["traceback"]


@pytest.mark.parametrize("arguments", [(), (1, 2), (Awkward(),)])
def test_a_text_and_arguments_that_do_not_fit_are_both_told(arguments):
    message = line_of(lambda log: log.info("%d of one", *arguments))["message"]
    assert message.startswith("%d of one")


def test_the_stack_is_told_where_it_is_asked_for():
    assert "test_jsonlines" in line_of(lambda log: log.info("here", stack_info=True))["stack"]


_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(some.characters()) | some.binary(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text() | some.integers(), inner) | some.tuples(inner),
    max_leaves=6,
)


@given(message=some.text(some.characters()), extra=some.dictionaries(some.text(), _values, max_size=2))
def test_whatever_is_given_is_one_line_of_json(message, extra):
    record = logging.makeLogRecord({"msg": message, "name": "any", "levelname": "INFO", "args": None})
    for name, value in extra.items():
        if name not in vars(record):
            vars(record)[name] = value
    (line,) = JsonFormatter().format(record).splitlines()
    line.encode("utf-8")
    found = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert found["level"] == "INFO"
    assert found["message"] == message or len(message) > 16_384
