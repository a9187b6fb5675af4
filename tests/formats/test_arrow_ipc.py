"""Arrow's stream format: what was written comes back however it is cut, and a cut stream is an error."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats.arrow_ipc import IpcReader, IpcWriter

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.ipc")

WORDS = pa.array(["x", "y", "x"]).dictionary_encode()
BATCHES = [
    pa.record_batch({"n": pa.array([1, 2, None]), "s": ["a", "", "ä"], "d": WORDS}),
    pa.record_batch(
        {"n": pa.array([4, 5, 6]), "s": ["b", "c", None], "d": pa.array(["y", "z", "w"]).dictionary_encode()}
    ),
    pa.record_batch({"n": pa.array([7, 8, 9]), "s": ["", "", ""], "d": WORDS}),
]


def written(batches: Iterable[Any], **options: Any) -> bytes:
    writer = IpcWriter(pa, **options)
    return b"".join([*(piece for batch in batches for piece in writer.feed(batch)), *writer.finish()])


def read(chunks: Iterable[bytes], **options: Any) -> tuple[list[Any], Exception | None]:
    reader = IpcReader(pa, **options)
    batches: list[Any] = []
    try:
        for chunk in chunks:
            batches.extend(reader.feed(chunk))
        batches.extend(reader.finish())
    except FormatError as error:
        return batches, error
    return batches, None


DATA = written(BATCHES)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_batches_come_back_at_every_cut(compression: str | None) -> None:
    """L1. Dictionaries that are replaced on the way are among them."""
    data = written(BATCHES, compression=compression)

    for at in range(0, len(data) + 1, 7):
        assert read([data[:at], data[at:]]) == (BATCHES, None)
    assert read([data[at : at + 1] for at in range(len(data))]) == (BATCHES, None)


def test_pyarrow_reads_what_is_written_and_the_other_way_round() -> None:
    assert list(pa.ipc.open_stream(DATA)) == BATCHES
    out = io.BytesIO()
    with pa.ipc.new_stream(out, BATCHES[0].schema) as writer:
        for batch in BATCHES:
            writer.write_batch(batch)
    assert read([out.getvalue()]) == (BATCHES, None)


def test_each_batch_comes_as_soon_as_its_last_byte() -> None:
    writer, reader = IpcWriter(pa), IpcReader(pa)

    for batch in BATCHES:
        assert list(reader.feed(b"".join(writer.feed(batch)))) == [batch]


def test_a_stream_that_is_cut_anywhere_is_truncated_behind_the_good_batches() -> None:
    """P5: pyarrow takes one that is cut between two messages for whole."""
    ends = [len(b"".join(IpcWriter(pa).feed(BATCHES[0])))]
    assert len(list(pa.ipc.open_stream(DATA[: ends[0]]))) == 1

    for at in range(len(DATA)):
        batches, error = read([DATA[:at]])
        assert type(error) is TruncatedError
        assert batches == BATCHES[: len(batches)]
    assert len(read([DATA[: ends[0]]])[0]) == 1


def test_data_behind_the_end_is_an_error() -> None:
    for chunks in ([DATA + b"x"], [DATA, b"x"]):
        batches, error = read(chunks)
        assert batches == BATCHES
        assert str(error) == f"byte {len(DATA)}: data goes on behind the end of the Arrow stream"


def test_what_is_no_stream_is_an_error() -> None:
    assert "no message of an Arrow stream" in str(read([b"id,name\n1,2\n"])[1])
    assert "no message" in str(read([b"ARROW1\0\0" + DATA])[1])
    assert "cannot be" in str(read([b"\xff\xff\xff\xff\xff\xff\xff\xff" + DATA])[1])
    assert "cannot be" in str(read([b"\xff\xff\xff\xff\xff\xff\xff\x7f" + DATA])[1])
    assert "metadata of this message is damaged" in str(read([b"\xff\xff\xff\xff\x08\0\0\0" + b"\xff" * 8])[1])


def test_a_second_schema_is_an_error() -> None:
    schema = DATA[: DATA.index(b"\xff\xff\xff\xff", 4)]

    assert "the schema must be the first message" in str(read([schema, schema])[1])
    assert "the schema must be the first message" in str(read([DATA[len(schema) :]])[1])


@given(st.integers(0, len(DATA) - 1), st.integers(0, 255))
def test_damage_never_ends_in_anything_but_batches_or_a_format_error(at: int, byte: int) -> None:
    damaged = DATA[:at] + bytes([byte]) + DATA[at + 1 :]

    for batch in read([damaged])[0]:
        batch.validate(full=True)


def test_a_message_that_is_too_large_is_refused_before_it_has_come() -> None:
    large = pa.record_batch({"n": pa.array(range(10_000))})
    data = written([large])
    batches, error = read([data[:1000]], max_message_bytes=50_000)

    assert (batches, type(error)) == ([], LimitExceeded)
    assert read([data], max_message_bytes=100_000) == ([large], None)


def test_without_batches_there_is_the_schema_that_is_known() -> None:
    assert read([written([], schema=BATCHES[0].schema)]) == ([], None)
    with pytest.raises(FormatError, match="no batch came"):
        written([])


def test_a_batch_with_another_schema_is_refused() -> None:
    other = pa.record_batch({"n": ["a"]})

    with pytest.raises(FormatError, match="batch 2: it has the columns n, not n, s, d"):
        written([BATCHES[0], other])
    with pytest.raises(FormatError, match="batch 1: its schema differs"):
        written([other], schema=pa.schema([("n", pa.int64())]))


def test_tables_are_taken() -> None:
    assert read([written([pa.Table.from_batches(BATCHES[:1])])]) == (BATCHES[:1], None)


@pytest.mark.parametrize("options", [{"schema": "n"}, {"compression": "gzip"}, {"compression": 1}])
def test_options_of_the_writer_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    """F14, P10."""
    with pytest.raises(UsageError, match=next(iter(options))):
        IpcWriter(pa, **options)


def test_options_of_the_reader_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="max_message_bytes"):
        IpcReader(pa, max_message_bytes=0)


def test_items_that_are_no_batches_are_refused() -> None:
    with pytest.raises(UsageError, match=r"items of pyarrow.RecordBatch, not int\."):
        list(IpcWriter(pa).feed(1))
    with pytest.raises(UsageError, match="items of bytes"):
        list(IpcReader(pa).feed("x"))  # type: ignore[arg-type]
