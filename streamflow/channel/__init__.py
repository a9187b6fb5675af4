"""The bounded channel between two stages: an `asyncio.Queue` with an end, an exact bound, and statistics.

What lives here: one class with one set of rules, in layers. Several writers and readers may use it. What must not:
tasks, stages, anything that knows what runs at either end.

How it works
------------
*nowait first, waiting is nowait plus a queue entry.* Every operation is synchronous once it is its turn: `put` appends
and `get` pops in the very step in which the caller resumes, so an operation that raises has had no effect, and a
cancelled caller has neither lost nor doubled an item (HAZARDS H1, H3).

*Turns.* A caller that cannot go on appends a future to `_putters` or `_getters` and stays there until its turn is over.
Only the head of such a queue is ever woken, and a newcomer goes on at once only if nobody waits: first come, first
served (plain `asyncio.Queue` lets newcomers overtake, H8). Whoever leaves the queue, served or cancelled, wakes the
next; whoever was woken looks again when it resumes, and keeps its place if it still has to wait.

*The bound.* `maxsize` counts the items queued, the items in the batch that the engine's reader holds in its hand
(`length_hint` of a list iterator is exact and costs nothing per item), and the room reserved. With `max_bytes` every
item is weighed once, when it is put. One item heavier than `max_bytes` is admitted into an empty channel, so nothing
deadlocks.

*The end is a state, not an item* (H5). `close()` and `fail()` never wait and refuse new writers; what blocked writers
had handed over still goes in ahead of the end.

The state table (tests/test_channel_states.py holds every cell)
---------------------------------------------------------------
==============  ===============  =================  ================  ==============  ================
operation       open             closed, has items  drained           failed          reader gone
==============  ===============  =================  ================  ==============  ================
put, put_many   waits for room   ChannelClosed      ChannelClosed     ChannelClosed   ReaderGone
put_nowait      QueueFull: full  ChannelClosed      ChannelClosed     ChannelClosed   ReaderGone
reserve         waits for room   ChannelClosed      ChannelClosed     ChannelClosed   ReaderGone
slot.put        puts             puts               ChannelClosed     puts            ReaderGone
get, get_many   waits for items  item               EndOfChannel      item, then the  EndOfChannel
                                                                      failure
get_nowait      QueueEmpty:      item               EndOfChannel      item, then the  EndOfChannel
                empty                                                 failure
async for       waits for items  item               ends              item, then the  ends
                                                                      failure
close           closes           nothing            nothing           nothing         nothing
fail            fails            nothing            nothing           nothing         nothing
shutdown        closes           refuses waiters    nothing           refuses         nothing
                                                                      waiters
abandon         discards         discards           leaves            discards        nothing
==============  ===============  =================  ================  ==============  ================

Writers blocked and slots reserved when `close()` or `fail()` is called are served first, so the end comes after them;
when the reader goes they get `ReaderGone`, after `shutdown()` `ChannelClosed`. `shutdown(immediate=True)` also discards
what is queued. `task_done`, `join`, `stats` and the other looks at it (`qsize`, `room`, `repr`) work in every state.

Where it is written
-------------------
One idea a file, and each class adds its idea to the one before; what runs is always the last of them, `Channel`:
`bound` (what is in, and what still fits), `states` (what the state means to writers and readers), `turns` (waiting in
line), `slot` (reserved room), `hand` (the engine's exclusive ends), `ending` (the ways to end), `channel` (the
operations). `stats` is the snapshot.
"""

from __future__ import annotations

from streamflow.channel.channel import Channel
from streamflow.channel.slot import Slot
from streamflow.channel.stats import ChannelStats

__all__ = ["Channel", "ChannelStats", "Slot"]
