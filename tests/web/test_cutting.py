"""A message that cannot be sent, through any number of layers; a transport that is found behind them."""

from __future__ import annotations

import functools

import pytest

from streamflow.web.cutting import breaking, cut, is_closing

HTTP_1 = {"http_version": "1.1"}


class Transport:
    aborted = 0

    def abort(self):
        self.aborted += 1

    def get_extra_info(self, name):
        return None


class Cycle:
    """As a server binds `receive` and `send` to what has the transport."""

    def __init__(self):
        self.transport = Transport()

    async def send(self, message):
        pass


def test_whoever_asks_for_its_bytes_gets_the_failure():
    message = breaking(LookupError("row 3"))
    body = message["body"]
    for ask in (len, bytes, list, lambda body: b"".join([body])):
        with pytest.raises((LookupError, TypeError)):
            ask(body)
    with pytest.raises(LookupError, match="row 3"):
        bytes(body)


def test_it_is_handed_on_as_what_it_is():
    message = breaking(LookupError())
    for _ in range(5):
        assert isinstance(message, dict)
        assert message["type"] == "http.response.body"
        assert message.get("more_body")
        assert message["body"]
        message = message["body"]


def wrapped(send):
    async def inner(message):
        await send(message)

    return inner


@pytest.mark.parametrize("layers", [0, 1, 5])
def test_the_transport_is_found_behind_methods_closures_and_partials(layers):
    cycle = Cycle()
    send = functools.partial(cycle.send)
    for _ in range(layers):
        send = wrapped(send)
    assert cut(HTTP_1, send)
    assert cycle.transport.aborted == 1


def test_a_connection_that_others_use_too_is_left_alone():
    cycle = Cycle()
    assert not cut({"http_version": "2"}, cycle.send)
    assert not cycle.transport.aborted


def test_where_there_is_none_nothing_happens():
    def endless():
        return endless

    assert not cut(HTTP_1, endless, print, None)


@pytest.mark.parametrize("closing", [False, True])
def test_a_connection_that_is_being_closed_is_seen_behind_layers(closing):
    cycle = Cycle()
    cycle.transport.is_closing = lambda: closing
    assert is_closing(wrapped(wrapped(cycle.send))) is closing


def test_one_out_of_reach_is_not_seen_to_be_closed():
    assert not is_closing(len, wrapped(len))
