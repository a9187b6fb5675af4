"""The report as text: what it shows, that it fits 100 columns, and that nothing is cut off that matters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

import streamflow as sf
from streamflow.testing import TrackedSource


class Broken(Exception):
    """What the tests raise."""


async def same(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


async def slow(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        await asyncio.sleep(1)
        yield item


def stage(position: int, name: str, kind: str, task: int, **numbers: Any) -> sf.StageStats:
    """Return the numbers of a stage, made by hand."""
    counted = ("items_in", "items_out", "dropped", "failed", "bytes_in", "bytes_out")
    timed = ("working", "waiting_for_input", "waiting_for_room")
    known = dict.fromkeys(counted, 0) | dict.fromkeys(timed, 0.0) | numbers
    return sf.StageStats(position=position, name=name, kind=kind, task=task, state="finished", **known)


def channel(put: int, peak: int, drains: int) -> sf.ChannelStats:
    """Return the numbers of a channel, of which the first one saw bytes."""
    numbers = sf.Channel[int](1024).stats()
    size = {"max_bytes": 1 << 20, "peak_bytes": 917_504} if put < 1000 else {}
    return replace(numbers, state="drained", put=put, got=put, peak=peak, drains=drains, **size)


def test_a_report_reads_like_this() -> None:
    stats = sf.RunStats(
        name="orders",
        seconds=50.0,
        finished=True,
        stages=(
            stage(
                1, "objects.read(s3://bucket/orders.csv)", "source", 1, items_out=46, bytes_out=3_000_000, working=2.0
            ),
            stage(2, "csv.parse", "stage", 2, items_in=46, items_out=50_000, working=4.0, waiting_for_room=45.0),
            stage(
                3,
                "filter",
                "stage",
                2,
                items_in=50_000,
                items_out=40_000,
                dropped=10_000,
                working=4.0,
                waiting_for_room=45.0,
            ),
            stage(4, "enrich", "stage", 3, items_in=40_000, items_out=40_000, working=49.6, waiting_for_input=0.1),
            stage(5, "insert", "sink", 4, items_in=40_000, working=5.0, waiting_for_input=44.0),
        ),
        channels=(channel(46, 14, 0), channel(40_000, 1024, 78), channel(40_000, 3, 0)),
    )

    assert str(sf.Report(stats, "succeeded")) == (
        "orders succeeded after 50.00 s\n"
        "\n"
        "stage                                      in     out  dropped    bytes   at work  no input  no room\n"
        "1 objects.read(s3://bucket/orders....              46           2.9 MiB        4%\n"
        "2 csv.parse                                46  50,000                          8%                90%\n"
        "3 filter                               50,000  40,000   10,000           as above\n"
        "4 enrich                               40,000  40,000                         99%\n"
        "5 insert                               40,000                                 10%       88%\n"
        "\n"
        "channel after                            peak     of  peak bytes     of  waits for room\n"
        "1 objects.read(s3://bucket/orders.csv)     14  1,024     896 KiB  1 MiB               0\n"
        "3 filter                                1,024  1,024                                 78\n"
        "4 enrich                                    3  1,024                                  0\n"
        "\n"
        "The account balances: over all channels 80,046 items were put, 80,046 taken.\n"
        "\n"
        "The bottleneck is 'enrich', at work 99% of the time: 'filter' above it waited 90% for room, 'insert'\n"
        "  below it waited 88% for input.\n"
        "To go faster, let 'enrich' do several things at once if it waits for something, as by concurrency=;\n"
        "  make it cheaper if it computes. Larger channels will not help: its input is waiting already."
    )


async def test_a_failure_is_told_first_and_counted() -> None:
    def fail(number: int) -> int:
        if number == 3:
            raise Broken("no such row")
        return number

    job = sf.stream(range(9)).map(fail).through(same).to(sf.count(), name="job")
    with pytest.raises(Broken):
        await job.run()

    text = str(job.report)
    assert (job.report.outcome, job.report.error) == ("failed", "Broken: no such row")
    assert text.startswith("job failed after ")
    assert text.splitlines()[0].endswith(" s: Broken: no such row")
    assert "It failed in stage 2, 'map'." in text


async def test_a_cancelled_run_has_a_report_too() -> None:
    job = sf.stream(TrackedSource(range(9), delay=0.001)).to(sf.count())
    run = asyncio.create_task(job.run())
    await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait([run])

    assert job.report.outcome == "cancelled"
    assert "cancelled after" in str(job.report)


async def test_what_was_discarded_is_in_the_account() -> None:
    job = sf.stream(range(1000)).through(same).take(3).to(sf.collect(), maxsize=10)
    await job.run()

    discarded = job.report.stats.discarded
    assert discarded > 0
    assert f"{discarded:,} discarded because nobody below wanted them" in " ".join(str(job.report).split())


async def test_an_account_that_does_not_balance_is_loud() -> None:
    job = sf.stream(range(10)).to(sf.count())
    await job.run()
    stats = job.report.stats
    wrong = replace(stats, channels=(replace(stats.channels[0], got=9),))

    assert "THE ACCOUNT DOES NOT BALANCE" in str(replace(job.report, stats=wrong))


async def test_bytes_are_shown_where_there_are_any() -> None:
    job = sf.stream([b"x" * 2048] * 3).through(same).to(sf.collect(), max_bytes=4096)
    await job.run()

    lines = str(job.report).splitlines()
    assert "bytes" in lines[2]
    assert all("6 KiB" in line for line in lines[3:6])
    assert "4 KiB" in str(job.report).split("channel after")[1]


@pytest.mark.parametrize("count", [0, 1, 10**9])
@pytest.mark.parametrize("name", ["a", "objects.read(s3://bucket/" + "very/" * 40 + "orders.csv)", "東京" * 30])
async def test_it_fits_100_columns(name: str, count: int) -> None:
    stage: sf.Stage[Any, Any] = sf.Stage(same, name=name)
    job = sf.stream([b"x"]).filter(bool).through(stage).take(1).to(sf.collect(), name="job " * 30)
    await job.run()
    stats = job.report.stats
    big = replace(
        stats,
        stages=tuple(
            replace(
                row, items_in=count, items_out=count, dropped=count, bytes_in=count * 999, bytes_out=count, failed=1
            )
            for row in stats.stages
        ),
    )
    report = replace(job.report, stats=big, error="ValueError: " + "too long " * 40, outcome="failed")

    wide = [line for line in str(report).splitlines() if len(line) > 100]
    assert not wide or all(len(line.split()) == 1 for line in wide)


async def test_it_names_no_credentials() -> None:
    job = sf.stream([1]).to(sf.count())
    await job.run()

    assert repr(job.report).startswith("Report(stats=RunStats(name='pipeline'")


# --- runs within runs ------------------------------------------------------------------------------------------------


def nested(*numbers: sf.NestedStats) -> str:
    """Return the report of a run with so much inside."""
    return str(sf.Report(sf.RunStats("job", 1.0, True, (), (), numbers), "succeeded"))


def test_runs_within_the_run_are_shown_below_its_channels() -> None:
    text = nested(
        sf.NestedStats("branch 1 of broadcast", 1, items_in=50_000, items_out=50_000, put=50_000, got=50_000),
        sf.NestedStats(
            "branch 2 of broadcast", 1, items_in=900, items_out=880, dropped=49_120, put=900, got=880, discarded=20
        ),
        sf.NestedStats("tee[0]", items_in=7, items_out=7, put=7, got=7),
    )

    assert "\n\n".join(text.split("\n\n")[1:3]) == (
        "inside the stages      runs      in     out  dropped  discarded\n"
        "branch 1 of broadcast     1  50,000  50,000\n"
        "branch 2 of broadcast     1     900     880   49,120         20\n"
        "tee[0]                            7       7\n\n"
        "The account balances: over all channels 50,907 items were put, 50,887 taken, 20 discarded because\n"
        "  nobody below wanted them."
    )


def test_what_was_dropped_after_it_had_been_put_is_not_missing_in_the_account() -> None:
    text = nested(sf.NestedStats("side", 1, items_in=10, items_out=4, dropped=6, put=10, got=4))

    assert "10 items were put, 4 taken, 6 dropped to make room." in text


def test_of_many_names_those_that_lost_items_are_shown() -> None:
    names = [sf.NestedStats(f"quiet {number}", 1) for number in range(12)]
    names += [sf.NestedStats("lossy", 1, discarded=3, put=3), sf.NestedStats("failed", 1, failed=1)]
    block = nested(*names).split("\n\n")[1].splitlines()

    assert [line.split("  ")[0] for line in block[1:3]] == ["lossy", "failed"]
    assert len(block) == 12
    assert block[-1] == "and 4 more, which lost nothing"


def test_what_is_not_shown_by_name_is_told_in_sum() -> None:
    block = nested(*(sf.NestedStats(f"group {n}", 1, dropped=2, discarded=1, put=1) for n in range(15)))

    assert "\nand 5 more, with 10 dropped, 5 discarded\n" in block


def test_an_account_that_does_not_balance_inside_is_named() -> None:
    text = nested(sf.NestedStats("robbed", 1, put=3, got=2, balanced=False))

    assert "robbed (DOES NOT BALANCE)" in text
    assert "THE ACCOUNT DOES NOT BALANCE: over all channels 3 items were put, 2 taken." in text


async def test_without_runs_inside_nothing_is_said_of_them() -> None:
    job = sf.stream([1]).through(same).to(sf.count())
    await job.run()

    assert "inside" not in str(job.report)
