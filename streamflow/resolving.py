"""What a user hands over, turned into sources, stages and sinks, or refused with a sentence that helps (promise P10).

What lives here: `resolve_source`, `resolve_stage`, `resolve_sink`, and how a function from `Stream` to `Stream` is
told and applied. What must not: `Stream` itself (streams.py).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterable, Callable, Iterable
from types import AsyncGeneratorType, GeneratorType
from typing import Any, cast

from streamflow.callables import is_coroutine_function, name_of, unwrapped
from streamflow.errors import UsageError
from streamflow.makers import refuse_coroutine_function
from streamflow.stages import Combination, Sink, Source, Stage
from streamflow.types import SinkFunction, SourceLike, StageFunction

__all__ = ["applied", "is_stream_function", "parts_of", "resolve_sink", "resolve_source", "resolve_stage"]


def resolve_source(thing: object) -> Source[Any]:
    """Return the source that `thing` stands for.

    Raises `UsageError` for what cannot be one: a number, a string (it would be read letter by letter), a generator that
    has been used up, a stage in the place of the source.
    """
    if isinstance(thing, Source):
        return thing
    if isinstance(thing, (GeneratorType, AsyncGeneratorType)):
        return _source_of(thing, name_of(thing))
    if isinstance(thing, Combination):
        return thing.alone
    if isinstance(thing, (str, bytes, bytearray)):
        raise UsageError(
            f"The source is a {type(thing).__name__}, which would be read one character at a time. "
            f"Write [{thing[:20]!r}] for one item, or objects.read(url) / files.read(path) to read what it names."
        )
    if isinstance(thing, asyncio.Queue) and not isinstance(thing, AsyncIterable):
        raise UsageError(
            "An asyncio.Queue has no end, so it cannot be iterated. Write sf.from_queue(queue), with until=item for "
            "the item that means the end; or use sf.Channel, which has an end."
        )
    if isinstance(thing, asyncio.Future):
        raise UsageError(
            f"The source is a {type(thing).__name__}, which gives one value. Write [await it] for one item."
        )
    maker = getattr(thing, "__streamflow_maker__", None)
    made = _made_without_arguments(maker) if maker is not None else None
    if isinstance(made, Source):
        return made
    function = unwrapped(thing)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        opener = _opener_of_function(cast("Callable[[], SourceLike[Any]]", thing))
        return Source(opener, name=name_of(thing), synchronous=inspect.isgeneratorfunction(function))
    if not isinstance(thing, (Iterable, AsyncIterable)):
        hint = " It is a stage; the source comes first." if isinstance(thing, Stage) or callable(thing) else ""
        raise UsageError(
            f"The source must be an iterable or an async iterable, not {type(thing).__name__}.{hint} "
            f"Write sf.pipeline(source, *stages, sink)."
        )
    return _source_of(thing, type(thing).__name__)


def _source_of(thing: Iterable[Any] | AsyncIterable[Any], name: str) -> Source[Any]:
    synchronous = not isinstance(thing, AsyncIterable)
    return Source(functools.partial(_still_fresh, thing), name=name, synchronous=synchronous)


def parts_of(thing: object) -> tuple[Source[Any], tuple[Stage[Any, Any], ...]]:
    """Return the source that `thing` stands for and the stages after it, which only a `Stream` has."""
    parts: tuple[Source[Any], tuple[Stage[Any, Any], ...]] | None = getattr(thing, "__streamflow_parts__", None)
    return parts if parts is not None else (resolve_source(thing), ())


def _opener_of_function(function: Callable[[], SourceLike[Any]]) -> Callable[[], SourceLike[Any]]:
    try:
        inspect.signature(function).bind()
    except TypeError:
        raise UsageError(
            f"The source {name_of(function)!r} is a generator function that still needs arguments. "
            f"Call it: sf.pipeline({name_of(function)}(...), ...). If it is a stage, the source is missing before it."
        ) from None
    return function


def _still_fresh(thing: Any) -> Any:
    """Open an iterable; a generator that was used up would silently give zero items, so it is refused (P2)."""
    used_up = (inspect.isgenerator(thing) and thing.gi_frame is None) or (
        inspect.isasyncgen(thing) and thing.ag_frame is None
    )
    if used_up:
        raise UsageError(
            f"The source {name_of(thing)!r} is a generator that has already been used up or closed; it would give no "
            f"items. Pass the generator function itself, or a list, to run more than once."
        )
    if (inspect.isgenerator(thing) and thing.gi_running) or (inspect.isasyncgen(thing) and thing.ag_running):
        raise UsageError(
            f"The source {name_of(thing)!r} is a generator that somebody else is reading just now, and two cannot "
            f"share it. Pass the generator function itself to run it twice, or read sf.tee(source) side by side."
        )
    return thing


def resolve_stage(thing: object) -> Stage[Any, Any]:
    """Return the stage that `thing` stands for, or raise `UsageError` saying what to write instead."""
    if isinstance(thing, Stage):
        return thing
    maker = getattr(thing, "__streamflow_maker__", None)
    if maker is not None:
        made = _made_without_arguments(maker)
        if isinstance(made, Stage):
            return made
        thing = made
    if inspect.isasyncgenfunction(unwrapped(thing)):
        return Stage(cast("StageFunction[Any, Any]", thing), name=name_of(thing))
    refuse_coroutine_function(thing)
    raise UsageError(f"{_describe(thing)} is not a stage. {_stage_advice(thing)}")


def _made_without_arguments(maker: Callable[[], Any]) -> Any:
    try:
        return maker()
    except TypeError as error:
        raise UsageError(f"{name_of(maker)!r} needs arguments ({error}). Write {name_of(maker)}(...).") from None


def _describe(thing: object) -> str:
    if isinstance(thing, (Source, Stage, Sink)):
        return repr(thing.name)
    return repr(name_of(thing)) if callable(thing) else f"{type(thing).__name__} {thing!r:.60}"


def _stage_advice(thing: object) -> str:
    if inspect.isasyncgen(thing) or inspect.isgenerator(thing):
        return "It is a generator that already runs; give the function itself, without calling it."
    if isinstance(thing, Source):
        return "It is a source: a pipeline has one, and it comes first."
    if isinstance(thing, Sink):
        return "It is a sink: a pipeline has one, and it comes last."
    if inspect.isgeneratorfunction(unwrapped(thing)):
        return "It is a synchronous generator function; write `async def` and `async for`."
    if callable(thing):
        return (
            f"To call it for each item write sf.map({name_of(thing)}); "
            f"a stage is an async generator function over items."
        )
    return "A stage is an async generator function: async def stage(items): async for item in items: yield item."


def resolve_sink(thing: object) -> Sink[Any, Any]:
    """Return the sink that `thing` stands for, or raise `UsageError` saying what to write instead."""
    if isinstance(thing, Sink):
        return thing
    maker = getattr(thing, "__streamflow_maker__", None)
    made = _made_without_arguments(maker) if maker is not None else None
    if isinstance(made, Sink):
        return made
    if is_coroutine_function(thing):
        return Sink(cast("SinkFunction[Any, Any]", thing), name=name_of(thing))
    if isinstance(thing, Stage) or made is not None or inspect.isasyncgenfunction(unwrapped(thing)):
        name = thing.name if isinstance(thing, Stage) else name_of(thing)
        raise UsageError(
            f"The last argument, {name!r}, is a stage: its items would go nowhere. "
            f"End the pipeline with a sink, such as sf.collect(), sf.for_each(fn) or objects.write(url)."
        )
    raise UsageError(
        f"{_describe(thing)} is not a sink. A sink is a coroutine function over an async iterable: "
        f"async def sink(items): async for item in items: ..."
    )


def is_stream_function(thing: object) -> bool:
    """Return whether it can only be a function from `Stream` to `Stream`: a plain function that is no generator."""
    if isinstance(thing, (Stage, Sink)) or hasattr(thing, "__streamflow_maker__") or not inspect.isroutine(thing):
        return False
    return not (
        inspect.isasyncgenfunction(thing) or inspect.isgeneratorfunction(thing) or inspect.iscoroutinefunction(thing)
    )


def applied(function: Callable[[Any], object], flow: object) -> object:
    """Return what a function makes of a stream, which must be a stream again, or raise `UsageError`."""
    advice = f"To call it for each item write sf.map({name_of(function)})."
    try:
        result = function(flow)
    except Exception as error:
        raise UsageError(
            f"{name_of(function)!r} is not an async generator function, so it was called with the Stream and raised "
            f"{type(error).__name__}: {error}. {advice}"
        ) from error
    if not isinstance(result, type(flow)):
        if inspect.iscoroutine(result):
            result.close()
        raise UsageError(
            f"{name_of(function)!r} was called with the Stream and returned {type(result).__name__}, not a Stream. "
            f"{advice}"
        )
    return result
