"""Length-prefixed frames: `parse` and `format`, for messages of any content on a stream of bytes.

What lives here: the two stages, and the codecs behind them as public names. What must not: the work, which is in
`frames_parser` and `frames_formatter`.
"""

from __future__ import annotations

from functools import partial

from streamflow.engine.codecs import codec_stage
from streamflow.formats.frames_formatter import Formatter
from streamflow.formats.frames_parser import Parser
from streamflow.formats.frames_prefix import PrefixName
from streamflow.formats.pieces import BytesLike
from streamflow.stages import Stage

__all__ = ["Formatter", "Parser", "format", "parse"]


def parse(prefix: PrefixName = "u32be", *, max_frame: int = 1 << 20) -> Stage[BytesLike, bytes]:
    """Turn chunks of bytes into frames: a length, then so many bytes, again and again.

    Example: `sf.pipeline(files.read("events.bin"), frames.parse("varint"), sf.map(Event.FromString), sink)`.

    Each item is the content of one frame, without its prefix, wherever the chunks are cut. An empty frame is an empty
    item. A frame is held until it is complete.

    Args:
        prefix: how the length is written: `u8`, `u16`, `u32` or `u64` with `be` (big-endian, as networks have it) or
            `le` (little-endian) behind it, or `varint` as in protobuf's delimited messages. It counts the bytes behind
            it.
        max_frame: the longest frame accepted, in bytes, without its prefix.

    Raises `LimitExceeded` for a length beyond `max_frame` as soon as it is read, before memory is taken for it;
    `FormatError` for a varint of more than 64 bits; `TruncatedError` when the data ends inside a frame. Each names the
    number of the frame and the byte offset where it begins, after the frames before it were delivered. `UsageError` for
    an unknown prefix.

    Cancellation: it never waits; a frame that is not complete yet is dropped.
    """
    make = partial(Parser, prefix, max_frame=max_frame)
    make()
    return codec_stage(make, name="frames.parse", holds=max_frame)


def format(prefix: PrefixName = "u32be", *, max_frame: int = 1 << 20) -> Stage[BytesLike, bytes]:  # noqa: A001  # the counterpart of parse
    """Turn each item into a frame: its length, then its bytes.

    Example: `sf.pipeline(events, sf.map(Event.SerializeToString), frames.format("varint"), files.write("events.bin"))`.

    Args:
        prefix: how the length is written; see `parse`.
        max_frame: the longest item accepted, in bytes; the same default as where frames are read.

    Raises `LimitExceeded` with the number of the item when it is longer than `max_frame`, or than the prefix can say;
    `UsageError` for an unknown prefix.

    Cancellation: it never waits, so a frame is given whole or not at all.
    """
    make = partial(Formatter, prefix, max_frame=max_frame)
    make()
    return codec_stage(make, name="frames.format")
