"""`streamflow run module:pipeline`: a pipeline of one's own as a process.

What lives here: the arguments of the command, and its exit code. What must not: what signals do (serving/), finding the
pipeline (finding.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamflow.cli.finding import found, jobs_of
from streamflow.cli.output import Output
from streamflow.cli.saying import FAILED, INTERRUPTED, OK, USAGE, explained, said
from streamflow.engine.runner import loop_factory, run_on
from streamflow.errors import UsageError
from streamflow.serving.logs import configure_logs
from streamflow.serving.serve import check_apart, serve
from streamflow.serving.service import Runs
from streamflow.serving.supervised import Supervised

__all__ = ["add_run"]

_OURS = str(Path(__file__).parents[1])

_WHAT = """\
Run a pipeline of your own as a process, until it ends or a signal tells it to:

  streamflow run shop:orders        # the Pipeline `orders` of the module shop.py here

The attribute is a Pipeline or a Supervisor, a list of them (run side by side), or a function that makes either, sync or
async.

The first SIGTERM or SIGINT (Ctrl-C) drains: sources are read no more, what they have given is finished and committed.
The second, or the deadline, cancels: what is not committed is taken back. The third leaves at once and lists what is
unfinished.
"""

_CODES = """\
exit codes:
  0    it came to its end, by itself or drained
  1    it failed, or the module could not be imported
  2    the command makes no sense: no such module, no such attribute, no pipeline
  130  cancelled, and SIGINT was the first signal        143  cancelled, and SIGTERM was
"""


def add_run(commands: Any) -> None:
    """Add the command to argparse's subcommands."""
    parser = commands.add_parser(
        "run",
        help="run a pipeline of your own as a process",
        description=_WHAT,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="MODULE:PIPELINE", help="where the pipeline is, as Python imports it")
    parser.add_argument(
        "--drain",
        type=_seconds,
        default=20.0,
        metavar="SECONDS",
        help="how long it may take to finish after the first signal (default: 20; 0 cancels at once)",
    )
    parser.add_argument("--log", choices=("text", "json"), default="text", help="how to log, on standard error")
    parser.add_argument(
        "--loop",
        choices=("auto", "asyncio", "uvloop"),
        default="auto",
        help="event loop (default: uvloop if installed)",
    )
    parser.add_argument("--stats", metavar="PATH", help="write the numbers of the run there at the end, as JSON")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(act=_run)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds: 0 or more")
    return seconds


def _run(arguments: argparse.Namespace, _output: Output) -> int:
    configure_logs(arguments.log, tracebacks=arguments.debug)
    jobs: list[Runs] = []
    code = _coded(arguments, jobs)
    if arguments.stats:
        try:
            _write(arguments.stats, jobs)
        except OSError as error:
            return _told(arguments, error) or code
    return code


def _coded(arguments: argparse.Namespace, jobs: list[Runs]) -> int:
    """Run it and return the exit code; an error that nobody has told yet is told."""
    try:
        factory = _loop(arguments.loop)
        run_on(factory, _main(found(arguments.target), arguments.drain, jobs))
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:
        return _left(arguments, leaving)
    except Exception as error:  # noqa: BLE001  # the command line is where every error ends
        return FAILED if jobs else _told(arguments, error)
    return OK


def _left(arguments: argparse.Namespace, leaving: SystemExit) -> int:
    """Return the exit code of who left by `sys.exit`; say the words that were given instead of one."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or OK
    if arguments.log == "json":
        logging.getLogger("streamflow.run").error("%s", leaving.code)
        return FAILED
    return said([str(leaving.code)], FAILED)


async def _main(thing: Any, drain: float, jobs: list[Runs]) -> None:
    named = await jobs_of(thing)
    check_apart(named)  # what is wrong before the start, nobody else tells
    jobs += named
    await serve(jobs[0], *jobs[1:], drain=drain)


def _loop(name: str) -> Callable[[], Any] | None:
    factory = loop_factory()
    if name == "uvloop" and factory is None:
        raise UsageError("uvloop is not installed; leave --loop out, or write --loop asyncio.")
    return None if name == "asyncio" else factory


def _told(arguments: argparse.Namespace, error: Exception) -> int:
    code = USAGE if isinstance(error, UsageError) else FAILED
    if arguments.log == "json":
        logging.getLogger("streamflow.run").error("%s", explained(error)[0], exc_info=error)
        return code
    if arguments.debug:
        traceback.print_exception(error)
    where = [] if code == USAGE else [f"  at {frame.filename}:{frame.lineno}" for frame in _last_of_the_user(error)]
    return said([*explained(error), *where], code)


def _last_of_the_user(error: Exception) -> list[traceback.FrameSummary]:
    """Return the innermost frame that is neither ours nor that of the import."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if "importlib" not in frame.filename and _OURS not in frame.filename][-1:]


def _write(path: str, jobs: list[Runs]) -> None:
    """Write what is known of the runs beside the file, then put it in its place."""
    beside = f"{path}.{os.getpid()}.tmp"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump([_numbers(job) for job in jobs], file, indent=2, default=str)
        file.write("\n")
    os.replace(beside, path)


def _numbers(job: Runs) -> dict[str, Any]:
    if isinstance(job, Supervised):
        return {"name": job.name, "pipelines": [dataclasses.asdict(each) for each in job.supervisor.stats().values()]}
    try:
        report = job.report
    except UsageError:
        return {"name": job.name, "outcome": "not run"}
    return {"name": job.name, "outcome": report.outcome, "error": report.error, **dataclasses.asdict(report.stats)}
