"""A run watched while it goes on: a panel that is drawn over on a terminal, a line a second elsewhere.

What lives here: `watch`, the two views, and the only import of rich (the extra `cli`; without it a terminal gets the
plain lines too). What must not: what the lines say (progress.py).

The view ticks in a task beside the run, in the same loop, and only reads its numbers. If drawing fails, the view ends,
the run does not, and the failure is told afterwards.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, Protocol, TypeVar

from streamflow.cli.layout import flow
from streamflow.cli.output import Output
from streamflow.cli.progress import Line, Look, one_line, panel
from streamflow.observe.statistics import RunStats
from streamflow.streams import Pipeline

__all__ = ["PanelView", "PlainView", "View", "view_for", "watch"]

R = TypeVar("R")

_STYLES = {
    "head": "bold",
    "columns": "dim",
    "working": "green",
    "waiting for room": "yellow",
    "waiting for input": "cyan",
    "finished": "dim",
    "stopped": "dim",
    "failed": "red",
}


class View(Protocol):
    """Something that shows the numbers of a run."""

    every: float
    """Seconds from one picture to the next."""

    def show(self, stats: RunStats) -> None:
        """Show them now."""

    def close(self) -> None:
        """Leave the terminal as it was. Called once, also when nothing was shown."""


async def watch(job: Pipeline[R], view: View) -> R:
    """Run the job with a view beside it; return or raise what the job does.

    A failure of the view ends the view only, and is told on standard error after the run. Cancellation: as of
    `Pipeline.run`.
    """
    ticking = asyncio.create_task(_tick(job, view), name="streamflow: live view")
    try:
        return await job.run()
    finally:
        ticking.cancel()
        await asyncio.wait([ticking])
        for failure in (None if ticking.cancelled() else ticking.exception(), _closing(view)):
            if failure is not None:
                sys.stderr.write(f"streamflow: the live view failed, the run did not: {failure!r}\n")


async def _tick(job: Pipeline[R], view: View) -> None:
    while True:
        await asyncio.sleep(view.every)
        view.show(job.stats())


def _closing(view: View) -> Exception | None:
    try:
        view.close()
    except Exception as error:  # noqa: BLE001  # whatever a drawing does wrong, the job is worth more
        return error
    return None


def view_for(output: Output, expected: int = 0) -> View:
    """Return the view that suits the output. `expected` is the number of rows to come, 0 if nobody knows."""
    if output.live:
        try:
            return PanelView(output, expected)
        except ImportError:
            pass  # plain lines do; `make run` and the extra `cli` bring the panel
    return PlainView(output, expected)


class PlainView:
    """A line a second, for pipes, logs and dumb terminals."""

    every = 1.0

    def __init__(self, output: Output, expected: int = 0) -> None:
        """Show it on `output`."""
        self._output = output
        self._expected = expected

    def show(self, stats: RunStats) -> None:
        """Write a line; on a dumb terminal as many as its width needs."""
        parts = one_line(stats, self._expected)
        on_terminal = self._output.stream.isatty()
        self._output.write(flow(parts, self._output.width, indent="    ") if on_terminal else ["  ".join(parts)])

    def close(self) -> None:
        """Nothing to put back."""


class PanelView:
    """A panel that is drawn over eight times a second, through rich, and gone at the end: the report follows it."""

    every = 0.125

    def __init__(self, output: Output, expected: int = 0) -> None:
        """Prepare it; nothing is drawn yet. Raises `ImportError` without rich."""
        from rich.console import Console  # noqa: PLC0415  # an optional extra
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        # NO_COLOR: no styles at all, bold and dim included; only the cursor moves.
        colours = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(file=output.stream, force_terminal=True, color_system=colours)  # type: ignore[arg-type]  # rich names a Literal
        self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._text: Any = Text
        self._output = output
        self._expected = expected
        self._signs = ("█", "░") if output.can_show("█░") else ("#", "-")

    def show(self, stats: RunStats) -> None:
        """Draw it over the one before."""
        self._live.start()
        look = Look(self._console.width, self._expected, *self._signs)
        self._live.update(self._drawn(panel(stats, look)), refresh=True)

    def close(self) -> None:
        """Remove the panel and show the cursor again."""
        self._live.update(self._text(""))  # drawn once more before it goes, and in full, however low the terminal is
        self._live.stop()

    def _drawn(self, lines: list[Line]) -> Any:
        text = self._text(no_wrap=True, overflow="crop")
        for line in lines:
            text.append(self._output.shown(line.text) + "\n", _STYLES.get(line.state, ""))
        text.rstrip()
        return text
