"""Which library reads a type."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pydantic
import pytest

from streamflow.errors import MissingExtra, UsageError
from streamflow.formats import json_library
from streamflow.formats.json_library import adapter_of, is_plain, is_pydantic, msgspec_for


class Model(pydantic.BaseModel):
    id: int


@pydantic.dataclasses.dataclass
class Validated:
    id: int


@dataclasses.dataclass
class Data:
    id: int


@pytest.mark.parametrize("kind", [Model, Validated, list[Model], dict[str, Validated], Model | None])
def test_what_is_made_with_pydantic_is_read_by_it(kind: Any) -> None:
    assert is_pydantic(kind)


@pytest.mark.parametrize("kind", [Data, int, list[Data], Any, dict[str, int], None])
def test_all_else_is_not(kind: Any) -> None:
    assert not is_pydantic(kind)


def test_any_says_nothing() -> None:
    assert is_plain(Any)
    assert is_plain(object)
    assert not is_plain(dict)


def test_without_msgspec_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_library, "_installed", lambda: None)
    with pytest.raises(MissingExtra, match=r'^this needs msgspec: pip install -e "\.\[json\]"'):
        msgspec_for("this")


def test_a_type_that_pydantic_cannot_read_is_refused() -> None:
    class Odd:
        pass

    with pytest.raises(UsageError, match="this cannot make items of"):
        adapter_of(list[Odd], "this")


def test_neither_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from streamflow.formats import json, csv; csv.parse(); "
        "assert not {'msgspec', 'pydantic'} & set(sys.modules); json.parse_lines(); "
        "assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)
