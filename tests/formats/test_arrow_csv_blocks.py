"""Where rows of CSV end: the blocks are those of a scan of each character, and the same however the data is cut."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, LimitExceeded, TruncatedError
from streamflow.formats.arrow_csv_blocks import BadQuoteError, Block, Grammar, RowBlocks

GRAMMAR = Grammar(b",", b'"')
PIECES = ["a", "ä", "1", ",", ",", '"', '"', '""', "\n", "\n", "\r\n", "\r"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def blocks_of(chunks: Iterable[bytes], size: int, grammar: Grammar = GRAMMAR) -> tuple[list[Block], Exception | None]:
    cutter = RowBlocks(grammar, size)
    blocks: list[Block] = []
    try:
        for chunk in chunks:
            blocks.extend(cutter.feed(chunk))
        blocks.extend(cutter.finish())
    except FormatError as error:
        return blocks, error
    return blocks, None


def outcome(chunks: Iterable[bytes], size: int) -> tuple[list[Block], str]:
    blocks, error = blocks_of(chunks, size)
    return blocks, f"{type(error).__name__}: {error}"


def row_ends(data: bytes) -> list[int] | None:
    """Scan character by character. `None` for a field that goes on behind its closing quote."""
    ends, state = [], "start"
    for at, byte in enumerate(data):
        character = bytes([byte])
        if state == "inside":
            state = "closing" if character == b'"' else "inside"
        elif character == b'"' and state in ("start", "closing"):
            state = "inside"
        elif character in b",\r\n":
            state = "start"
            if character == b"\n" or (character == b"\r" and data[at + 1 : at + 2] not in (b"\n", b"")):
                ends.append(at + 1)
        elif state == "closing":
            return None
        else:
            state = "field"
    return ends


@given(TEXTS)
def test_rows_end_where_a_scan_of_each_character_finds_it(text: str) -> None:
    data = text.encode()
    ends = row_ends(data)
    if ends is None:
        with pytest.raises(BadQuoteError):
            GRAMMAR.last_end(data)
    else:
        assert GRAMMAR.last_end(data) == max(ends, default=0)
        assert [end for _, end in GRAMMAR.rows(data)] == ends


@given(TEXTS, st.integers(1, 30), st.data())
def test_blocks_do_not_depend_on_how_the_data_was_cut(text: str, size: int, data: st.DataObject) -> None:
    """L1."""
    whole = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    chunks = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    assert outcome(chunks, size) == outcome([whole], size)
    assert outcome([whole[at : at + 1] for at in range(len(whole))], size) == outcome([whole], size)


@given(TEXTS, st.integers(1, 30))
def test_blocks_are_all_the_data_and_name_their_lines(text: str, size: int) -> None:
    whole = text.encode()
    blocks, error = blocks_of([whole], size)
    together = b"".join(block.data for block in blocks)

    assert whole.startswith(together)
    assert error is not None or together == whole
    at = 0
    for block in blocks:
        assert len(block.data) <= size
        assert block.line == 1 + len(whole[:at].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")) - 1
        at += len(block.data)


def test_a_newline_in_quotes_ends_no_row() -> None:
    """H62."""
    blocks, error = blocks_of([b'1,"a\nb"\n2,c\n3,', b'"d\n"\n'], 11)

    assert error is None
    assert blocks == [(b'1,"a\nb"\n', 1), (b'2,c\n3,"d\n"\n', 3)]


def test_a_quote_inside_a_field_without_quotes_is_a_character() -> None:
    blocks, error = blocks_of([b'5" pipe,1\n6" pipe,"2\n3"\n'], 15)

    assert blocks == [(b'5" pipe,1\n', 1), (b'6" pipe,"2\n3"\n', 2)]
    assert error is None


def test_data_that_ends_inside_quotes_is_truncated() -> None:
    """P5: pyarrow itself takes it for whole."""
    blocks, error = blocks_of([b'a,b\n1,2\n3,"x\ny'], 100)

    assert blocks == [(b"a,b\n1,2\n", 1)]
    assert isinstance(error, TruncatedError)
    assert "the quote opened on line 3" in str(error)


@pytest.mark.parametrize(
    ("end", "closed"), [(b'"', False), (b'""', True), (b'"""', False), (b'""""', True), (b'"a""', False)]
)
def test_quotes_at_the_very_end_are_counted(end: bytes, closed: bool) -> None:
    _, error = blocks_of([b"1," + end], 100)

    assert isinstance(error, TruncatedError) is not closed


def test_a_field_closed_too_early_is_an_error_behind_the_good_rows() -> None:
    blocks, error = blocks_of([b'1,2\n"x\n"y,3\n4,5\n'], 100)

    assert blocks == [(b"1,2\n", 1)]
    assert type(error) is FormatError
    assert str(error).startswith("line 3: a field in quotes goes on behind the closing")


def test_the_first_of_two_faults_counts() -> None:
    _, error = blocks_of([b'1,2\n"x"y,3\n4,"5\n'], 100)

    assert type(error) is FormatError


def test_a_row_longer_than_a_block_is_refused_with_its_quote() -> None:
    """H62: a stray quote."""
    blocks, error = blocks_of([b'1,2\n"' + b"x,y\n" * 100], 32)

    assert blocks == [(b"1,2\n", 1)]
    assert isinstance(error, LimitExceeded)
    assert "starts on line 2" in str(error)
    assert "the quote opened on line 2 is open" in str(error)
    assert isinstance(blocks_of([b"x" * 100], 32)[1], LimitExceeded)


def test_a_byte_order_mark_is_skipped_once() -> None:
    for size in (4, 100):
        blocks, _ = blocks_of([b"\xef", b"\xbb", b"\xbf1,2\n", b"3,4\n"], size)
        assert b"".join(block.data for block in blocks) == b"1,2\n3,4\n"


def test_rows_with_very_many_newlines_in_quotes_are_found_too() -> None:
    """Beyond what the expression tries."""
    row = b",".join([b'"a\nb"'] * 50)

    assert GRAMMAR.last_end(b"1\n" + row + b"\n" + row) == 3 + len(row)
    assert GRAMMAR.last_end(b"1\n" + row) == 2


def test_without_quotes_every_newline_ends_a_row() -> None:
    assert blocks_of([b'"a\nb"\n'], 4, Grammar(b",", b"")) == ([(b'"a\n', 1), (b'b"\n', 2)], None)
