"""CSV options: what the dialect says, what replaces it, and what is refused."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from streamflow.errors import UsageError
from streamflow.formats.csv_dialect import resolve_dialect


class Pipes(csv.Dialect):
    delimiter = "|"
    quotechar = "'"
    lineterminator = "\n"
    quoting = csv.QUOTE_ALL


def test_an_option_replaces_what_the_dialect_says() -> None:
    dialect = resolve_dialect("excel-tab", {"quotechar": "'", "delimiter": None})

    assert (dialect.delimiter, dialect.quotechar, dialect.lineterminator) == ("\t", "'", "\r\n")


@pytest.mark.parametrize("given", [Pipes, Pipes()])
def test_a_dialect_may_be_a_class_or_an_object(given: Any) -> None:
    dialect = resolve_dialect(given, {"escapechar": "\\"})

    assert (dialect.delimiter, dialect.quoting, dialect.escapechar) == ("|", csv.QUOTE_ALL, "\\")


@pytest.mark.parametrize(
    ("dialect", "options", "words"),
    [
        ("exel", {}, r"unknown dialect.*dialect='exel'.*registered dialects are .*excel"),
        ("excel", {"delimiter": ""}, "delimiter=''"),
        ("excel", {"delimiter": ";;"}, "delimiter=';;'"),
        ("excel", {"quotechar": b"'"}, "quotechar=b"),
        ("excel", {"quoting": 99}, "quoting=99"),
        (7, {}, "dialect=7 is neither"),
    ],
)
def test_options_that_do_not_work_are_named(dialect: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve_dialect(dialect, options)
