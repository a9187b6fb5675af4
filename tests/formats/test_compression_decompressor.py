"""The one decompressor, with every format: equal to its library; every cut, damage and bomb is visible."""

from __future__ import annotations

import collections
import random
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats.compression_members import OUTPUT
from tests.formats.compressed import KINDS, ROWS, Kind, chunks_of, every_kind, run, thorough

pytestmark = pytest.mark.slow

several = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.several], ids=lambda kind: kind.name)
cuts = st.lists(st.integers(0, 300), max_size=8)


# --- equal to the library --------------------------------------------------------------------------------------------


@every_kind
@given(data=st.binary(max_size=300), at=cuts)
def test_a_part_is_what_its_library_reads(kind: Kind, data: bytes, at: list[int]) -> None:
    """L1."""
    packed = kind.pack(data)

    assert run(kind.module.Decompressor(), *chunks_of(packed, at)) == kind.unpack(packed) == data


@several
@given(parts=st.lists(st.binary(max_size=60), min_size=1, max_size=4), at=cuts)
def test_parts_one_after_the_other_are_what_the_library_reads(kind: Kind, parts: list[bytes], at: list[int]) -> None:
    """L1, H59."""
    packed = b"".join(map(kind.pack, parts))

    assert run(kind.module.Decompressor(), *chunks_of(packed, at)) == kind.unpack(packed) == b"".join(parts)


@every_kind
def test_every_cut_and_byte_by_byte_give_the_same(kind: Kind) -> None:
    """L1, C7."""
    zeros = bytes(2 * kind.padding)
    packed, expected = kind.pack(b"one" * 30), b"one" * 30
    if kind.several:
        packed, expected = packed + zeros + kind.pack(b"") + kind.pack(b"two") + zeros, expected + b"two"
    make = kind.module.Decompressor

    for at in range(len(packed) + 1):
        assert run(make(), packed[:at], packed[at:]) == expected
    assert run(make(), *(packed[at : at + 1] for at in range(len(packed)))) == expected
    assert run(make(), bytearray(packed[:9]), b"", memoryview(packed)[9:]) == expected


@every_kind
@pytest.mark.parametrize("size", [1000, 70_000])
def test_long_data_is_the_same_however_it_is_cut(kind: Kind, size: int) -> None:
    """L1."""
    packed = kind.pack(ROWS)
    rng = random.Random(size)
    at = sorted(rng.randrange(len(packed)) for _ in range(len(packed) // size))

    assert run(kind.module.Decompressor(), *chunks_of(packed, at)) == ROWS


@every_kind
@pytest.mark.parametrize("size", [OUTPUT - 1, OUTPUT, OUTPUT + 1, 2 * OUTPUT, 3 << 20])
def test_output_that_fills_the_pieces_exactly_is_whole_before_the_end(kind: Kind, size: int) -> None:
    """What a library still holds is asked for at once, not with the next chunk."""
    data = random.Random(size).randbytes(size // 8) + bytes(size - size // 8)
    decompressor = kind.module.Decompressor(max_ratio=None)

    assert b"".join(decompressor.feed(kind.pack(data))) == data
    assert list(decompressor.finish()) == []


# --- cut, damaged, followed by something else ------------------------------------------------------------------------


@every_kind
def test_a_cut_at_every_byte_is_truncation(kind: Kind) -> None:
    """H59, P5."""
    packed = kind.pack(b"row,of,text\n" * 40)

    for size in range(1, len(packed)):
        with pytest.raises(TruncatedError, match=f"the {kind.name} data ends inside .* 1, after {size} bytes"):
            run(kind.module.Decompressor(), packed[:size])
    if kind.several:
        for size in range(1, len(packed)):
            with pytest.raises(TruncatedError, match=f"ends inside .* 2, after {len(packed) + size} bytes"):
                run(kind.module.Decompressor(), packed, packed[:size])


@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.name)
def test_no_data_at_all_is_truncation(kind: Kind) -> None:
    """P5, C7: for gzip alone it is good, as its tools have it."""
    with pytest.raises(TruncatedError, match=f"there is no {kind.name} data"):
        run(kind.module.Decompressor(), b"")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.checked], ids=lambda kind: kind.name)
def test_every_wrong_byte_is_damage_or_leaves_the_data_as_it_was(kind: Kind) -> None:
    """H59: there are bytes that no reader uses (a time, a hint); none may change the data in silence."""
    data = b"".join(b"%d row\n" % n for n in range(40))
    packed = kind.pack(data)
    found = {True: 0, False: 0}

    for place in range(len(packed)):
        for wrong in (packed[place] ^ 1, packed[place] ^ 0x80, 0, 0xFF):
            damaged = packed[:place] + bytes((wrong,)) + packed[place + 1 :]
            try:
                assert run(kind.module.Decompressor(), damaged) == data
            except FormatError:
                found[True] += 1
            else:
                found[False] += damaged != packed
    assert found[True] > 10 * found[False]


def damaged_in_the_middle(kind: Kind, data: bytes) -> tuple[bytes, int]:
    """Return compressed data and where it stops making sense."""
    if kind.name in {"gzip", "zlib", "deflate"}:
        compressor = kind.compressor()
        good = compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)
        return good + b"\xff" * 1000, len(good)
    packed = bytearray(kind.pack(data * 2))
    middle = len(packed) // 2
    packed[middle : middle + 300_000] = b"\xff" * 300_000
    return bytes(packed), middle


@pytest.mark.slow
@every_kind
def test_damage_names_the_place_and_comes_behind_what_is_good(kind: Kind) -> None:
    """P3."""
    data = random.Random(1).randbytes(1 << 20).hex().encode()
    packed, place = damaged_in_the_middle(kind, data)
    decompressor = kind.module.Decompressor()
    good = bytearray()

    with pytest.raises(FormatError, match=f"the {kind.name} data is damaged in .* 1, near byte") as caught:
        collections.deque(map(good.extend, decompressor.feed(packed)), maxlen=0)
    near = int(str(caught.value).partition("near byte ")[2].partition(":")[0])
    assert abs(near - place) <= (450_000 if kind.name == "bz2" else 200_000)  # bz2: a block has its checksum behind it
    assert len(good) > 1_000_000
    assert data.startswith(bytes(good[:1_000_000]))


@pytest.mark.parametrize("kind", KINDS[-3:], ids=lambda kind: kind.name)
def test_damage_in_what_a_library_took_and_has_not_used_is_near_where_that_began(kind: Kind) -> None:
    packed = bytearray(kind.pack(random.Random(1).randbytes(300) + bytes(2 << 20)))
    packed[-12] ^= 0xFF if kind.name == "xz" else 0
    packed[-1 if kind.name == "zstd" else -6] ^= 0xFF
    decompressor = kind.module.Decompressor()

    with pytest.raises(FormatError, match="near byte 0: "):
        run(decompressor, bytes(packed))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "deflate"], ids=lambda kind: kind.name)
@pytest.mark.parametrize("data", [b"hello world", b"\0\0\0\0", b"PK\x03\x04", b"\xff" * 9])
def test_what_is_not_the_format_is_an_error(kind: Kind, data: bytes) -> None:
    for at in range(len(data)):
        with pytest.raises(FormatError, match=f"this is not {kind.name} data: it starts with"):
            run(kind.module.Decompressor(), data[:at], data[at:])


@every_kind
@pytest.mark.parametrize("garbage", [b"garbage!", b"\xff", b"g" * 70_000])
def test_something_else_behind_the_parts_is_an_error_or_ignored(kind: Kind, garbage: bytes) -> None:
    """H59."""
    packed = kind.pack(b"rows")
    make = kind.module.Decompressor

    for at in range(len(packed) + 2):
        chunks = chunks_of(packed + garbage, [at])
        with pytest.raises(FormatError, match=rf"after .* 1 .* at byte {len(packed)}.*trailing='ignore'"):
            run(make(), *chunks)
        assert run(make(trailing="ignore"), *chunks, b"more") == b"rows"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.several], ids=lambda kind: kind.name)
def test_a_second_part_is_something_else_where_there_may_be_one_only(kind: Kind) -> None:
    packed = kind.pack(b"rows")

    with pytest.raises(FormatError, match=f"after stream 1 of the {kind.name} data, at byte {len(packed)}"):
        run(kind.module.Decompressor(), packed * 2)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.padding], ids=lambda kind: kind.name)
def test_zeros_are_no_padding_where_the_format_has_none(kind: Kind) -> None:
    with pytest.raises(FormatError, match="something else"):
        run(kind.module.Decompressor(), kind.pack(b"rows") + bytes(4))


# --- fuzzed ----------------------------------------------------------------------------------------------------------


def mutated(rng: random.Random, packed: bytes) -> bytes:
    """Cut, repeat, overwrite and insert at random places."""
    data = bytearray(packed)
    for _ in range(rng.randrange(1, 5)):
        at, size = rng.randrange(len(data) + 1), rng.randrange(1, 9)
        match rng.randrange(4):
            case 0:
                del data[at : at + size]
            case 1:
                data[at : at + size] = rng.randbytes(size)
            case 2:
                data[at:at] = rng.randbytes(size)
            case _:
                data[at:at] = data[rng.randrange(len(data) + 1) :][:64]
    return bytes(data)


def fuzzed(kind: Kind, seed: int) -> None:
    """One input: it is read, as its library reads it, or ends in a named error; the same way in two chunks."""
    rng = random.Random(seed)
    packed = kind.pack(rng.randbytes(rng.randrange(40)) + b"row\n" * rng.randrange(40))
    data = mutated(rng, packed) if seed % 8 else rng.randbytes(rng.randrange(80))
    if seed % 8 == 1:
        data = packed[:10] + rng.randbytes(30)
    at = rng.randrange(len(data) + 1)

    def outcome(*chunks: bytes) -> Any:
        try:
            return run(kind.module.Decompressor(max_output_bytes=1 << 20), *chunks)
        except FormatError as error:
            return type(error)

    found = outcome(data)
    assert found == outcome(data[:at], data[at:])
    if isinstance(found, bytes):
        assert found == kind.unpack(data)


@pytest.mark.slow
@every_kind
def test_any_input_is_read_or_ends_in_a_named_error(kind: Kind) -> None:
    """L1."""
    inputs = 5_000
    for seed in range(inputs):
        fuzzed(kind, seed)
    print(f"{kind.name}: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`


@thorough
@pytest.mark.slow
@every_kind
def test_many_inputs_are_read_or_end_in_a_named_error(kind: Kind) -> None:
    """L1."""
    inputs = 200_000
    for seed in range(inputs):
        fuzzed(kind, seed)
    print(f"{kind.name}: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`


# --- limits ----------------------------------------------------------------------------------------------------------


def lazy_bomb(kind: Kind, size: int) -> Iterator[bytes]:
    """Yield, piece by piece, what expands to `size` zeros."""
    compressor = kind.compressor()
    zeros = bytes(1 << 20)
    for _ in range(size >> 20):
        if packed := compressor.compress(zeros):
            yield packed
    yield compressor.flush()


@pytest.mark.slow
@every_kind
def test_a_bomb_needs_little_memory(kind: Kind) -> None:
    """H60: taken as one chunk. What the library itself takes is counted too, except for zstd, which hides it."""
    size = 32 << 20
    bomb = b"".join(lazy_bomb(kind, size))
    tracemalloc.start()
    try:
        expanded = sum(map(len, kind.module.Decompressor(max_ratio=None).feed(bomb)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert expanded == size
    assert peak < 8 << 20


EXPAND = """
import resource, sys
from tests.formats.compressed import KINDS
from tests.formats.test_compression_decompressor import lazy_bomb

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

kind = next(kind for kind in KINDS if kind.name == sys.argv[1])
bomb = open(sys.argv[2], "rb")
size, before = 0, peak()
decompressor = kind.module.Decompressor(max_ratio=None)
for chunk in iter(lambda: bomb.read(1 << 20), b""):
    for piece in decompressor.feed(chunk):
        size += len(piece)
list(decompressor.finish())
print(size, peak() - before)
"""


@thorough
@pytest.mark.slow
@every_kind
def test_a_bomb_of_ten_gibibytes_expands_in_less_than_eight_mebibytes(kind: Kind, tmp_path: Any) -> None:
    """H60: the memory of the process, with all that the libraries take."""
    with (tmp_path / "bomb").open("wb") as file:
        file.writelines(lazy_bomb(kind, 10 << 30))
    command = [sys.executable, "-c", EXPAND, kind.name, str(tmp_path / "bomb")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    size, kibibytes = map(int, ended.stdout.split())

    assert size == 10 << 30
    assert kibibytes < 8 * 1024


@pytest.mark.slow
@every_kind
def test_a_bomb_is_stopped_by_its_ratio(kind: Kind) -> None:
    """H60: also behind ordinary data, because the ratio is judged over a window and not over the whole."""
    decompressor = kind.module.Decompressor()
    pieces = (len(piece) for chunk in lazy_bomb(kind, 10 << 30) for piece in decompressor.feed(chunk))
    sizes: list[int] = []

    with pytest.raises(LimitExceeded, match=r"expands [1-9]\d\d+ times .* max_ratio=200.*bomb"):
        sizes.extend(pieces)
    assert 0 < sum(sizes) <= 64 << 20


@several
def test_a_bomb_of_many_parts_behind_ordinary_data_is_stopped_too(kind: Kind) -> None:
    """H60."""
    packed = kind.pack(random.Random(1).randbytes(1 << 20)) + kind.pack(bytes(1 << 20)) * 64
    decompressor = kind.module.Decompressor()

    with pytest.raises(LimitExceeded, match="max_ratio=200"):
        run(decompressor, packed)
    assert len(run(kind.module.Decompressor(max_ratio=None), packed)) == 65 << 20


@every_kind
def test_ordinary_data_is_no_bomb(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little is judged at once, and although a library takes more input than it has used."""
    monkeypatch.setattr("streamflow.formats.compression_limits.RATIO_WINDOW", 1 << 15)
    packed = kind.pack(ROWS)
    ratio = len(ROWS) / len(packed)

    assert run(kind.module.Decompressor(max_ratio=3 * ratio), packed) == ROWS


@every_kind
@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
def test_max_output_bytes_is_exact(kind: Kind, size: int, fits: bool) -> None:
    """H60."""
    packed = kind.pack(b"x" * size)
    decompressor = kind.module.Decompressor(max_output_bytes=1000)
    if fits:
        assert len(run(decompressor, packed)) == size
    else:
        with pytest.raises(LimitExceeded, match="more than max_output_bytes=1000"):
            run(decompressor, packed)


@every_kind
def test_text_is_refused_with_advice(kind: Kind) -> None:
    with pytest.raises(UsageError, match=rf"{kind.name}.decompress takes items of bytes, not str"):
        list(kind.module.Decompressor().feed("text"))
