"""What type checkers see of the formats, and of reading and writing by address. Never run."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, TypedDict, assert_type

import streamflow as sf

# --- what users write --------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Order:
    id: int
    price: float


class Named(TypedDict):
    id: int


class Pair(NamedTuple):
    id: int
    name: str


data = [b"id,price\n", b"1,9.5\n"]
words = ["one", "two"]


def total(order: Order) -> float:
    return order.price


# --- rows --------------------------------------------------------------------------------------------------------


async def csv() -> None:
    assert_type(await sf.pipeline(data, sf.csv.parse(), sf.collect()), list[dict[str, Any]])
    assert_type(await sf.pipeline(data, sf.csv.parse(header=["id"], rows="dicts"), sf.collect()), list[dict[str, Any]])
    assert_type(await sf.pipeline(data, sf.csv.parse(rows="lists"), sf.collect()), list[list[Any]])
    assert_type(await sf.pipeline(data, sf.csv.parse(header=False), sf.collect()), list[list[Any]])
    assert_type(await sf.pipeline(data, sf.csv.parse(rows=Order), sf.collect()), list[Order])
    assert_type(await sf.pipeline(data, sf.csv.parse(rows=Named), sf.collect()), list[Named])
    assert_type(await sf.pipeline(data, sf.csv.parse(rows=Pair, dialect="sniff"), sf.collect()), list[Pair])
    assert_type(await sf.pipeline(words, sf.csv.parse(rows=Order), sf.map(total), sf.collect()), list[float])
    assert_type(await sf.pipeline([{"id": 1}], sf.csv.format(), sf.collect()), list[bytes])
    assert_type(
        await sf.pipeline(data, sf.csv.parse(rows=Order, bad=sf.skip_errors(budget=3), max_columns=9), sf.collect()),
        list[Order],
    )

    sf.csv.parse(rows=Order, max_columns="9")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    sf.csv.parse(rows="tuples")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    sf.csv.parse(header=False, rows=Order)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def json() -> None:
    assert_type(await sf.pipeline(data, sf.json.parse_lines(), sf.collect()), list[Any])
    assert_type(await sf.pipeline(data, sf.json.parse_lines(type=Order), sf.collect()), list[Order])
    assert_type(await sf.pipeline(words, sf.json.parse_lines(type=Named), sf.collect()), list[Named])
    assert_type(await sf.pipeline(data, sf.json.parse_array(), sf.collect()), list[Any])
    assert_type(await sf.pipeline(data, sf.json.parse_array(type=Order), sf.map(total), sf.collect()), list[float])
    assert_type(await sf.pipeline([Order(1, 9.5)], sf.json.format_lines(), sf.collect()), list[bytes])
    assert_type(await sf.pipeline([Order(1, 9.5)], sf.json.format_array(), sf.collect()), list[bytes])
    # A union is no type to a checker, so what it is must be said.
    either: list[Order | Named] = await sf.pipeline(data, sf.json.parse_lines(type=Order | Named), sf.collect())
    assert either

    sf.json.parse_lines(type=Order, max_item_bytes=9)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def arrow(path: str) -> None:
    assert_type(sf.stream(data).through(sf.arrow.parse_csv()).through(sf.arrow.to_rows()), sf.Stream[dict[str, Any]])
    assert_type(
        sf.stream(data).through(sf.arrow.read_ipc()).through(sf.arrow.to_rows("tuples")), sf.Stream[tuple[Any, ...]]
    )
    assert_type(sf.stream(data).through(sf.arrow.parse_csv()).through(sf.arrow.format_csv()), sf.Stream[bytes])
    assert_type(
        sf.stream([Order(1, 9.5)]).through(sf.arrow.from_rows()).through(sf.arrow.write_parquet()), sf.Stream[bytes]
    )
    assert_type(
        sf.stream(sf.threaded(sf.arrow.read_parquet(path))).through(sf.arrow.write_ipc(compression="zstd")),
        sf.Stream[bytes],
    )


# --- text and frames ---------------------------------------------------------------------------------------------


async def text() -> None:
    assert_type(await sf.pipeline(data, sf.text.decode(), sf.text.lines(), sf.collect()), list[str])
    assert_type(await sf.pipeline(data, sf.text.lines(), sf.collect()), list[bytes])
    assert_type(await sf.pipeline(words, sf.text.lines(keepends=True), sf.collect()), list[str])
    assert_type(sf.stream(data).through(sf.text.lines()), sf.Stream[bytes])
    assert_type(await sf.pipeline(data, sf.text.split(b"\0"), sf.collect()), list[bytes])
    assert_type(await sf.pipeline([bytearray(9)], sf.text.split(b"\0"), sf.collect()), list[bytes])
    assert_type(await sf.pipeline(words, sf.text.split(";"), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.text.join(), sf.collect()), list[str])
    assert_type(await sf.pipeline(data, sf.text.join("\r\n"), sf.collect()), list[bytes])
    assert_type(await sf.pipeline(data, sf.text.join(b"\n", inside="keep"), sf.collect()), list[bytes])
    assert_type(sf.stream(data).through(sf.text.join(b"\0")), sf.Stream[bytes])
    assert_type(await sf.pipeline(words, sf.text.join("\n"), sf.text.encode(), sf.collect()), list[bytes])
    assert_type(sf.stream(words).through(sf.text.join()).through(sf.text.encode("latin-1")), sf.Stream[bytes])
    # One stage for both: lines of bytes, and lines of text, in one expression.
    assert_type(
        await sf.pipeline(data, sf.text.lines(), sf.text.join(), sf.text.decode(), sf.text.lines(), sf.collect()),
        list[str],
    )
    assert_type(await sf.pipeline(data, sf.text.lines(), sf.map(bytes.upper), sf.collect()), list[bytes])

    sf.stream(data).through(sf.text.split(";"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.stream(words).through(sf.text.join(b";"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.stream(words).through(sf.text.decode())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.stream([1]).through(sf.text.lines())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def frames() -> None:
    assert_type(await sf.pipeline(data, sf.frames.parse(), sf.collect()), list[bytes])
    assert_type(await sf.pipeline([bytearray(9)], sf.frames.format("varint", max_frame=9), sf.collect()), list[bytes])

    sf.frames.parse("u24be")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.stream(words).through(sf.frames.format())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- bytes -------------------------------------------------------------------------------------------------------


def compressed() -> None:
    packed = sf.stream(data)
    assert_type(packed.through(sf.gzip.compress(threads=2)).through(sf.gzip.decompress()), sf.Stream[bytes])
    assert_type(packed.through(sf.zstd.compress(threads=2)).through(sf.zstd.decompress()), sf.Stream[bytes])
    assert_type(packed.through(sf.bz2.compress()).through(sf.bz2.decompress(max_ratio=None)), sf.Stream[bytes])
    assert_type(packed.through(sf.xz.compress(3)).through(sf.xz.decompress(trailing="ignore")), sf.Stream[bytes])
    assert_type(packed.through(sf.zlib.compress()).through(sf.zlib.decompress()), sf.Stream[bytes])
    assert_type(packed.through(sf.deflate.compress()).through(sf.deflate.decompress()), sf.Stream[bytes])
    assert_type(packed.through(sf.compression.decompress(plain="pass")), sf.Stream[bytes])

    sf.stream(words).through(sf.zstd.compress())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.gzip.compress("9")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def checksums() -> None:
    digest = sf.Digest()
    assert_type(await sf.pipeline(data, sf.checksum("crc32", into=digest), sf.collect()), list[bytes])
    assert_type(sf.stream(data).through(sf.checksum(expected=b"")), sf.Stream[bytes])
    assert_type(digest.value, str | None)

    sf.checksum("sha3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- addresses ---------------------------------------------------------------------------------------------------


async def addresses() -> None:
    assert_type(sf.read("orders.csv"), sf.Stream[Any])
    assert_type(sf.read(["a.parquet", "b.parquet"], batches=True, concurrency=2), sf.Stream[Any])
    assert_type(sf.read("s3://bucket/*.csv.gz", rows=Order, endpoint="http://localhost:9000"), sf.Stream[Order])
    assert_type(await sf.read("orders.jsonl", rows=Named).collect(), list[Named])
    assert_type(sf.read("orders.csv", rows=Order).map(total), sf.Stream[float])
    assert_type(await sf.pipeline(sf.read("orders.csv", rows=Order), sf.collect()), list[Order])
    assert_type(sf.write("orders.parquet"), sf.Sink[Any, Any])
    # `Any`, said so: what was written depends on the place.
    outcome: object = await sf.read("orders.csv", rows=Order).to(sf.write("orders.jsonl.zst")).run()
    assert outcome

    sf.read(9)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    sf.read("a.csv", rows=Order, batches=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
