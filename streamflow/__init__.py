"""streamflow: streaming for asyncio that cannot lose data. `import streamflow as sf`.

This is the face: sorted names, nothing else. Formats and places are modules: `from streamflow import csv, gzip,
objects`. Each of them is imported when it is first asked for, with all that it needs; so are the sources that nothing
else here is made of. The rest of the face is there at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from streamflow.channel import Channel, ChannelStats
from streamflow.engine.reader import Reader
from streamflow.engine.runner import run
from streamflow.errors import (
    ChannelClosed,
    ChecksumMismatch,
    CommitUnknown,
    CycleDeadlock,
    EndOfChannel,
    FormatError,
    LimitExceeded,
    MissingExtra,
    ObjectChanged,
    PipelineTimeout,
    ReaderGone,
    StageCancelled,
    StageDidNotStop,
    StageError,
    StreamflowError,
    TruncatedError,
    UsageError,
)
from streamflow.machinery.adaptive import Adaptive
from streamflow.machinery.policies import Backoff, DeadLetter, ErrorPolicy, Retry, skip_errors
from streamflow.makers import sink, source, stage
from streamflow.observe.report import Report
from streamflow.observe.statistics import NestedStats, RunStats, StageStats
from streamflow.operators.accumulating import map_state, pairwise, scan, sliding
from streamflow.operators.aggregates import all, any, max, min, sum  # noqa: A004  # the standard words
from streamflow.operators.balancing import balance, balance_to
from streamflow.operators.batching import batch_waiting, batched, rechunk, unbatch
from streamflow.operators.branching import partition, route
from streamflow.operators.buffers import buffer, conflate
from streamflow.operators.combining import chain, interleave, merge, race
from streamflow.operators.concurrency import flat_map, for_each, map  # noqa: A004  # the standard words
from streamflow.operators.cycles import expand, feedback
from streamflow.operators.edges import append, cycle, default_if_empty, prepend, repeat
from streamflow.operators.elements import cast, enumerate, filter, filter_map, flatten, starmap, tap  # noqa: A004  # the standard words
from streamflow.operators.fanning import broadcast, tap_to, tee
from streamflow.operators.fusing import fuse
from streamflow.operators.grouping import group_adjacent, group_by, split_after, split_when
from streamflow.operators.interspersing import intersperse
from streamflow.operators.latest import switch_map, with_latest_from
from streamflow.operators.ordering import merge_sorted
from streamflow.operators.outlets import into
from streamflow.operators.pacing import delay, spaced, throttle
from streamflow.operators.recovery import catch, fallback
from streamflow.operators.resources import map_with
from streamflow.operators.resuming import Resumable, resumable
from streamflow.operators.retrying import retry
from streamflow.operators.selecting import dedupe, distinct, skip, skip_last, skip_while, take, take_last, take_while
from streamflow.operators.sinks import collect, count, drain, first, last, reduce, single, to_dict
from streamflow.operators.timing import debounce, heartbeat, sample, timed, timeout
from streamflow.operators.until import skip_until, take_until
from streamflow.operators.zipping import zip, zip_latest, zip_longest  # noqa: A004  # the standard words
from streamflow.pipelines import pipeline
from streamflow.stages import Sink, Source, Stage
from streamflow.streams import Pipeline, Stream, stream

if TYPE_CHECKING:
    from streamflow.addressing.reading import read
    from streamflow.addressing.writing import write
    from streamflow.formats import arrow, bz2, compression, csv, deflate, frames, gzip, json, text, xz, zlib, zstd
    from streamflow.formats.checksums import Digest, checksum
    from streamflow.operators.hub import Hub, HubStats
    from streamflow.operators.polling import poll
    from streamflow.operators.pushing import Push, push
    from streamflow.operators.queues import from_queue, from_reader
    from streamflow.operators.sources import empty, failing, never, paginate, range, unfold  # noqa: A004  # the standard words
    from streamflow.operators.threaded import threaded
    from streamflow.operators.ticking import cron, interval
    from streamflow.places import files, objects, processes, stdio
    from streamflow.serving.restarting import Restart
    from streamflow.serving.serve import serve
    from streamflow.serving.supervisor import Supervisor
else:
    _MODULES = {
        "formats": (
            "arrow",
            "bz2",
            "compression",
            "csv",
            "deflate",
            "frames",
            "gzip",
            "json",
            "text",
            "xz",
            "zlib",
            "zstd",
        ),
        "places": ("files", "objects", "processes", "stdio"),
    }
    _MEMBERS = {
        "addressing.reading": ("read",),
        "addressing.writing": ("write",),
        "formats.checksums": ("Digest", "checksum"),
        "operators.hub": ("Hub", "HubStats"),
        "operators.polling": ("poll",),
        "operators.pushing": ("Push", "push"),
        "operators.queues": ("from_queue", "from_reader"),
        "operators.sources": ("empty", "failing", "never", "paginate", "range", "unfold"),
        "operators.threaded": ("threaded",),
        "operators.ticking": ("cron", "interval"),
        "serving.restarting": ("Restart",),
        "serving.serve": ("serve",),
        "serving.supervisor": ("Supervisor",),
    }
    _HOMES = {name: f"{home}.{name}" for home, names in _MODULES.items() for name in names}
    _HOMES |= {name: home for home, names in _MEMBERS.items() for name in names}

    def __getattr__(name: str) -> object:
        """Import what is asked for the first time: Python asks here for a name that the face does not have yet."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(f"{__name__}.{_HOMES[name]}")
        return globals().setdefault(name, getattr(home, name) if _HOMES[name] in _MEMBERS else home)

    def __dir__() -> list[str]:
        """Tell also of what has not been asked for yet."""
        return sorted(globals().keys() | _HOMES)


__all__ = [
    "Adaptive",
    "Backoff",
    "Channel",
    "ChannelClosed",
    "ChannelStats",
    "ChecksumMismatch",
    "CommitUnknown",
    "CycleDeadlock",
    "DeadLetter",
    "Digest",
    "EndOfChannel",
    "ErrorPolicy",
    "FormatError",
    "Hub",
    "HubStats",
    "LimitExceeded",
    "MissingExtra",
    "NestedStats",
    "ObjectChanged",
    "Pipeline",
    "PipelineTimeout",
    "Push",
    "Reader",
    "ReaderGone",
    "Report",
    "Restart",
    "Resumable",
    "Retry",
    "RunStats",
    "Sink",
    "Source",
    "Stage",
    "StageCancelled",
    "StageDidNotStop",
    "StageError",
    "StageStats",
    "Stream",
    "StreamflowError",
    "Supervisor",
    "TruncatedError",
    "UsageError",
    "all",
    "any",
    "append",
    "arrow",
    "balance",
    "balance_to",
    "batch_waiting",
    "batched",
    "broadcast",
    "buffer",
    "bz2",
    "cast",
    "catch",
    "chain",
    "checksum",
    "collect",
    "compression",
    "conflate",
    "count",
    "cron",
    "csv",
    "cycle",
    "debounce",
    "dedupe",
    "default_if_empty",
    "deflate",
    "delay",
    "distinct",
    "drain",
    "empty",
    "enumerate",
    "expand",
    "failing",
    "fallback",
    "feedback",
    "files",
    "filter",
    "filter_map",
    "first",
    "flat_map",
    "flatten",
    "for_each",
    "frames",
    "from_queue",
    "from_reader",
    "fuse",
    "group_adjacent",
    "group_by",
    "gzip",
    "heartbeat",
    "interleave",
    "intersperse",
    "interval",
    "into",
    "json",
    "last",
    "map",
    "map_state",
    "map_with",
    "max",
    "merge",
    "merge_sorted",
    "min",
    "never",
    "objects",
    "paginate",
    "pairwise",
    "partition",
    "pipeline",
    "poll",
    "prepend",
    "processes",
    "push",
    "race",
    "range",
    "read",
    "rechunk",
    "reduce",
    "repeat",
    "resumable",
    "retry",
    "route",
    "run",
    "sample",
    "scan",
    "serve",
    "single",
    "sink",
    "skip",
    "skip_errors",
    "skip_last",
    "skip_until",
    "skip_while",
    "sliding",
    "source",
    "spaced",
    "split_after",
    "split_when",
    "stage",
    "starmap",
    "stdio",
    "stream",
    "sum",
    "switch_map",
    "take",
    "take_last",
    "take_until",
    "take_while",
    "tap",
    "tap_to",
    "tee",
    "text",
    "threaded",
    "throttle",
    "timed",
    "timeout",
    "to_dict",
    "unbatch",
    "unfold",
    "with_latest_from",
    "write",
    "xz",
    "zip",
    "zip_latest",
    "zip_longest",
    "zlib",
    "zstd",
]
