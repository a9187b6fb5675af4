"""The main job, in this process: what it moves, what it leaves, and what it says about it."""

from __future__ import annotations

import asyncio
import gzip
import io
import tempfile

import pytest

from streamflow.cli import demo as module
from streamflow.cli.demo import COLUMN, Options, add_timestamp, demo, slowed
from streamflow.cli.orders import COLUMNS
from streamflow.cli.output import Output
from streamflow.errors import FormatError
from streamflow.places import memory, objects
from streamflow.stages import Sink
from streamflow.streams import Pipeline


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(memory, "_buckets", {})


async def _run(**options):
    stream = io.StringIO()
    return await demo(Options(**{"slow": 0.0, **options}), Output(stream)), stream.getvalue()


async def test_made_rows_arrive_and_the_embedded_store_is_removed(tmp_path):
    same, said = await _run(rows=500)

    assert same
    assert "rows in      500" in said
    assert "rows out     500" in said
    assert "demo: 6 steps in 6 tasks" in said
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_every_row_has_its_columns_and_a_time(tmp_path, gunzipped):
    target = tmp_path / "out.csv.gz"

    same, said = await _run(rows=500, target=target.as_uri())

    header, *rows = gunzipped(target)
    assert same
    assert header == [*COLUMNS, COLUMN]
    assert len(rows) == 500
    assert all(row[-1].startswith("20") for row in rows)
    assert said.endswith(f"The result:\n{target.as_uri()}\n")


@pytest.mark.parametrize("gzipped", [False, True])
async def test_own_data_through_an_object_store(orders_csv, gzipped):
    store = memory.bucket("own")
    data = orders_csv.read_bytes()
    source = "memory://own/in.csv.gz" if gzipped else "memory://own/in.csv"
    await store.put(source.removeprefix("memory://own/"), gzip.compress(data) if gzipped else data)

    same, said = await _run(source=source, target="memory://own/out.csv.gz")

    assert same
    assert "rows out     2,000" in said
    assert store.uploads == 0


async def test_a_source_with_a_header_only_is_moved(tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n")

    same, said = await _run(source=(tmp_path / "in.csv").as_uri())

    assert same
    assert "rows in      0" in said


@pytest.mark.parametrize("damage", ["a row less", "a field changed"])
async def test_a_result_that_differs_is_found(monkeypatch, damage):
    """P2: what the demo claims is proven by the result itself, so a job that loses a row cannot pass."""

    @module.stage
    async def damaging(rows, breaks):
        number = 0
        async for row in add_timestamp(breaks)(rows):
            number += 1
            if number == 300 and damage == "a row less":
                continue
            if number == 300:
                row["city"] += "!"
            yield row

    monkeypatch.setattr(module, "add_timestamp", damaging)

    same, said = await _run(rows=500)

    assert not same
    assert "NO: row 300 differs" in said
    assert f"rows out     {499 if damage == 'a row less' else 500}" in said


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("a,b\n1,2\n3,4,5\n", FormatError, "line 3: 2 fields expected"),
        ('a,b\n1,2\n3,"4\n', FormatError, "line 3"),
        (f"a,{COLUMN}\n1,2\n", FormatError, "the source has a column 'processed_at' already"),
    ],
)
async def test_bad_rows_are_named_and_nothing_is_written(tmp_path, text, error, message):
    """P5, P6."""
    (tmp_path / "in.csv").write_text(text)
    target = tmp_path / "out.csv.gz"

    with pytest.raises(error, match=message) as caught:
        await _run(source=(tmp_path / "in.csv").as_uri(), target=target.as_uri())

    assert f"nothing was written: there is no object {target.as_uri()}" in caught.value.__notes__
    assert any("of 6 of demo" in note for note in caught.value.__notes__)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "tmp"]


async def test_a_break_on_purpose_leaves_what_was_there_before(tmp_path):
    target = tmp_path / "out.csv.gz"
    target.write_bytes(b"before")

    with pytest.raises(RuntimeError, match="row 250: broken on purpose") as caught:
        await _run(rows=500, breaks=250, target=target.as_uri())

    assert target.read_bytes() == b"before"
    assert f"nothing was written: {target.as_uri()} is what it was before" in caught.value.__notes__


async def test_a_missing_source_is_named_and_nothing_is_written(tmp_path):
    target = tmp_path / "out.csv.gz"

    with pytest.raises(FileNotFoundError, match="nowhere"):
        await _run(source=(tmp_path / "nowhere.csv").as_uri(), target=target.as_uri())

    assert not target.exists()


async def test_a_store_that_does_not_say_is_not_spoken_for(monkeypatch, tmp_path):
    async def refuses(_):
        raise PermissionError("no")

    monkeypatch.setattr(objects, "exists", refuses)

    with pytest.raises(RuntimeError) as caught:
        await _run(rows=10, breaks=5, target=(tmp_path / "out.gz").as_uri())

    assert "is not known" in caught.value.__notes__[-1]


@pytest.mark.virtual_time
async def test_a_slow_target_takes_its_time_and_all_bytes():
    async def taking(items):
        return [item async for item in items]

    loop = asyncio.get_running_loop()
    blocks = [b"x" * 65536, b"y" * 32768]

    began = loop.time()
    taken = await Pipeline(blocks, slowed(Sink(taking), 2.0)).run()

    assert taken == blocks
    assert loop.time() - began == pytest.approx(3.0, abs=0.01)


def test_no_pace_leaves_the_sink_as_it_is():
    sink = objects.write("memory://x/y")

    assert slowed(sink, 0.0) is sink


@pytest.mark.parametrize(
    ("options", "pace"),
    [
        (Options(), 0.2),
        (Options(rows=1000), 0.2),
        (Options(rows=5_000_000), 0.002),
        (Options(source="s3://a/b"), 0.0),
        (Options(slow=1.5), 1.5),
        (Options(source="s3://a/b", slow=1.5), 1.5),
    ],
)
def test_the_pace_keeps_made_rows_at_a_few_seconds(options, pace):
    assert options.pace == pytest.approx(pace)
