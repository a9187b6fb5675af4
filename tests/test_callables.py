"""What a callable is called, and the line of the user's code that called us."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest

from streamflow.callables import caller, is_coroutine_function, name_of


def line() -> int:
    """Return the number of the caller's line."""
    return inspect.stack()[1].lineno


def test_the_line_is_that_of_the_caller_of_streamflow():
    assert (caller(), line()) == (f"{__file__}:{line()}", line())


def test_a_call_through_the_standard_library_is_still_the_users(tmp_path):
    """`Pipeline[int](...)` goes through `typing`, a dataclass through code that has no file."""
    assert functools.partial(caller)() == f"{__file__}:{line()}"


def function() -> None:
    """A plain function."""


class Callable:
    """An object that can be called."""

    def __call__(self) -> None: ...

    async def method(self) -> None: ...


class AsyncCallable:
    """An object whose call gives a coroutine."""

    async def __call__(self) -> None: ...


async def coroutine_function() -> None: ...


async def generator_function() -> Any:
    yield


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (function, "function"),
        (functools.partial(functools.partial(function), 1), "function"),
        (Callable(), "Callable"),
        (Callable().method, "Callable.method"),
        (Callable, "Callable"),
        (len, "len"),
        (str.upper, "str.upper"),
        (lambda: None, "<lambda>"),
    ],
)
def test_a_callable_has_the_name_a_person_would_use(thing, name):
    assert name_of(thing) == name


def test_a_function_inside_a_function_is_not_called_by_the_way_to_it():
    def inner() -> None: ...

    assert name_of(inner) == "inner"


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (coroutine_function, True),
        (functools.partial(functools.partial(coroutine_function)), True),
        (Callable().method, True),
        (functools.partial(Callable().method), True),
        (AsyncCallable(), True),
        (functools.partial(AsyncCallable()), True),
        (Callable(), False),
        (function, False),
        (generator_function, False),
        (AsyncCallable, False),
        (print, False),
        (7, False),
    ],
)
def test_a_coroutine_function_is_seen_through_partials_and_objects(thing, expected):
    assert is_coroutine_function(thing) is expected
