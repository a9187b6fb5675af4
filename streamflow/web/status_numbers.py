"""What the status routes tell, as values that JSON knows.

What lives here: pure functions from snapshots to dictionaries. What must not: routes (status.py), HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamflow.channel import ChannelStats
from streamflow.observe.bottleneck import advice, bottleneck, sentence
from streamflow.observe.statistics import RunStats, StageStats
from streamflow.serving.states import PipelineStatus
from streamflow.serving.supervisor import Health, Supervisor
from streamflow.web.shared import Shared, SharedStats

__all__ = ["health_of", "picture"]

_CLIENTS = 20  # of a shared stream that are told one by one
_BUSY = 0.5  # of the time: below it nobody holds the others up


def health_of(health: Health) -> dict[str, Any]:
    """Return what the health routes answer: no errors, no names of stages, nothing to hide."""
    return {
        "healthy": health.healthy,
        "ready": health.ready,
        "stopping": health.stopping,
        "states": dict(health.states),
    }


def picture(supervisor: Supervisor, shared: Sequence[Shared[Any]]) -> dict[str, Any]:
    """Return everything: health, pipelines, shared streams."""
    health = supervisor.health()
    return {
        "healthy": health.healthy,
        "ready": health.ready,
        "stopping": health.stopping,
        "pipelines": [_pipeline(status) for status in supervisor.stats().values()],
        "shared": [_shared(one.stats()) for one in shared],
    }


def _pipeline(status: PipelineStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "state": status.state,
        "seconds": round(status.seconds, 3),
        "begun": status.begun,
        "runs": status.runs,
        "failures": status.failures,
        "error": status.error,
        "starts_in": None if status.starts_in is None else round(status.starts_in, 3),
        "run": None if status.run is None else _run(status.run),
    }


def _run(stats: RunStats) -> dict[str, Any]:
    slowest = bottleneck(stats)
    ends = {stage.task: stage.position for stage in stats.stages}  # a channel stands after the last step of a task
    return {
        "seconds": round(stats.seconds, 3),
        "finished": stats.finished,
        "balanced": stats.balanced,
        "discarded": stats.discarded,
        "bottleneck": sentence(stats),
        "advice": advice(stats),
        "slowest": slowest.position if slowest is not None and slowest.working >= _BUSY * stats.seconds else None,
        "stages": [_stage(stage) for stage in stats.stages],
        "channels": [_channel(ends[task], channel) for task, channel in enumerate(stats.channels, 1)],
        "values": dict(stats.values),
    }


def _stage(stage: StageStats) -> dict[str, Any]:
    return {
        "position": stage.position,
        "name": stage.name,
        "kind": stage.kind,
        "task": stage.task,
        "state": stage.state,
        "in": stage.items_in,
        "out": stage.items_out,
        "dropped": stage.dropped,
        "failed": stage.failed,
        "bytes_in": stage.bytes_in,
        "bytes_out": stage.bytes_out,
        "working": round(stage.working, 4),
        "waiting_for_input": round(stage.waiting_for_input, 4),
        "waiting_for_room": round(stage.waiting_for_room, 4),
        "concurrency": stage.concurrency,
        "threads": stage.threads,
    }


def _channel(after: int, channel: ChannelStats) -> dict[str, Any]:
    by_bytes = channel.bytes / channel.max_bytes if channel.max_bytes else 0.0
    return {
        "after": after,
        "items": channel.items,
        "maxsize": channel.maxsize,
        "bytes": channel.bytes,
        "max_bytes": channel.max_bytes,
        "fill": round(min(1.0, max(channel.items / channel.maxsize, by_bytes)), 3),
        "peak": channel.peak,
        "put": channel.put,
        "got": channel.got,
        "discarded": channel.discarded,
    }


def _shared(stats: SharedStats) -> dict[str, Any]:
    slowest = sorted(stats.clients, key=lambda client: (-client.dropped, -client.waiting))[:_CLIENTS]
    return {
        "name": stats.name,
        "state": stats.state,
        "error": stats.error,
        "sessions": stats.sessions,
        "items": stats.items,
        "dropped": stats.dropped,
        "ended": stats.ended,
        "left": stats.left,
        "clients": len(stats.clients),
        "slowest": [
            {
                "name": client.name,
                "given": client.given,
                "taken": client.taken,
                "waiting": client.waiting,
                "dropped": client.dropped,
            }
            for client in slowest
        ],
    }
