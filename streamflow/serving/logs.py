"""Log records of pipelines that run as a service: one line each, as JSON or as text.

What lives here: what is said of a pipeline's life (`Telling`), and a handler for standard error with the names of the
pipeline and the stage on every record (`configure_logs`), which only the command line calls. What must not: deciding
anything, JSON (jsonlines.py).

A library installs no handlers: in your own program configure `logging` as ever, with `JsonFormatter` and `Names` where
you like them.

A record that is made inside a stage, also by your own code, is given the names by `Names`: the pipeline's is that of
the outermost one. The numbers of a pipeline come as fields of the record (`items_in`, `seconds`, ...).
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import datetime
from typing import Any, Literal

from streamflow.engine.names import place
from streamflow.engine.telling import described
from streamflow.errors import UsageError
from streamflow.jobs import Job
from streamflow.observe.statistics import RunStats
from streamflow.serving.jsonlines import JsonFormatter, safe_message

__all__ = ["JsonFormatter", "Names", "Telling", "configure_logs", "numbers"]
_NAMES = ("pipeline", "stage")


class Names(logging.Filter):
    """Gives every record the attributes `pipeline` and `stage`, where it is made inside one; it lets all pass.

    Example: `handler.addFilter(Names())`. On the handler, not on a logger: a logger's filters do not see the records of
    loggers below it.

    An `extra` of one of these names is told as `extra_pipeline`, `extra_stage`; outside of pipelines it stays as it is.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the names."""
        here = place.get()
        if here is not None:
            for name in _NAMES:
                given, ours = vars(record).get(name), getattr(here, name)
                if given is not None and not (isinstance(given, str) and given == ours):
                    setattr(record, f"extra_{name}", given)
                setattr(record, name, ours)
        return True


class _TextFormatter(logging.Formatter):
    """Time, level, the names, the message; a traceback only where it is asked for, the notes of an error always."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        names = [str(vars(record)[name]) for name in _NAMES if name in vars(record)]
        said = f"{clock} {record.levelname:<7} {' > '.join(names) or record.name}: {safe_message(record)}"
        error = record.exc_info[1] if record.exc_info else None
        if record.stack_info:
            said = f"{said}\n{record.stack_info}"
        if error is None:
            return said
        if self._tracebacks:
            return "\n".join([said, "".join(traceback.format_exception(error)).rstrip()])
        return "\n  ".join([said, *map(str, getattr(error, "__notes__", ()))])


def configure_logs(format: Literal["json", "text"] = "text", *, tracebacks: bool = False) -> None:  # noqa: A002
    """Send the records of all loggers, from INFO up, to standard error. For a program, not for a library.

    Example: `configure_logs("json")`

    Args:
        format: `"json"`, one object a line, or `"text"`.
        tracebacks: whether text shows the traceback of an error; JSON always does.

    Raises `UsageError` for another format.
    """
    if format not in {"json", "text"}:
        raise UsageError(f"{format!r} is no format of logs; write 'json' or 'text'.")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else _TextFormatter(tracebacks=tracebacks))
    handler.addFilter(Names())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def numbers(stats: RunStats) -> dict[str, Any]:
    """Return what a record says of a run: items in and out, what was dropped and discarded, what is in flight."""
    first, last = stats.stages[0], stats.stages[-1]
    return {
        "items_in": first.items_out,
        "items_out": last.items_in,
        "bytes_in": first.bytes_out,
        "bytes_out": last.bytes_in,
        "dropped": sum(stage.dropped for stage in stats.stages),
        "discarded": stats.discarded,
        "in_flight": sum(channel.items for channel in stats.channels),
        "seconds": round(stats.seconds, 3),
    }


class Telling:
    """Says on a logger what becomes of pipelines, with the pipeline's name and numbers as fields of the record.

    The field `event` is `"started"`, `"draining"`, `"cancelling"`, `"finished"`, `"drained"`, `"cancelled"` or
    `"failed"`.
    """

    def __init__(self, logger: logging.Logger) -> None:
        """Say it on this logger."""
        self._logger = logger

    def started(self, job: Job[Any]) -> None:
        """It begins to run."""
        self._say(logging.INFO, job, "started", {"event": "started"})

    def draining(self, job: Job[Any], why: str, seconds: float) -> None:
        """It was asked to finish."""
        found = numbers(job.stats())
        text = f"{why}: reading no more, {found['in_flight']:,} items in flight, {seconds:g} s to finish"
        self._say(logging.INFO, job, text, {"event": "draining", "why": why, **found})

    def cancelling(self, job: Job[Any], why: str) -> None:
        """It is being stopped."""
        found = numbers(job.stats())
        text = f"{why}: stopped with {found['in_flight']:,} items in flight; what was not committed is taken back"
        self._say(logging.WARNING, job, text, {"event": "cancelling", "why": why, **found})

    def ended(self, job: Job[Any], error: BaseException | None) -> None:
        """Its run is over."""
        report = job.report
        found = numbers(report.stats)
        event = "finished" if report.outcome == "succeeded" else report.outcome
        text = f"{event} after {found['seconds']:.2f} s: {found['items_in']:,} items in, {found['items_out']:,} out"
        if event != "failed":
            self._say(logging.WARNING if event == "cancelled" else logging.INFO, job, text, {"event": event, **found})
            return
        stages = [stage.name for stage in report.stats.stages if stage.failed]
        where = {"stage": ", ".join(stages)} if stages else {}
        text += f": {described(error)}" if error is not None else ""
        self._say(logging.ERROR, job, text, {"event": event, **found, **where}, error)

    def _say(
        self, level: int, job: Job[Any], text: str, found: dict[str, Any], error: BaseException | None = None
    ) -> None:
        self._logger.log(level, text, exc_info=error, extra={"pipeline": job.name, **found})
