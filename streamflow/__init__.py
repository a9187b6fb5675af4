"""streamflow: streaming for asyncio that cannot lose data. `import streamflow as sf`.

This is the face: sorted names, nothing else. Formats and places are modules: `from streamflow import csv, gzip,
objects`.
"""

from streamflow.channel import Channel, ChannelStats
from streamflow.engine.reader import Reader
from streamflow.engine.runner import run
from streamflow.errors import (
    ChannelClosed,
    CommitUnknown,
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
from streamflow.formats import csv, gzip, text
from streamflow.observe.report import Report
from streamflow.observe.statistics import RunStats, StageStats
from streamflow.operators.batching import batched
from streamflow.operators.concurrency import map  # noqa: A004  # the standard word
from streamflow.operators.elements import buffer, filter, flat_map, take, tap  # noqa: A004  # the standard word
from streamflow.operators.sinks import collect, count, drain, first, for_each, reduce
from streamflow.pipelines import pipeline
from streamflow.places import files, objects
from streamflow.stages import Sink, Source, Stage, sink, source, stage
from streamflow.streams import Pipeline, Stream, stream

__all__ = [
    "Channel",
    "ChannelClosed",
    "ChannelStats",
    "CommitUnknown",
    "EndOfChannel",
    "FormatError",
    "LimitExceeded",
    "MissingExtra",
    "ObjectChanged",
    "Pipeline",
    "PipelineTimeout",
    "Reader",
    "ReaderGone",
    "Report",
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
    "TruncatedError",
    "UsageError",
    "batched",
    "buffer",
    "collect",
    "count",
    "csv",
    "drain",
    "files",
    "filter",
    "first",
    "flat_map",
    "for_each",
    "gzip",
    "map",
    "objects",
    "pipeline",
    "reduce",
    "run",
    "sink",
    "source",
    "stage",
    "stream",
    "take",
    "tap",
    "text",
]
