"""Texts to items of a type, with those that are refused in their places."""

from __future__ import annotations

import dataclasses
from typing import Any

import pydantic
import pytest

from streamflow.errors import MissingExtra, UsageError
from streamflow.formats.json_decoder import Decoder, Refused
from tests.formats.json_cases import library

__all__ = ["library"]


class Model(pydantic.BaseModel):
    id: int


@dataclasses.dataclass
class Data:
    id: int

    def __post_init__(self) -> None:
        if self.id == 7:
            raise KeyError("mine")


def items(decoder: Decoder, *texts: bytes) -> list[Any]:
    out: list[Any] = []
    for some in decoder.items(list(texts)):
        out += [(some.at, some.text)] if isinstance(some, Refused) else some
    return out


def test_texts_that_are_refused_stand_in_their_places(library: str) -> None:
    decoder = Decoder(Any, "json.parse_lines")
    assert items(decoder, b"1", b"x", b"2", b"", b"y", b"3") == [1, (1, b"x"), 2, (3, b""), (4, b"y"), 3]
    assert items(decoder) == []
    assert items(decoder, b"x") == [(0, b"x")]


def test_blank_texts_are_skipped_on_request(library: str) -> None:
    decoder = Decoder(Any, "json.parse_lines", blanks=True)
    assert items(decoder, b"", b"1\n", b" \t\r\n", b"\x0c", b"2", b"\n") == [1, (3, b"\x0c"), 2]


@pytest.mark.parametrize("sign", [b"", b"-"])
def test_the_longest_integers_are_read_with_each_library(library: str, sign: bytes) -> None:
    """msgspec counts the sign as a digit."""
    text = sign + b"1" * 4300
    assert items(Decoder(Any, "json.parse_lines"), b"0", text, b"2") == [0, int(text), 2]
    assert items(Decoder(Any, "json.parse_lines"), text + b"1") == [(0, text + b"1")]


def test_each_type_is_made_by_its_library() -> None:
    assert items(Decoder(Data, "w"), b'{"id":1}', b'{"id":"1"}') == [Data(1), (1, b'{"id":"1"}')]
    assert items(Decoder(Model, "w"), b'{"id":1}', b'{"id":"x"}') == [Model(id=1), (1, b'{"id":"x"}')]
    assert items(Decoder(object, "w"), b"1") == [1]


def test_an_error_of_the_user_s_own_code_stays_bare_after_the_items_before_it() -> None:
    out: list[Any] = []
    with pytest.raises(KeyError, match="mine"):
        out.extend(Decoder(Data, "w").items([b'{"id":1}', b'{"id":7}', b'{"id":2}']))
    assert out == [[Data(1)]]


@pytest.mark.parametrize("kind", [5, "x", dict[int, int] | dict[str, int]])
def test_types_that_are_none_are_refused(kind: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match=r"json.parse_lines.* cannot make items of"):
        Decoder(kind, "json.parse_lines")


def test_types_need_msgspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamflow.formats.json_library._installed", lambda: None)
    with pytest.raises(MissingExtra, match=r"json.parse_lines\(type=Data\) needs msgspec"):
        Decoder(Data, "json.parse_lines")
    assert items(Decoder(Model, "w"), b'{"id":1}') == [Model(id=1)]
