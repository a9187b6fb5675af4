"""The catalogue of operators has them all, and is as the docstrings say."""

from __future__ import annotations

import re

from tests.catalogue import FAMILIES, PAGE, described
from tests.docstrings import OPERATORS


def test_every_operator_is_in_one_family() -> None:
    """A new operator is given its place in tests/catalogue.py."""
    names = [name for family in FAMILIES for name in family.names.split()]

    assert sorted(names) == sorted(OPERATORS)


def test_the_page_is_as_the_docstrings_say() -> None:
    """After a change that is meant: `make api`, and commit docs/operators.md with it."""
    assert described() == PAGE.read_text(encoding="utf-8")


def test_the_links_of_the_index_lead_to_headings() -> None:
    page = described()
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^##+ (.+)$", page, flags=re.MULTILINE)}

    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings
