"""The command `streamflow`: words in, an exit code out.

What lives here: the arguments, and how an ending looks to a person: one message, no traceback unless `--debug`. What
must not: the jobs.

Exit codes: 0 it went well; 1 the job failed, or its result is not what it should be; 2 the command makes no sense; 130
stopped by SIGINT (Ctrl-C), 143 by SIGTERM.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from streamflow.cli.demo import ROWS, Options, demo
from streamflow.cli.machine import about, version
from streamflow.cli.output import Output, open_standard_streams
from streamflow.cli.run import add_run
from streamflow.cli.saying import FAILED, INTERRUPTED, OK, USAGE, explained, said
from streamflow.cli.summary import facts
from streamflow.engine.runner import run
from streamflow.errors import UsageError
from streamflow.places import urls

__all__ = ["main"]

_DEMO = """\
Move orders through the pipeline that streamflow was made for, and prove that none is lost:

  objects -> CSV -> add a timestamp -> CSV -> gzip -> objects

By default 50,000 orders are made in an embedded store, and the target is slow on purpose. The job runs, showing rows,
bytes, how full each channel is and who waits for whom; then the result is read back and compared row by row with the
standard library. The exit code is 1 if anything failed or differs.
"""

_DEMO_MORE = """\
examples:
  streamflow demo --rows 2000000 --slow 0      more rows, as fast as it goes: memory stays flat
  streamflow demo --break 25000                what is left when a stage fails: nothing
  streamflow demo --source orders.csv --target out.csv.gz
  streamflow demo --source s3://bucket/orders.csv.gz --target s3://bucket/stamped.csv.gz

URLs: s3://, gs://, az:// (with the extra "objects", configured by the environment), file://, or a path.
Set NO_COLOR for no colours, TERM=dumb for plain lines.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Example: `main(["demo", "--rows", "1000", "--slow", "0"])`. `argv` defaults to the process's own arguments.
    """
    open_standard_streams()
    try:
        arguments = _parsed(argv)
    except SystemExit as leaving:  # argparse has said why
        return cast("int", leaving.code)
    output = Output()
    code: int = arguments.act(arguments, output)
    return _told_all(code, output)


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments, or leave as argparse does: a message on standard error and `SystemExit`."""
    arguments = (parser := _parser()).parse_args(argv)
    if "act" not in arguments:
        parser.print_help(sys.stderr)
        parser.exit(USAGE)
    if arguments.act is _demo and arguments.source and arguments.rows:
        parser.error("--rows makes orders, --source reads your own: give one of them")
    if arguments.act is _demo and arguments.source and arguments.source == arguments.target:
        parser.error("--source and --target are the same object")
    return arguments


def _told_all(code: int, output: Output) -> int:
    """A report that could not be printed is a failure; a reader who had enough (`| head`) is none."""
    if output.failure is None or isinstance(output.failure, BrokenPipeError):
        return code
    sys.stderr.write(f"streamflow: the output could not be written: {output.failure}\n")
    return code or FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamflow",
        description="Streaming for asyncio that cannot lose data: see it work, run your own, see what is installed.",
    )
    parser.add_argument("--version", action="version", version=f"streamflow {version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_demo(
        commands.add_parser(
            "demo",
            help="run the main job on made or own data and prove the result",
            description=_DEMO,
            epilog=_DEMO_MORE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    add_run(commands)
    telling = commands.add_parser("version", help="say which version this is", description="Say which version this is.")
    telling.add_argument(
        "-v", "--verbose", action="store_true", help="also Python, platform, event loop and extras, for bug reports"
    )
    telling.set_defaults(act=_version)
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=_at_least_one, metavar="N", help=f"how many orders to make (default: {ROWS:,})")
    parser.add_argument("--source", type=_url, metavar="URL", help="a CSV of your own; .gz is decompressed")
    parser.add_argument(
        "--target",
        type=_gzip_url,
        metavar="URL",
        help="where to write, ending in .gz (default: a place that is removed)",
    )
    parser.add_argument(
        "--slow",
        type=_pace,
        metavar="SECONDS",
        help="how long the target takes for each 64 KiB (default: about 6 seconds in all, own data 0)",
    )
    parser.add_argument(
        "--break", type=_at_least_one, metavar="ROW", dest="breaks", help="break the job on purpose at this row"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(act=_demo)


def _at_least_one(text: str) -> int:
    digits = text.replace("_", "").replace(",", "")
    if not digits.isdecimal() or int(digits) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows: a whole number of at least 1")
    return int(digits)


def _pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = -1
    if not 0 <= pace < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds: 0 or more")
    return pace


def _url(text: str) -> str:
    """Take a URL as it is, and a path as the URL of that file."""
    if "://" not in text:
        return Path(text).resolve().as_uri()
    try:
        urls.parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _gzip_url(text: str) -> str:
    if not text.endswith(".gz"):
        raise argparse.ArgumentTypeError(f"{urls.redact(text)} does not end in .gz, and what is written there is gzip")
    return _url(text)


def _version(arguments: argparse.Namespace, output: Output) -> int:
    output.write(facts(about(), output.width) if arguments.verbose else [f"streamflow {version()}"])
    return OK


def _demo(arguments: argparse.Namespace, output: Output) -> int:
    options = Options(arguments.rows or ROWS, arguments.source, arguments.target, arguments.slow, arguments.breaks)
    try:
        return OK if run(demo(options, output)) else FAILED
    except KeyboardInterrupt:
        return said(["stopped by Ctrl-C; what was not complete has been removed"], INTERRUPTED)
    except SystemExit as leaving:  # sf.run's answer to SIGTERM
        return said(["stopped by SIGTERM; what was not complete has been removed"], cast("int", leaving.code))
    except Exception as error:  # noqa: BLE001  # the command line is where every error ends
        if arguments.debug:
            traceback.print_exception(error)
        return said(explained(error), USAGE if isinstance(error, UsageError) else FAILED)
