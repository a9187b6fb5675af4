"""Clients of a real server: what slow ones hold back, and that nothing is left of those that vanish."""

from __future__ import annotations

import asyncio
import sys

import pytest

from benchmarks import clients

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of a process"),
]


def _values(ratios):
    return {ratio.key: ratio.value for ratio in ratios}


def test_a_source_is_only_as_far_ahead_of_slow_clients_as_what_lies_between_can_hold():
    with clients._serving("--small") as port:
        text, ratios = asyncio.run(clients._slow_clients(port, 60, 1))

    assert "60 clients" in text
    assert 0 < _values(ratios)["clients.slow.ahead"] <= 1


def test_nothing_is_left_of_clients_that_vanish():
    with clients._serving("--small") as port:
        _, ratios = asyncio.run(clients._vanishing_clients(port, 60))

    assert _values(ratios)["clients.vanished.left"] == 0


def test_a_large_object_goes_up_and_comes_down_unchanged_in_little_memory():
    with clients._serving() as port:
        _, ratios = clients._transfer(port, 256)

    assert _values(ratios)["clients.transfer.peak"] < 150
