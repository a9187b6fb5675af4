"""What is wrong with a JSON text, in the same words whichever library refused it."""

from __future__ import annotations

import msgspec
import pydantic
import pytest

from streamflow.formats.json_faults import BAD, fault_of, path_of
from streamflow.formats.json_plain import loads


class Model(pydantic.BaseModel):
    a: list[int]


def refused(decode: object, text: bytes) -> Exception:
    assert callable(decode)
    with pytest.raises(BAD) as caught:
        decode(text)
    return caught.value


READERS = [loads, msgspec.json.decode, pydantic.TypeAdapter(Model).validate_json]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "line", "column", "cut"),
    [
        (b'{"a": x}', 1, 7, False),
        (b'{"a":\n [1,\n  x]}', 3, 3, False),
        ('{"é😀": x}'.encode(), 1, 8, False),
        (b'{"a": 1', 1, 8, True),
        (b'{"a": "x', 1, 7, True),
        (b'{"a": tr', 1, 7, True),
        (b'{"a": "\\u00', 1, 9, True),
        (b'{"a": "\\u00x"}', 1, 9, False),
        (b'{"a": "\xc3', 1, 8, True),
        (b'{"a":\n"\xff"}', 2, 2, False),
    ],
)
def test_the_place_is_the_same_with_each_library(read: object, text: bytes, line: int, column: int, cut: bool) -> None:
    fault = fault_of(refused(read, text), text)
    assert (fault.line, fault.column, fault.cut, fault.deep) == (line, column, cut, False)


@pytest.mark.parametrize("read", READERS[:2])
def test_deep_nesting_is_told_apart(read: object) -> None:
    text = b"[" * 200_000
    assert fault_of(refused(read, text), text).deep


def test_values_of_the_wrong_type_are_named_by_their_path() -> None:
    text = b'{"a": [1, "x"]}'
    typed = msgspec.json.Decoder(dict[str, list[int]]).decode
    assert fault_of(refused(typed, text), text).reason == "Expected `int`, got `str` - at `$[...][1]`"
    reason = fault_of(refused(READERS[2], text), text).reason
    assert reason == "Input should be a valid integer, unable to parse string as an integer - at `$.a[1]`"


def test_a_path_is_written_as_msgspec_does() -> None:
    assert path_of(()) == "$"
    assert path_of(("lines", 2, "sku")) == "$.lines[2].sku"
