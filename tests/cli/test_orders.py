from __future__ import annotations

from itertools import islice

from streamflow.cli.orders import COLUMNS, orders


def test_the_same_number_gives_the_same_rows():
    assert list(orders(50)) == list(orders(50))


def test_there_are_as_many_as_asked_for_with_all_columns_and_numbers_of_their_own():
    rows = list(orders(500))

    assert len(rows) == 500
    assert {tuple(row) for row in rows} == {COLUMNS}
    assert len({row["order_id"] for row in rows}) == 500


def test_they_are_awkward():
    text = [str(value) for row in orders(500) for value in row.values()]

    for awkward in ('"', "\n", "\r\n", ",", "東", "ź", " leading", ""):
        assert any(awkward in value for value in text), awkward
    assert "" in text


def test_they_are_made_one_at_a_time():
    assert len(list(islice(orders(10**12), 3))) == 3
