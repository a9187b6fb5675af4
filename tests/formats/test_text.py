"""The text codecs: wherever the chunks are cut, the result is that of the standard library on the whole."""

from __future__ import annotations

import codecs
import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, TruncatedError, UsageError
from streamflow.formats import text
from streamflow.formats.text import Decoder, Encoder
from streamflow.operators.sinks import collect
from streamflow.pipelines import pipeline

SAMPLE = "plain, é ü 😀\u2028\x0b\x0c line\r\nlone \r return\n\nlast"
ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-32",
    "latin-1",
    "cp1252",
    "shift_jis",
    "gb18030",
    "utf-7",
]

cuts = st.lists(st.integers(0, 200), max_size=12)


def chunks_of(data: Any, at: list[int]) -> list[Any]:
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def run(codec: Any, chunks: list[Any]) -> list[Any]:
    return [out for chunk in chunks for out in codec.feed(chunk)] + list(codec.finish())


def outcome(codec: Any, chunks: list[Any]) -> tuple[list[Any], str]:
    """What came out, and the error that ended it."""
    out: list[Any] = []
    try:
        for chunk in chunks:
            out.extend(codec.feed(chunk))
        out.extend(codec.finish())
    except (FormatError, UsageError) as error:
        return out, f"{type(error).__name__}: {error}"
    return out, ""


# --- decode ----------------------------------------------------------------------------------------------------------


@given(st.text(), st.sampled_from(ENCODINGS), cuts)
def test_decoding_equals_the_standard_library_however_the_bytes_are_cut(
    sample: str, encoding: str, at: list[int]
) -> None:
    """L1, H62."""
    data = sample.encode(encoding, "ignore")
    decoded = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)

    assert decoded == "".join(run(Decoder(encoding), chunks_of(data, at)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_decoding_works_at_every_cut_and_byte_by_byte(encoding: str) -> None:
    """L1, C7."""
    data = SAMPLE.encode(encoding)

    for at in range(len(data) + 1):
        assert "".join(run(Decoder(encoding), [data[:at], data[at:]])) == SAMPLE
    assert "".join(run(Decoder(encoding), [data[at : at + 1] for at in range(len(data))])) == SAMPLE


def test_decoding_nothing_gives_nothing() -> None:
    """C7."""
    assert run(Decoder(), []) == []
    assert run(Decoder(), [b"", b""]) == []


def test_a_byte_order_mark_is_skipped_once() -> None:
    """H62."""
    assert "".join(run(Decoder("utf-8"), [b"\xef", b"\xbb\xbf\xef\xbb\xbfa"])) == "\ufeffa"
    assert "".join(run(Decoder("UTF8"), [b"\xef\xbb\xbfa"])) == "a"
    assert "".join(run(Decoder("utf-8"), [b"a\xef\xbb\xbf"])) == "a\ufeff"


@pytest.mark.parametrize("size", range(1, 4))
def test_data_that_ends_inside_a_character_is_truncated(size: int) -> None:
    """H62: without the final call the tail would be lost without a word."""
    with pytest.raises(TruncatedError, match=rf"last {size} byte\(s\), from offset 3 \(line 2\)"):
        run(Decoder(), [b"ab\n", "😀".encode()[:size]])


@pytest.mark.parametrize("half_mark", [b"\xef", b"\xef\xbb"])
def test_half_a_byte_order_mark_is_not_lost(half_mark: bytes) -> None:
    """The standard library's utf-8-sig forgets it."""
    with pytest.raises(TruncatedError, match="offset 0"):
        run(Decoder(), [half_mark])
    assert run(Decoder(errors="replace"), [half_mark]) == ["\ufffd"]


@given(st.binary(max_size=40), cuts)
def test_a_bad_byte_is_named_and_the_text_before_it_delivered(data: bytes, at: list[int]) -> None:
    """H62: the same text and the same message at every cut."""
    whole, whole_error = outcome(Decoder("utf-8"), [data])
    out, error = outcome(Decoder("utf-8"), chunks_of(data, at))

    assert "".join(out) == "".join(whole)
    assert error == whole_error
    try:
        assert "".join(out) == data.decode("utf-8-sig")
    except UnicodeDecodeError:
        assert error
    else:
        assert not error


def test_the_error_for_a_bad_byte_says_where_and_what_to_do() -> None:
    with pytest.raises(FormatError, match=r"byte 0xff .* at byte offset 6 \(line 3\).*utf-8.*errors='replace'"):
        run(Decoder(), [b"a\nb", b"\nxx\xffyy"])


def test_utf_16_without_a_mark_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="BOM"):
        run(Decoder("utf-16"), [b"abcd"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_missing_mark_is_named_also_where_what_follows_is_bad_too(encoding: str) -> None:
    """L1: the standard library complains of whichever its chunks show it first."""
    data = b"a\0\0\0" + b"\x00\xdc\xff\xff" * 2
    errors = {outcome(Decoder(encoding), [data[:at], data[at:]])[1] for at in range(len(data) + 1)}

    assert len(errors) == 1
    assert next(iter(errors)).startswith("FormatError: undecodable bytes (UTF-")
    assert "at byte offset 0 (line 1)" in next(iter(errors))


def test_other_error_handlers_work_across_cuts() -> None:
    data = "é😀".encode()[1:-1] + b"\xff"
    for at in range(len(data)):
        assert "".join(run(Decoder(errors="replace"), [data[:at], data[at:]])) == data.decode(errors="replace")


def test_fuzzed_the_decoder_agrees_with_the_standard_library_or_says_where_it_does_not() -> None:
    """H62: NUL, invalid and cut characters, in several encodings."""
    inputs = 2000
    for seed in range(inputs):
        rng = random.Random(seed)
        encoding = rng.choice(["utf-8", "utf-16", "utf-16-le", "utf-32", "shift_jis", "gb18030"])
        sample = "".join(rng.choices("a\0\n\ré😀\ufeff漢", k=rng.randrange(40)))
        data = bytearray(sample.encode(encoding, "ignore"))
        for _ in range(rng.choice((0, 0, 1, 3))):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        data = data[: len(data) - rng.choice((0, 0, 1))]
        whole, whole_error = outcome(Decoder(encoding), [bytes(data)])
        parts, error = outcome(Decoder(encoding), chunks_of(bytes(data), rng.choices(range(len(data) + 1), k=5)))

        assert ("".join(parts), error) == ("".join(whole), whole_error)
        try:
            # The decoder of the whole would guess the order of bytes where there is no mark.
            incremental = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
            expected = incremental.decode(data, final=True)
        except UnicodeError:
            assert whole_error
        else:
            assert ("".join(whole), whole_error) == (expected, "")
    print(f"text.decode: {inputs} inputs tried")  # noqa: T201  # shown by `pytest -s`


# --- encode ----------------------------------------------------------------------------------------------------------


# Not utf-7: its encoder in the standard library may close a shift sequence earlier, so equal text has several forms.
@given(st.text(), st.sampled_from([*ENCODINGS[:-1], "iso2022_jp"]), cuts)
def test_encoding_equals_the_standard_library_however_the_text_is_cut(
    sample: str, encoding: str, at: list[int]
) -> None:
    """L1: one byte order mark only, shift sequences closed."""
    encodable = sample.encode(encoding, "ignore").decode(encoding)

    assert encodable.encode(encoding) == b"".join(run(Encoder(encoding), chunks_of(encodable, at))) or not encodable


def test_a_character_that_cannot_be_written_is_named_after_the_text_before_it() -> None:
    encoder = Encoder("ascii")
    out = list(encoder.feed("ab\n"))
    rest = iter(encoder.feed("cé"))

    assert [*out, next(rest)] == [b"ab\n", b"c"]
    with pytest.raises(FormatError, match=r"U\+00E9 at character 4 \(line 2\) cannot be written in ascii"):
        next(rest)


@pytest.mark.parametrize("make", [text.decode, text.encode])
@pytest.mark.parametrize("encoding", ["no-such", "hex", "rot13", 7])
def test_encodings_that_are_none_are_refused_at_once(make: Any, encoding: Any) -> None:
    with pytest.raises(UsageError, match="encoding="):
        make(encoding)


@pytest.mark.parametrize("make", [text.decode, text.encode])
def test_error_handlers_that_are_none_are_refused_at_once(make: Any) -> None:
    with pytest.raises(UsageError, match="errors='repalce'"):
        make(errors="repalce")


def test_the_wrong_kind_of_item_is_refused_with_advice() -> None:
    with pytest.raises(UsageError, match=r"text.decode takes items of bytes, not str. Put text.encode\(\) before it"):
        Decoder().feed("text")  # type: ignore[arg-type]  # the mistake is the point
    with pytest.raises(UsageError, match=r"text.encode takes items of str, not bytes. Put text.decode\(\) before it"):
        Encoder().feed(b"bytes")  # type: ignore[arg-type]  # the mistake is the point


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, float("inf")])
def test_limits_that_cannot_be_are_refused(limit: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match="max_length"):
        text.lines(limit)


async def test_the_stages_work_by_hand() -> None:
    async def source() -> Any:
        for chunk in (b"\xef\xbb\xbfone\r", b"\ntw", b"o"):
            yield chunk

    stages = text.lines()(text.decode()(source()))

    assert [line async for line in stages] == ["one", "two"]
    assert (text.decode().name, text.encode().name, text.lines().name) == ("text.decode", "text.encode", "text.lines")


# --- split and join --------------------------------------------------------------------------------------------------


async def test_what_join_writes_split_reads_back() -> None:
    items = ["one", "", "two; three", "last"]

    assert items == await pipeline(items, text.join("||"), text.split("||"), collect())
    assert items == await pipeline(items, text.join(), text.encode(), text.decode(), text.lines(), collect())


def test_options_of_split_and_join_are_refused_when_the_stage_is_made() -> None:
    """F14."""
    with pytest.raises(UsageError, match="delimiter=''"):
        text.split("")
    with pytest.raises(UsageError, match="max_length"):
        text.split(";", max_length=0)
    with pytest.raises(UsageError, match="end=''"):
        text.join("")
    assert (text.split(";").name, text.join().name) == ("text.split", "text.join")
