"""What runs in the background: a sensor, and the statistics of all pipelines, for every page that looks on."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import streamflow as sf
from streamflow import web


@dataclass
class Sensor:
    """A stand-in for a thermometer that can be unplugged."""

    degrees: float = 20.0
    _unplugged_until: float = field(default=0.0, repr=False)

    def unplug(self, seconds: float) -> None:
        """Let every measurement fail for so many seconds."""
        self._unplugged_until = asyncio.get_running_loop().time() + seconds

    async def measure(self, _tick: int) -> float:
        """Return degrees Celsius. Raises `OSError` while it is unplugged."""
        if asyncio.get_running_loop().time() < self._unplugged_until:
            raise OSError("the sensor does not answer")
        self.degrees += random.uniform(-0.5, 0.5) + (20 - self.degrees) / 20  # noqa: S311  # a stand-in's weather
        return self.degrees


def smoothed(before: float, degrees: float) -> tuple[float, dict[str, float]]:
    """Keep a moving average: the new state, and what is told."""
    smooth = before + (degrees - before) / 8
    return smooth, {"degrees": degrees, "smooth": smooth}


class Live:
    """The pipelines by name, and what all pages share of them."""

    def __init__(self, supervisor: sf.Supervisor) -> None:
        """Have `supervisor` keep them."""
        self.sensor = Sensor()
        self._known: deque[float] = deque(maxlen=240)
        self._supervisor = supervisor
        self._events = sf.Hub[web.Event](maxsize=64, overflow="drop_oldest", name="live")
        # Read once, sent to every page; one that does not keep up misses the oldest events, and the others none.
        self.pages = web.Shared(sf.Source(self._heard, name="live"), slow="drop_oldest", name="live pages")
        supervisor.add("sensor", self._readings)
        supervisor.add("statistics", self._statistics)

    def events(self, client: str) -> sf.Stream[web.Event]:
        """Return what one page is sent: what is known already, then what comes."""
        known = web.Event(list(self._known), event="known")
        return self.pages.stream(name=client).prepend(known)

    async def _heard(self) -> AsyncIterator[web.Event]:
        async with self._events.subscribe() as events:
            async for event in events:
                yield event

    def _readings(self) -> sf.Pipeline[int]:
        return sf.Pipeline(
            sf.interval(0.25),
            sf.map(self.sensor.measure),
            sf.map_state(smoothed, lambda: self.sensor.degrees),
            sf.tap(lambda reading: self._known.append(reading["smooth"])),
            sf.map(lambda reading: web.Event(reading, event="reading")),
            self._events.sink(),
            name="sensor",
        )

    def _statistics(self) -> sf.Pipeline[int]:
        return sf.Pipeline(
            sf.interval(0.5),
            sf.map(lambda _: web.Event(self.numbers(), event="statistics")),
            self._events.sink(),
            name="statistics",
        )

    def numbers(self) -> dict[str, Any]:
        """Return what the page shows of pipelines and pages."""
        shared = self.pages.stats()
        return {
            "pages": len(shared.clients),
            "missed": shared.dropped,
            "pipelines": [
                {
                    "name": one.name,
                    "state": one.state,
                    "starts_in": one.starts_in,
                    "failures": one.failures,
                    "error": one.error,
                    "stages": [
                        {"name": at.name, "kind": at.kind, "in": at.items_in, "out": at.items_out, "state": at.state}
                        for at in (one.run.stages if one.run else ())
                    ],
                }
                for one in self._supervisor.stats().values()
            ],
        }
