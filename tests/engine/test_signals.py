"""Signals as calls in the event loop: who is told, and that the handlers are put back."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from streamflow.engine.signals import listening, may_handle, mind, say


class Unheard(Exception):
    """A signal came that nobody listened to."""


@pytest.fixture(autouse=True)
def mine():
    """Handlers of the test's own, so that nothing ends its process."""

    def complain(number, _frame):
        raise Unheard(number)

    before = {number: signal.signal(number, complain) for number in (signal.SIGINT, signal.SIGTERM)}
    yield complain
    for number, handler in before.items():
        signal.signal(number, handler)


async def sent(number):
    signal.raise_signal(number)
    await asyncio.sleep(0.01)


async def test_a_listener_is_told_during_its_block_and_the_handlers_are_put_back(mine):
    heard = []
    with listening(heard.append) as able:
        assert able
        await sent(signal.SIGINT)
        await sent(signal.SIGTERM)
    assert heard == [signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is mine
    assert signal.getsignal(signal.SIGTERM) is mine


async def test_several_listeners_are_all_told_and_the_last_to_leave_puts_back(mine):
    first, second = [], []
    one, two = listening(first.append), listening(second.append)
    one.__enter__()
    two.__enter__()
    await sent(signal.SIGTERM)
    one.__exit__(None, None, None)
    await sent(signal.SIGTERM)
    two.__exit__(None, None, None)
    assert (len(first), len(second)) == (1, 2)
    assert signal.getsignal(signal.SIGTERM) is mine


async def test_who_minds_the_loop_is_told_when_nobody_listens():
    minded, heard = [], []
    mind(minded.append)
    with listening(heard.append):
        await sent(signal.SIGTERM)
    await sent(signal.SIGTERM)
    assert (len(heard), len(minded)) == (1, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


def test_outside_the_main_thread_nothing_is_installed(mine):
    able = []

    async def main():
        with listening(able.append) as can:
            able.append(can)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()
    assert able == [False]
    assert may_handle()
    assert signal.getsignal(signal.SIGTERM) is mine


@pytest.mark.parametrize("broken", [None, OSError(5, "the terminal is gone"), ValueError("closed")])
def test_that_nobody_can_be_told_stops_nothing(broken, monkeypatch):
    """A process that was asked to leave at once must not be kept by an error in saying so."""

    class Gone:
        def write(self, text):
            raise broken

    monkeypatch.setattr("sys.stderr", Gone() if broken else None)
    say("leaving with work unfinished")
