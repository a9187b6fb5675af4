"""A three-stage pipeline into a file and into an object, cancelled after every loop step, in every way (P2, P6, X2).

Whatever the step: the result is there whole or not at all, nothing half-written is left, the account balances, and (the
kit looks after each run) no task, generator, thread or descriptor is left.
"""

import functools
import os
import pathlib
import shutil
import tempfile

import pytest

import streamflow as sf
from streamflow.formats import csv
from streamflow.places import files, memory, objects
from streamflow.testing import cancel_everywhere

ROWS = [{"id": str(number), "text": f'say "{number}"\nagain'} for number in range(40)]


async def stamped(rows):
    async for row in rows:
        yield row | {"ts": "now"}


@functools.cache
def whole() -> bytes:
    """What a run that nobody disturbs writes."""
    store = memory.MemoryStore()
    sf.run(sf.pipeline(ROWS, stamped, csv.format(), objects.write("rows.csv", store=store)))
    return store.content("rows.csv")


class Transfer:
    """One run, with a sink of its own."""

    def __init__(self) -> None:
        self.job = sf.Pipeline(ROWS, stamped, csv.format(block_bytes=256), self.sink(), maxsize=4, name="transfer")

    async def __call__(self) -> None:
        await self.job.run()

    def sink(self) -> sf.Sink:
        raise NotImplementedError

    def result(self) -> bytes | None:
        raise NotImplementedError

    def leftovers(self) -> object:
        raise NotImplementedError


class ToFile(Transfer):
    def sink(self) -> sf.Sink:
        self.folder = pathlib.Path(tempfile.mkdtemp())
        return files.write(self.folder / "rows.csv")

    def result(self) -> bytes | None:
        path = self.folder / "rows.csv"
        return path.read_bytes() if path.exists() else None

    def leftovers(self) -> object:
        return [name for name in os.listdir(self.folder) if name != "rows.csv"]


class ToObject(Transfer):
    part_size = 1 << 20

    def sink(self) -> sf.Sink:
        self.store = memory.MemoryStore(latency=0.01)
        return objects.write("rows.csv", store=self.store, part_size=self.part_size, concurrency=2)

    def result(self) -> bytes | None:
        return self.store.content("rows.csv") if "rows.csv" in set(self.store.keys()) else None

    def leftovers(self) -> object:
        return self.store.uploads


class ToObjectInParts(ToObject):
    part_size = 512


def check(transfer: Transfer, outcome, expected: bytes) -> None:
    assert transfer.result() in (None, expected)
    assert not transfer.leftovers()
    if outcome.ended == "returned":
        assert transfer.result() == expected
    if outcome.step:
        assert transfer.job._run is None or transfer.job.stats().balanced
    if isinstance(transfer, ToFile):
        shutil.rmtree(transfer.folder)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [ToFile, ToObject, ToObjectInParts])
def test_a_transfer_cancelled_after_any_step_commits_whole_or_not_at_all(scenario):
    assert cancel_everywhere(scenario, functools.partial(check, expected=whole())) > 100
