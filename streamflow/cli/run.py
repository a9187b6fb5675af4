"""`streamflow run module:pipeline`: a pipeline of one's own as a process.

What lives here: the arguments of the command, and its exit code. What must not: what signals do (serving/), finding the
pipeline (finding.py).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import math
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from streamflow.cli.early import Early, Told
from streamflow.cli.figures import Figures
from streamflow.cli.finding import found, jobs_of
from streamflow.cli.output import Output
from streamflow.cli.saying import FAILED, INTERRUPTED, OK, USAGE, explained, said
from streamflow.engine.runner import loop_factory, run_on
from streamflow.errors import UsageError
from streamflow.serving.logs import configure_logs
from streamflow.serving.serve import check_apart, serve_all
from streamflow.serving.service import Runs

__all__ = ["add_run"]

_NOT_THEIRS = (
    str(Path(__file__).parents[1]),
    *(str(Path(file).parent) for file in (asyncio.__file__, importlib.__file__)),
)

_WHAT = """\
Run a pipeline of your own as a process, until it ends or a signal tells it to:

  streamflow run shop:orders        # the Pipeline `orders` of the module shop.py here

The attribute is a Pipeline or a Supervisor, a list of them (run side by side), or a function that makes either, sync or
async.

The first SIGTERM or SIGINT (Ctrl-C) drains: sources are read no more, what they have given is finished and committed.
The second, or the deadline, cancels: what is not committed is taken back. The third leaves at once and lists what is
unfinished. A signal before anything has begun ends it with nothing read. The end of the terminal (SIGHUP) counts as
SIGTERM.
"""

_CODES = """\
exit codes:
  0    it came to its end, by itself or drained, or was told to stop before it began
  1    it failed, or the module could not be imported
  2    the command makes no sense: no such module, no such attribute, no pipeline, no place for --stats
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
        metavar="SECONDS",
        help="how long it may take to finish after the first signal; 0 cancels at once (default: 20, and for a "
        "Supervisor what it was made with)",
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
    with Early() as early:
        configure_logs(arguments.log, tracebacks=arguments.debug)
        jobs: list[Runs] = []
        try:
            figures = Figures(arguments.stats) if arguments.stats is not None else None
        except UsageError as error:
            return _told(arguments, error)
        code = _coded(arguments, jobs, early)
        try:
            if figures is not None:
                figures.write(jobs)
        except OSError as error:
            told = _told(arguments, error)
            return code or told
        return code


def _coded(arguments: argparse.Namespace, jobs: list[Runs], early: Early) -> int:
    """Run it and return the exit code; an error that nobody has told yet is told."""
    try:
        factory = _loop(arguments.loop)
        with early.interrupting():
            thing = found(arguments.target)
        run_on(factory, _main(thing, arguments.drain, jobs, early))
    except Told as told:
        log = logging.getLogger("streamflow.run")
        log.info("%s before anything had begun: nothing was read.", told.number.name, extra={"event": "drained"})
        return OK if arguments.drain != 0 else cast("int", told.code)
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


async def _main(thing: Any, drain: float | None, jobs: list[Runs], early: Early) -> None:
    async def made() -> list[Runs]:
        named = await jobs_of(thing)
        check_apart(named)  # what is wrong before the start, nobody else tells
        jobs.extend(named)
        return named

    early.raise_if_told()  # no `await` between this and the handlers of the pipelines
    await serve_all(made, drain)


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
    return said([*explained(error), *([] if code == USAGE else _where(error))], code)


def _where(error: Exception) -> list[str]:
    """Return the innermost place that is the user's: neither ours, nor asyncio's, nor of a library in C."""
    if isinstance(error, SyntaxError) and error.filename:
        return [f"  at {error.filename}:{error.lineno}"]
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if os.path.isabs(each.filename) and not each.filename.startswith(_NOT_THEIRS)]
    return [f"  at {each.filename}:{each.lineno}" for each in own[-1:]]
