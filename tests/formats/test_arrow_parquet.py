"""Parquet: row groups out of batches however they come, and back; a file without its end is an error."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, UsageError
from streamflow.formats.arrow_parquet import ParquetReading, ParquetWriter

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

TABLE = pa.table({"n": range(100), "s": [f"text {n}" for n in range(100)]})


def written(batches: Iterable[Any], **options: Any) -> bytes:
    writer = ParquetWriter(pa, **options)
    return b"".join([*(piece for batch in batches for piece in writer.feed(batch)), *writer.finish()])


def groups_of(data: bytes) -> list[int]:
    metadata = parquet.ParquetFile(io.BytesIO(data)).metadata
    return [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]


@given(st.integers(1, 120), st.integers(1, 100))
def test_row_groups_do_not_depend_on_the_batches(rows: int, size: int) -> None:
    """L1."""
    data = written(TABLE.to_batches(max_chunksize=size), group_rows=rows)

    assert data == written([TABLE], group_rows=rows)
    assert groups_of(data) == [rows] * (100 // rows) + [100 % rows] * (100 % rows > 0)
    assert parquet.read_table(io.BytesIO(data)).equals(TABLE)


def test_a_row_group_is_handed_on_when_it_is_full() -> None:
    writer = ParquetWriter(pa, group_rows=100)

    assert list(writer.feed(TABLE.slice(0, 99))) == []
    assert len(list(writer.feed(TABLE.slice(99)))) == 1


def test_bytes_end_a_row_group_too() -> None:
    data = written(TABLE.to_batches(max_chunksize=10), group_bytes=TABLE.nbytes // 4)

    assert groups_of(data) == [30, 30, 30, 10]


def test_without_batches_there_is_the_schema_that_is_known() -> None:
    assert parquet.read_table(io.BytesIO(written([], schema=TABLE.schema))).equals(TABLE.slice(0, 0))
    with pytest.raises(FormatError, match="no batch came"):
        written([])


def test_a_batch_with_another_schema_is_refused() -> None:
    with pytest.raises(FormatError, match="batch 2: it has the columns n, not n, s"):
        written([*TABLE.to_batches(), TABLE.select(["n"])])


@pytest.mark.parametrize(
    "options",
    [
        {"group_rows": 0},
        {"group_bytes": 0},
        {"schema": "n"},
        {"compression": "no such"},
        {"options": {"no_such_option": 1}},
        {"options": {"version": "9"}},
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    """F14, P10."""
    with pytest.raises(UsageError):
        ParquetWriter(pa, **options)


def test_options_of_pyarrow_reach_it() -> None:
    plain = parquet.ParquetFile(io.BytesIO(written([TABLE], options={"use_dictionary": False}))).metadata

    assert not plain.row_group(0).column(1).has_dictionary_page


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    path.write_bytes(written([TABLE], group_rows=40))
    return path


def test_a_file_comes_back_in_batches(file: Path) -> None:
    batches = list(ParquetReading(pa, file, batch=16)())

    assert pa.Table.from_batches(batches).equals(TABLE)
    assert max(batch.num_rows for batch in batches) <= 16


def test_only_the_columns_and_groups_wanted_are_read(file: Path) -> None:
    (batch,) = ParquetReading(pa, file, columns=["s"], groups=[1])()

    assert pa.Table.from_batches([batch]).equals(TABLE.select(["s"]).slice(40, 40))


def test_it_can_be_read_again_and_left_early(file: Path) -> None:
    reading = ParquetReading(pa, file, batch=1)
    batches: Any = reading()
    assert next(batches).num_rows == 1
    batches.close()

    assert len(list(reading())) == 100


def test_a_file_that_was_cut_is_an_error(file: Path) -> None:
    """P5."""
    data = file.read_bytes()
    for at in (0, 3, 100, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:at])
        with pytest.raises(FormatError, match="is no whole Parquet file"):
            list(ParquetReading(pa, file)())


def test_a_damaged_file_is_an_error(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:4] + b"\xff" * 200 + data[204:])

    with pytest.raises(FormatError, match="the Parquet file is damaged"):
        list(ParquetReading(pa, file)())


def test_what_is_not_there_is_said(file: Path) -> None:
    with pytest.raises(FormatError, match="there is no column x; there are n, s"):
        list(ParquetReading(pa, file, columns=["x"])())
    with pytest.raises(UsageError, match=r"groups=\[3\] but there are 3"):
        list(ParquetReading(pa, file, groups=[3])())
    with pytest.raises(FileNotFoundError):
        list(ParquetReading(pa, file.with_name("none"))())
    with pytest.raises(UsageError, match="columns='n' must be a list"):
        ParquetReading(pa, file, columns="n")
    with pytest.raises(UsageError, match="batch must be"):
        ParquetReading(pa, file, batch=0)
