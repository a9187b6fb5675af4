"""Records of pipelines: one line each, with the names of the pipeline and the stage."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys

import pytest

import streamflow as sf
from streamflow.serving.logs import JsonFormatter, Names, configure_logs


@pytest.fixture
def logger():
    """A logger of its own, and the lines that it writes as JSON."""
    log = logging.getLogger("test of streamflow")
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Names())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield log, lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    log.removeHandler(handler)


def test_a_record_is_one_line_of_json_with_its_extras(logger):
    log, lines = logger
    log.info("two\nlines, %s", "Zoë", extra={"rows": 3, "path": object})
    (line,) = lines()
    assert line["message"] == "two\nlines, Zoë"
    assert (line["level"], line["logger"], line["rows"]) == ("INFO", "test of streamflow", 3)
    assert line["path"] == "<class 'object'>"
    assert line["time"].endswith("+00:00")
    assert "pipeline" not in line


def test_an_error_is_an_object_with_its_notes(logger):
    log, lines = logger
    error = ValueError("bad row")
    error.add_note("in stage 2")
    log.error("failed", exc_info=error)
    told = lines()[0]["error"]
    assert (told["type"], told["message"], told["notes"]) == ("ValueError", "bad row", ["in stage 2"])
    assert "ValueError: bad row" in told["traceback"]


async def test_what_a_stage_logs_has_its_name_also_from_threads_and_concurrent_calls(logger):
    log, lines = logger

    async def stage(items):
        async for item in items:
            log.info("in the stage")
            yield item

    async def call(item):
        log.info("in a call")
        await asyncio.to_thread(log.info, "in a thread")
        return item

    async def sink(items):
        async for _ in items:
            log.info("in the sink")

    log.info("outside")
    await sf.pipeline([1], stage, sf.map(call, concurrency=2), sink, name="orders")
    log.info("outside again")

    named = {line["message"]: (line.get("pipeline"), line.get("stage")) for line in lines()}
    assert named == {
        "outside": (None, None),
        "in the stage": ("orders", "stage"),
        "in a call": ("orders", "map(concurrency=2)"),
        "in a thread": ("orders", "map(concurrency=2)"),
        "in the sink": ("orders", "sink"),
        "outside again": (None, None),
    }


async def test_a_run_within_a_run_has_the_name_of_the_outer_pipeline(logger):
    log, lines = logger

    async def inner(item):
        def tell(number):
            log.info("inside")
            return number

        return await sf.pipeline([item], sf.map(tell), sf.count(), name="inner")

    await sf.pipeline([1], sf.map(inner), sf.drain(), name="outer")
    assert lines()[0]["pipeline"] == "outer"


def test_the_names_of_the_pipeline_and_the_stage_cannot_be_overwritten_and_what_was_given_is_kept_apart(logger):
    log, lines = logger

    async def sink(items):
        async for _ in items:
            log.info("said", extra={"pipeline": "mine", "stage": "sink"})

    log.info("outside", extra={"pipeline": "mine"})
    asyncio.run(sf.pipeline([1], sink, name="orders"))
    outside, inside = lines()
    assert outside["pipeline"] == "mine"
    assert (inside["pipeline"], inside["stage"], inside["extra_pipeline"]) == ("orders", "sink", "mine")
    assert "extra_stage" not in inside


def test_two_handlers_that_give_names_give_the_same(logger):
    log, lines = logger
    other = logging.StreamHandler(io.StringIO())
    other.addFilter(Names())
    log.handlers.insert(0, other)

    def tell(item):
        log.info("said", extra={"stage": 3})
        return item

    asyncio.run(sf.pipeline([1], sf.map(tell), sf.drain(), name="orders"))
    log.removeHandler(other)
    assert (lines()[0]["stage"], lines()[0]["extra_stage"]) == ("list + map", 3)


def test_another_format_is_refused():
    with pytest.raises(sf.UsageError, match="'xml' is no format of logs"):
        configure_logs("xml")


PROGRAM = """
import logging, sys
from streamflow.serving.logs import configure_logs
configure_logs("text", tracebacks=sys.argv[1] == "1")
logging.getLogger("mine").info("hello", extra={"pipeline": "orders", "stage": "map"})
logging.getLogger("mine").info("%s and %s", 1, extra={"pipeline": 7})
try:
    1 / 0
except ZeroDivisionError as error:
    error.add_note("the note")
    error.__notes__.append(3)
    logging.getLogger("mine").error("failed", exc_info=error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("tracebacks", ["0", "1"])
def test_text_shows_the_names_and_the_notes_and_the_traceback_where_asked_for(tracebacks):
    done = subprocess.run([sys.executable, "-c", PROGRAM, tracebacks], capture_output=True, text=True, check=True)
    first, wrong, second, *more = done.stderr.splitlines()
    assert first.endswith("INFO    orders > map: hello")
    assert wrong.endswith("INFO    7: %s and %s (1,) (TypeError when these were put together)")
    assert second.endswith("ERROR   mine: failed")
    assert any("the note" in line for line in more)
    assert any("Traceback" in line for line in more) == (tracebacks == "1")
    assert done.stdout == ""
