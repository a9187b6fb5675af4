"""`sf.read` and `sf.write`: place and codecs by the address, shown by explain(), and several addresses at once."""

from __future__ import annotations

import gzip as plain_gzip
import json as plain_json
from dataclasses import dataclass
from pathlib import Path

import pytest

import streamflow as sf
from streamflow.errors import FormatError, UsageError
from streamflow.places.memory import bucket
from streamflow.stages import CompositeSink

ROWS = [{"id": str(number), "name": f"Zoë, {number}"} for number in range(300)]


@dataclass
class Order:
    id: int
    name: str


def size_of(path: str) -> int:
    return Path(path).stat().st_size


def steps(job: sf.Pipeline) -> str:
    """The tasks of a plan."""
    return "\n".join(line for line in job.explain().splitlines() if " task " in line)


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("shape", [".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".CSV"])
async def test_rows_come_back_as_they_went(tmp_path, shape, compression):
    if compression == ".zst":
        pytest.importorskip("streamflow.formats.zstd_library").zstd("tests")
    name = f"{tmp_path}/orders{shape}{compression}"

    written = await sf.pipeline(ROWS, sf.write(name))

    assert written.bytes == size_of(name)
    assert await sf.read(name).collect() == ROWS


@pytest.mark.parametrize("name", ["orders.arrow", "orders.parquet"])
@pytest.mark.parametrize("place", ["file", "memory"])
async def test_columns_come_back_as_rows_and_as_batches(tmp_path, request, place, name):
    pytest.importorskip("pyarrow")
    address = f"{tmp_path}/{name}" if place == "file" else f"memory://{request.node.name}/{name}"

    await sf.pipeline(ROWS, sf.write(address))

    assert await sf.read(address).collect() == ROWS
    batches = await sf.read(address, batches=True).collect()
    assert [row for batch in batches for row in batch.to_pylist()] == ROWS


async def test_batches_of_csv_are_written_as_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    await sf.pipeline(ROWS, sf.write(tmp_path / "a.csv.gz"))

    await sf.pipeline(sf.read(tmp_path / "a.csv.gz", batches=True), sf.write(tmp_path / "a.parquet", batches=True))

    assert [row["name"] for row in await sf.read(tmp_path / "a.parquet").collect()] == [row["name"] for row in ROWS]


async def test_lines_of_text(tmp_path):
    await sf.pipeline(["one", "", "drei ß"], sf.write(tmp_path / "words.txt"))

    assert (tmp_path / "words.txt").read_text(encoding="utf-8") == "one\n\ndrei ß\n"
    assert await sf.read(tmp_path / "words.txt").collect() == ["one", "", "drei ß"]


async def test_a_name_that_says_nothing_is_bytes(tmp_path):
    await sf.pipeline([b"a\0", b"b"], sf.write(tmp_path / "data"))

    assert b"".join(await sf.read(tmp_path / "data").collect()) == b"a\0b"


async def test_only_the_compression_of_an_unknown_format(tmp_path):
    await sf.pipeline([b"payload"], sf.write(tmp_path / "data.bin.gz"))

    assert plain_gzip.decompress((tmp_path / "data.bin.gz").read_bytes()) == b"payload"
    assert await sf.read(tmp_path / "data.bin.gz").collect() == [b"payload"]


async def test_an_object_by_url(request):
    address = f"memory://{request.node.name}/deep/orders.jsonl.gz"

    written = await sf.pipeline(ROWS, sf.write(address))

    content = plain_gzip.decompress(bucket(request.node.name).content("deep/orders.jsonl.gz"))
    assert [plain_json.loads(line) for line in content.splitlines()] == ROWS
    assert written.url == address
    assert await sf.read(address).collect() == ROWS


# --- saying it oneself -----------------------------------------------------------------------------------------------


async def test_what_is_said_comes_before_what_the_name_says(tmp_path):
    path = tmp_path / "odd.csv.gz"
    path.write_bytes(b"id;name\n1;x\n")

    rows = sf.read(path, compression=None, format=sf.csv.parse(delimiter=";"))

    assert await rows.collect() == [{"id": "1", "name": "x"}]
    assert await sf.read(path, compression=None, format=None).collect() == [b"id;name\n1;x\n"]
    assert await sf.read(path, compression=None, format="lines").collect() == ["id;name", "1;x"]


async def test_a_compression_of_ones_own_leaves_the_format_to_the_name(tmp_path):
    path = tmp_path / "orders.csv.gz"

    await sf.pipeline(ROWS, sf.write(path, compression=sf.gzip.compress(9)))

    assert await sf.read(path, compression=sf.gzip.decompress(max_ratio=None)).collect() == ROWS


async def test_rows_of_a_type(tmp_path):
    pytest.importorskip("msgspec")
    for name in ("a.csv.gz", "a.jsonl"):
        await sf.pipeline([{"id": 7, "name": "x"}], sf.write(tmp_path / name))

        assert await sf.read(tmp_path / name, rows=Order).collect() == [Order(7, "x")]


# --- the plan says it ------------------------------------------------------------------------------------------------


def test_explain_shows_what_was_chosen():
    job = sf.Pipeline(sf.read("in/orders.csv.gz"), sf.write("memory://b/orders.jsonl.bz2"))

    plan = steps(job)

    for step in ("files.read(in/orders.csv.gz)", "gzip.decompress", "csv.parse", "json.format_lines", "bz2.compress"):
        assert step in plan
    assert "objects.write(memory://b/orders.jsonl.bz2)" in plan


def test_standard_input_and_output_are_a_dash():
    plan = steps(sf.Pipeline(sf.read("-", format="csv"), sf.write("-", format="jsonl")))

    assert "stdio.read()" in plan
    assert "stdio.write()" in plan


async def test_a_composite_sink_runs_by_hand_too(tmp_path):
    sink = sf.write(tmp_path / "orders.csv.gz")
    assert isinstance(sink, CompositeSink)

    async def rows():
        for row in ROWS:
            yield row

    await sink(rows())

    assert await sf.read(tmp_path / "orders.csv.gz").collect() == ROWS


async def test_as_a_branch_of_broadcast(tmp_path):
    await sf.pipeline(ROWS, sf.broadcast(sf.write(tmp_path / "a.csv"), sf.write(tmp_path / "a.jsonl.gz")))

    assert await sf.read(tmp_path / "a.csv").collect() == ROWS
    assert await sf.read(tmp_path / "a.jsonl.gz").collect() == ROWS


# --- several ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def three(tmp_path):
    """Three files in three formats, a third of the rows in each."""
    names = ["part-1.csv", "part-2.jsonl.gz", "sub/part-3.tsv.bz2"]
    (tmp_path / "sub").mkdir()
    for at, name in enumerate(names):
        await sf.pipeline(ROWS[at * 100 : at * 100 + 100], sf.write(tmp_path / name))
    return [tmp_path / name for name in names]


async def test_a_pattern_reads_all_by_name_each_by_its_own_suffix(tmp_path, three):
    assert await sf.read(tmp_path / "part-*").collect() == ROWS[:200]
    assert await sf.read(tmp_path / "**/part-*").collect() == ROWS


@pytest.mark.parametrize("concurrency", [1, 2, 5])
async def test_a_list_in_order(three, concurrency):
    assert await sf.read(three, concurrency=concurrency).collect() == ROWS


async def test_a_list_as_it_comes_is_complete(three):
    rows = await sf.read(three, concurrency=3, ordered=False).collect()

    assert sorted(rows, key=lambda row: int(row["id"])) == ROWS


async def test_a_pattern_of_objects(request, three):
    for at, each in enumerate(three):
        await sf.pipeline(sf.read(each), sf.write(f"memory://{request.node.name}/2026-0{at}/orders.csv.gz"))

    assert await sf.read(f"memory://{request.node.name}/2026-*/orders.csv.gz").collect() == ROWS


async def test_a_file_with_a_star_in_its_name_is_that_file(tmp_path, three):
    await sf.pipeline(ROWS[:1], sf.write(tmp_path / "part-*.csv"))

    assert await sf.read(tmp_path / "part-*.csv").collect() == ROWS[:1]


async def test_a_pattern_that_nothing_fits_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Nothing fits .*nope-\*\.csv"):
        await sf.read(tmp_path / "nope-*.csv").collect()
    assert await sf.read([]).collect() == []


async def test_a_fault_in_one_of_many_names_it(tmp_path, three):
    three[1].write_bytes(plain_gzip.compress(b'{"id": "1"}\n{oops}\n'))

    with pytest.raises(FormatError, match="2") as caught:
        await sf.read(three).collect()

    assert any("part-2.jsonl.gz" in note for note in caught.value.__notes__)


# --- refused at once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: sf.read(3), "An address is a path or a URL"),
        (lambda: sf.read(""), "An address is a path or a URL"),
        (lambda: sf.read("ftp://host/a.csv"), "ftp:// is not known"),
        (lambda: sf.read("a.csv", format="cvs"), "format='cvs' is not known; write one of 'csv'"),
        (lambda: sf.read("a.csv", compression="zip"), "compression='zip' is not known"),
        (lambda: sf.read("a.csv", rows=Order, batches=True), "take one of them"),
        (lambda: sf.read("a.parquet", rows=Order), "has types of its own"),
        (lambda: sf.read("a.bin", rows=Order), "needs a format that is known by name"),
        (lambda: sf.read("a.jsonl", batches=True), "batches=True"),
        (lambda: sf.read("a.parquet.gz"), "read from its end"),
        (lambda: sf.read("a.csv", format=sf.csv.parse(), batches=True), "a stage of your own"),
        (lambda: sf.read("a.csv", region="x"), "region: options of an object store"),
        (lambda: sf.read("a.csv", format=len), "is not a stage"),
        (lambda: sf.write(None), "An address is a path or a URL"),
        (lambda: sf.write("a.parquet.zst"), "read from its end"),
        (lambda: sf.write("a.csv", endpoint="x"), "endpoint: options of an object store"),
        (lambda: sf.read(["a.csv"], ordered=False), "ordered=False has no effect"),
    ],
)
def test_what_cannot_be_is_refused_at_once(wrong, words):
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        wrong()


async def test_a_source_that_fails_leaves_nothing(tmp_path):
    async def rows():
        yield ROWS[0]
        raise RuntimeError("the source")

    with pytest.raises(RuntimeError, match="the source"):
        await sf.pipeline(rows(), sf.write(tmp_path / "orders.csv.gz"))

    assert list(tmp_path.iterdir()) == []
