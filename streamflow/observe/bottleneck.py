"""Which stage holds the others up, how that shows, and what to change: sentences for people.

What lives here: `bottleneck`, `sentence`, `advice`. What must not: tables (report.py), taking numbers (statistics.py).

How it is found. A task is at work, or it waits for input, or for room; these three are measured always. Where a
pipeline is held up by one task, that one is at work nearly all the time, those above it wait for room and those below
it wait for input. Steps that are fused into one task share its seconds, so they are named together.
"""

from __future__ import annotations

from streamflow.observe.statistics import RunStats, StageStats

__all__ = ["advice", "bottleneck", "sentence"]

# Below this share of the time nobody can be said to hold the others up.
_BUSY = 0.5


def bottleneck(stats: RunStats) -> StageStats | None:
    """Return the stage whose task worked most while the others waited for it; `None` before anything ran.

    Of steps fused into one task the last is returned; they share its seconds.
    """
    ran = [stage for stage in stats.stages if stage.working > 0]
    return max(ran, key=lambda stage: (stage.working, stage.position)) if ran else None


def sentence(stats: RunStats) -> str:
    """Say in one sentence which stage was the bottleneck, and how that shows."""
    slow = bottleneck(stats)
    if slow is None or not stats.seconds:
        return "Nothing has run yet, so there is no bottleneck."
    name, share = _task_name(stats, slow), _share(slow.working, stats)
    if share < _BUSY:
        return f"No single stage is the bottleneck: the busiest, {name}, was at work {share:.0%} of the time."
    shows = _neighbours(stats, slow)
    return f"The bottleneck is {name}, at work {share:.0%} of the time" + (f": {shows}." if shows else ".")


def _task_name(stats: RunStats, slow: StageStats) -> str:
    return repr(" + ".join(stage.name for stage in stats.stages if stage.task == slow.task))


def _share(seconds: float, stats: RunStats) -> float:
    return min(1.0, seconds / stats.seconds)


def _neighbours(stats: RunStats, slow: StageStats) -> str:
    """How the bottleneck shows in the tasks beside it."""
    shows = []
    above = [stage for stage in stats.stages if stage.task == slow.task - 1]
    below = [stage for stage in stats.stages if stage.task == slow.task + 1]
    if above:
        shows.append(f"{above[-1].name!r} above it waited {_share(above[-1].waiting_for_room, stats):.0%} for room")
    if below:
        shows.append(f"{below[0].name!r} below it waited {_share(below[0].waiting_for_input, stats):.0%} for input")
    return ", ".join(shows)


def advice(stats: RunStats) -> str:
    """Say what to change to make the run faster."""
    slow = bottleneck(stats)
    if slow is None or not stats.seconds or _share(slow.working, stats) < _BUSY:
        return "The stages overlap well. To go faster, make the busiest ones cheaper."
    if slow.kind == "source":
        return (
            f"To go faster, feed it faster: larger blocks, or more reads at once in {slow.name!r}. "
            f"The stages below it have time to spare."
        )
    if slow.kind == "sink":
        return (
            f"To go faster, let {slow.name!r} write larger batches, or more of them at once. "
            f"The stages above it have time to spare."
        )
    return f"To go faster, {_remedy(slow)}. Larger channels will not help: its input is waiting already."


def _remedy(slow: StageStats) -> str:
    if slow.threads:
        return f"make the work of {slow.name!r} cheaper, such as by a lower compression level"
    if slow.concurrency > 1:
        return f"raise concurrency= of {slow.name!r} above {slow.concurrency:,}, or make each call cheaper"
    return (
        f"let {slow.name!r} do several things at once if it waits for something, as by concurrency=; "
        f"make it cheaper if it computes"
    )
