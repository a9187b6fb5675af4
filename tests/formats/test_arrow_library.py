"""What the Arrow stages take for a batch, a type and a schema, and what they say of anything else."""

from __future__ import annotations

import sys

import pytest

from streamflow.errors import FormatError, MissingExtra, UsageError
from streamflow.formats import arrow_library as library

pa = pytest.importorskip("pyarrow")


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.pyarrow("arrow.to_rows") is pa
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(MissingExtra, match=r'arrow.to_rows needs pyarrow: pip install -e "\.\[arrow\]"'):
        library.pyarrow("arrow.to_rows")


def test_batches_and_tables_are_taken_and_an_empty_table_keeps_its_schema() -> None:
    table = pa.table({"a": [1, 2, 3]})
    (batch,) = table.to_batches()

    assert list(library.batches_of(pa, batch, "x")) == [batch]
    assert list(library.batches_of(pa, table, "x")) == [batch]
    (empty,) = library.batches_of(pa, table.schema.empty_table(), "x")
    assert (empty.schema, empty.num_rows) == (table.schema, 0)
    with pytest.raises(UsageError, match=r"x takes items of pyarrow.RecordBatch, not list. Put arrow.from_rows\(\)"):
        library.batches_of(pa, [1], "x")


def test_types_are_named_or_given() -> None:
    assert library.data_type(pa, "int64") == library.data_type(pa, pa.int64()) == pa.int64()
    for wrong in ("int65", 5, None):
        with pytest.raises(UsageError, match="is no type of Arrow"):
            library.data_type(pa, wrong)


def test_only_a_schema_is_one() -> None:
    library.check_schema(pa, None)
    library.check_schema(pa, pa.schema([]))
    with pytest.raises(UsageError, match=r"is no pyarrow.Schema"):
        library.check_schema(pa, [("a", "int64")])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([("a", "int64"), ("c", "int64")], "batch 7: it has the columns a, c, not a, b"),
        (
            [("a", "int64"), ("b", "string")],
            "batch 7: its schema differs from the one before: b: string and not b: int64",
        ),
    ],
)
def test_it_is_said_where_schemas_differ(found: list[tuple[str, str]], words: str) -> None:
    wanted = pa.schema([("a", "int64"), ("b", "int64")])

    with pytest.raises(FormatError) as caught:
        library.refuse_schema(7, pa.schema(found), wanted)
    assert str(caught.value) == words


def test_not_all_names_of_very_many_are_shown() -> None:
    assert library.shown([str(n) for n in range(100)], most=3) == "0, 1, 2, ..."
    assert library.shown(["a"]) == "a"
