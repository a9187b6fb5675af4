"""The Arrow stages: options reach the codecs, bad ones are refused at once, threads change nothing, and without pyarrow
it is said what to install."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import streamflow as sf
from streamflow.errors import FormatError, MissingExtra, TruncatedError, UsageError
from streamflow.formats import arrow, gzip
from streamflow.stages import Stage

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.csv")

pa.csv.read_csv(pa.BufferReader(b"a\n1\n"))  # opens a pipe for signals, for as long as the process lives

CSV = b"id,name\r\n" + b"".join(b'%d,"row, %d"\r\n' % (n, n % 7) for n in range(50_000))
SMALL = b'id,name\r\n1,"x\ny"\r\n2,z\r\n'


async def run(stage: Stage[Any, Any], items: Iterable[Any]) -> list[Any]:
    async def source() -> AsyncIterator[Any]:
        for item in items:
            yield item

    async with aclosing(source()) as opened:
        return [item async for item in stage(opened)]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1000, 100_000, 10_000_000])
async def test_csv_comes_back_whatever_the_chunks(size: int) -> None:
    """L1: small chunks are collected, the thread changes nothing."""
    batches = await run(arrow.parse_csv(block_bytes=300_000), cut(CSV, size))

    assert batches == await run(arrow.parse_csv(block_bytes=300_000), [CSV])
    assert sum(batch.num_rows for batch in batches) == 50_000
    assert b"".join(await run(arrow.format_csv(), batches)) == CSV


async def test_all_options_reach_the_codecs() -> None:
    parse = arrow.parse_csv(
        header=["a", "b"],
        columns=["b"],
        types={"b": "string"},
        delimiter=";",
        quotechar="'",
        block_bytes=10,
        infer=False,
        convert={"strings_can_be_null": True},
    )
    (batch,) = await run(parse, [b"1;'x;'\n2;\n"])
    text = arrow.format_csv(header=["c"], delimiter="\t", lineterminator="\n", null="-")

    assert batch.to_pydict() == {"b": ["x;", None]}
    assert await run(text, [batch]) == [b"c\n", b"x;\n-\n"]
    assert [batch.num_rows for batch in await run(arrow.parse_csv(block_bytes=12), [b"a\n", b"1\n" * 12])] == [5, 6, 1]


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (arrow.write_ipc, arrow.read_ipc),
        (lambda: arrow.write_ipc(compression="zstd"), lambda: arrow.read_ipc(max_message_bytes=10_000_000)),
    ],
)
@pytest.mark.parametrize("size", [1000, 10_000_000])
async def test_streams_come_back(write: Callable[[], Stage[Any, bytes]], read: Callable[[], Any], size: int) -> None:
    batches = await run(arrow.parse_csv(), [CSV])
    data = b"".join(await run(write(), batches))

    assert await run(read(), cut(data, size)) == batches
    with pytest.raises(TruncatedError):
        await run(read(), cut(data[:-8], size))


async def test_rows_become_batches_and_batches_rows() -> None:
    rows = [{"id": n, "name": f"row {n}"} for n in range(1000)]
    batches = await run(arrow.from_rows(batch=300), rows)

    assert [batch.num_rows for batch in batches] == [300, 300, 300, 100]
    assert await run(arrow.to_rows(), batches) == rows
    assert await run(arrow.to_rows("tuples"), batches) == [(row["id"], row["name"]) for row in rows]
    schema = pa.schema([("id", pa.int16()), ("name", pa.string())])
    assert (await run(arrow.from_rows(schema=schema), rows))[0].schema == schema


async def test_a_whole_pipeline_counts_bytes_and_rows(tmp_path: Path) -> None:
    """C7: from CSV to Parquet and back to rows, with gzip between."""
    path = tmp_path / "rows.parquet"
    packed = b"".join(await run(gzip.compress(), [CSV]))
    await sf.pipeline(
        cut(packed, 5000),
        gzip.decompress(),
        arrow.parse_csv(block_bytes=65536),
        arrow.write_parquet(group_rows=20_000),
        sf.files.write(path, sync=False),
        max_bytes=100_000,
    )
    reading = sf.threaded(arrow.read_parquet(path, columns=["id"], batch=5000))
    rows = await sf.pipeline(reading, arrow.to_rows(), sf.collect())

    assert rows == [{"id": n} for n in range(50_000)]


async def test_an_error_comes_behind_the_rows_before_it_with_the_stage_in_its_note() -> None:
    """P3, P4."""
    seen: list[Any] = []

    with pytest.raises(FormatError, match="line 3: 2 fields expected") as caught:
        await sf.pipeline([b"a,b\n1,2\n3\n"], arrow.parse_csv(), arrow.to_rows(), sf.for_each(seen.append))
    assert seen == [{"a": 1, "b": 2}]
    assert any("arrow.parse_csv" in note for note in caught.value.__notes__)


async def test_a_pipeline_that_has_enough_leaves_no_thread() -> None:
    batch = await sf.pipeline([CSV] * 3, arrow.parse_csv(block_bytes=1000), sf.first())

    assert batch.num_rows > 0


def test_the_stages_say_what_they_cost() -> None:
    for name, stage in {
        "parse_csv": arrow.parse_csv(),
        "format_csv": arrow.format_csv(),
        "read_ipc": arrow.read_ipc(),
        "write_ipc": arrow.write_ipc(),
        "write_parquet": arrow.write_parquet(),
    }.items():
        assert (stage.name, stage.threads) == (f"arrow.{name}", 1)
        assert stage.holds > 1 << 19
    assert arrow.to_rows().transform is not None
    assert (arrow.from_rows(batch=10).holds_items, arrow.from_rows().threads) == (10, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: arrow.parse_csv(delimiter=""),
        lambda: arrow.format_csv(lineterminator=""),
        lambda: arrow.read_ipc(max_message_bytes=0),
        lambda: arrow.write_ipc(schema=1),
        lambda: arrow.write_parquet(group_rows=0),
        lambda: arrow.read_parquet("x", batch=0),
        lambda: arrow.to_rows("lists"),
        lambda: arrow.from_rows(batch=0),
    ],
)
def test_options_that_mean_nothing_are_refused_at_once(wrong: Callable[[], Any]) -> None:
    """F14, P10."""
    with pytest.raises(UsageError):
        wrong()


@pytest.mark.parametrize("name", arrow.__all__)
def test_without_pyarrow_every_function_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    given = ["x"] if name == "read_parquet" else []

    with pytest.raises(MissingExtra, match=rf'arrow\.{name} needs pyarrow: pip install -e "\.\[arrow\]"'):
        getattr(arrow, name)(*given)


def test_pyarrow_is_imported_by_the_first_stage_and_not_before() -> None:
    code = "import sys, streamflow.formats.arrow as arrow; assert 'pyarrow' not in sys.modules; arrow.to_rows()"

    subprocess.run([sys.executable, "-c", code + "; assert 'pyarrow' in sys.modules"], check=True, timeout=50)
