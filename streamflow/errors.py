"""Every way a flow can end badly, as one drawn tree.

What lives here: the exception classes that streamflow itself raises, and nothing that raises them.
What must not: logic, imports from the rest of the package, errors of single libraries (a missing object is Python's own
`FileNotFoundError`, a full disk its own `OSError`).

    StreamflowError
    ├── ChannelClosed            a put or a get that can no longer happen      (an asyncio.QueueShutDown)
    │   ├── EndOfChannel         get: the writer closed it and everything was taken: the normal end
    │   └── ReaderGone           put: the reading side left, nobody will ever take this item
    ├── StageError               the fault lies in how a stage behaved
    │   ├── CycleDeadlock        a cycle in which every stage waits for room
    │   ├── StageCancelled       a stage died of a CancelledError that nobody asked for
    │   └── StageDidNotStop      a stage was asked to stop and did not within its grace
    ├── PipelineTimeout          a limit in seconds of streamflow's own passed (a TimeoutError)
    ├── UsageError               a call that cannot mean anything              (a TypeError and a ValueError)
    ├── FormatError              bytes or rows that are not what they should be (a ValueError)
    │   ├── TruncatedError       the data ended too early                      (an EOFError)
    │   ├── ChecksumMismatch     the checksum is not the expected one
    │   └── LimitExceeded        a limit that guards memory was passed
    ├── ObjectChanged            an object was overwritten while it was read   (an OSError)
    ├── CommitUnknown            the answer to a commit was lost: done or not, nobody knows (an OSError)
    └── MissingExtra             an optional dependency is not installed       (an ImportError)

A user's own exception is never wrapped: it leaves `pipeline()` as itself, with a note that names the stage (P4).
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 13):
    from asyncio import QueueShutDown as _QueueShutDown
else:

    class _QueueShutDown(Exception):
        """Stands in for `asyncio.QueueShutDown`, which exists from Python 3.13; before, nobody can expect it."""


__all__ = [
    "ChannelClosed",
    "ChecksumMismatch",
    "CommitUnknown",
    "CycleDeadlock",
    "EndOfChannel",
    "FormatError",
    "LimitExceeded",
    "MissingExtra",
    "ObjectChanged",
    "PipelineTimeout",
    "ReaderGone",
    "StageCancelled",
    "StageDidNotStop",
    "StageError",
    "StreamflowError",
    "TruncatedError",
    "UsageError",
]


class StreamflowError(Exception):
    """The root: `except sf.StreamflowError` catches what streamflow itself finds wrong, and no user's error."""


class ChannelClosed(StreamflowError, _QueueShutDown):
    """The channel has ended for this operation: `put` after `close()` or `fail()`, or `get` after the end.

    Where Python has `asyncio.QueueShutDown` (3.13), this is one, so code written for a queue catches it.
    """


class EndOfChannel(ChannelClosed):
    """The writer closed the channel and every item has been taken. For a reader this is the normal end."""


class ReaderGone(ChannelClosed):
    """The reading side left the channel, so an item put now would never be taken. Stop producing."""


class StageError(StreamflowError):
    """The fault lies in how a stage behaved, not in the data."""


class CycleDeadlock(StageError):
    """A cycle that feeds results back is full, and each of its stages waits for room: nothing could move any more."""


class StageCancelled(StageError):
    """A stage ended in a `CancelledError` although nobody had cancelled it: an error, never a silent end.

    Typically a library the stage awaits cancelled the future it had handed out (a closed connection pool, an executor
    that shut down). The cancellation is the `__cause__`.
    """


class StageDidNotStop(StageError):
    """A stage was asked to stop and had not when its grace (seconds) was over; the message shows where it stands."""


class PipelineTimeout(StreamflowError, TimeoutError):
    """A time limit of streamflow's own passed. Any other `TimeoutError` comes from a stage or the caller."""


class UsageError(StreamflowError, TypeError, ValueError):
    """A call that cannot mean anything; raised before anything starts, with what to write instead."""


class FormatError(StreamflowError, ValueError):
    """Bytes or rows that are not what they should be; the message says where (line number, byte offset)."""


class TruncatedError(FormatError, EOFError):
    """The data ended too early: a gzip member without its trailer, a CSV inside quotes, a body below its length."""


class LimitExceeded(FormatError):
    """A limit that guards memory was passed (a line, a field, a row, or what a compressed chunk expands to)."""


class ChecksumMismatch(FormatError):
    """Data is whole by its form, but its checksum is not the expected one; the message has both values."""


class ObjectChanged(StreamflowError, OSError):
    """An object was overwritten while it was being read; what had been read so far must not be mixed with the rest."""


class CommitUnknown(StreamflowError, OSError):
    """The request that commits a result was sent and its answer lost: the result may or may not be there."""


class MissingExtra(StreamflowError, ImportError):
    """A feature needs a package that is not installed; the message names the extra to install."""
