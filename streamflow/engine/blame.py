"""Which stage of a fused chain an error came from, read from its traceback.

What lives here: `Blame`. What must not: the chain itself, notes on errors (the conductor's).

A fused chain runs in C, so the chain leaves no frames of its own in a traceback; but a user's function does. The
outermost frame that is a stage's callable names the stage (further in it may call what another stage calls too). Three
things can go wrong with that, and are put right:

* One function may stand in two stages, and a builtin (`int`) has no frame at all. At most one such stage may stay
  without a frame of its own (what matches no other must be its). Of a plain function each further stage calls a copy,
  which costs nothing; anything else is called through a small function. That costs a Python call per item, so it is
  done only where the stages could not be told apart.
* A function that takes other arguments than it is called with never gets a frame; Python's message has its name.
* An error in the source must not be put on a stage through which the source was pulled: the source's frame is known
  too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from inspect import signature
from types import CodeType, FrameType, FunctionType
from typing import Any

from streamflow.callables import unwrapped
from streamflow.errors import StageCancelled
from streamflow.stages import Stage
from streamflow.types import Transform

__all__ = ["Blame"]


class Blame:
    """What the stages of one chain look like in a traceback."""

    def __init__(self, stages: Sequence[Stage[Any, Any]], transforms: Sequence[Transform[Any, Any]]) -> None:
        """Note the code of every stage's callable; give it a frame of its own where it cannot be told from another."""
        self._transforms = transforms
        self._owner: dict[int, int | None] = {}
        self._silent: int | None = None
        self._expanding: int | None = None
        self._callables: list[tuple[int, Callable[..., Any]]] = []
        self._marked: tuple[BaseException, int | None] | None = None
        for at, (stage, transform) in enumerate(zip(stages, transforms, strict=True)):
            if stage.callable is not None:
                self._callables.append((at, stage.callable))
                self._note(at, stage.callable, transform)
                self._expanding = self._expanding if stage.one_to_one or stage.drops else at

    def _note(self, at: int, function: Callable[..., Any], transform: Any) -> None:
        code = _code_of(function)
        taken = self._silent is not None if code is None else id(code) in self._owner
        if taken and hasattr(transform, "fn"):
            transform.fn, code = _framed(transform.fn)
        if code is not None:
            self._owner.setdefault(id(code), at)
        elif self._silent is None:
            self._silent = at

    def note_source(self, items: Iterator[Any]) -> None:
        """Note what the source looks like."""
        code = getattr(items, "gi_code", None) or _code_of(getattr(type(items), "__next__", None))
        if code is not None:
            self._owner.setdefault(id(code), None)

    def mark(self, error: BaseException, at: int | None) -> None:
        """Note that an error came out of stage `at`, `None` for the stages before; the first to see it is right."""
        closed = isinstance(error, GeneratorExit)
        if not closed and (self._marked is None or self._marked[0] is not error):
            self._marked = (error, at)

    def stage_of(self, error: BaseException) -> int | None:
        """Return the index of the stage that raised `error`; `None` for the source, or where it cannot be told."""
        if isinstance(error, StageCancelled):
            error = error.__cause__ or error
        if self._marked is not None and self._marked[0] is error and self._marked[1] is not None:
            return self._marked[1]
        frames = _frames_of(error)
        for frame in frames:
            if id(frame.f_code) in self._owner:
                return self._owner[id(frame.f_code)]
        # Lambdas of one function have one name: then it is rather the one that takes no single item.
        refusing = sorted((_takes_an_item(fn), at) for at, fn in self._callables if _refused_the_call(fn, error))
        if refusing:
            return refusing[0][1]
        if self._silent is not None:
            return self._silent
        for frame in reversed(frames):
            at = self._transform_in(frame)
            if at is not None:
                return at
        # An inner iterable of `flat_map` runs after the call that made it has returned.
        return self._expanding if frames and not _is_ours(frames[-1]) else None

    def _transform_in(self, frame: FrameType) -> int | None:
        """The transform whose method this is; the library's own only pass on what others raise."""
        if _is_ours(frame):
            return None
        own = frame.f_locals.get("self")
        return next((at for at, transform in enumerate(self._transforms) if transform is own), None)


def _frames_of(error: BaseException) -> list[FrameType]:
    frames, traceback = [], error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return frames


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == __name__.partition(".")[0]


def _refused_the_call(function: Callable[..., Any], error: BaseException) -> bool:
    """Whether the error is Python's own, which says that a function of this name takes other arguments."""
    name = getattr(unwrapped(function), "__qualname__", None)
    return isinstance(error, TypeError) and name is not None and str(error).startswith(f"{name}() ")


def _takes_an_item(function: Callable[..., Any]) -> bool:
    try:
        signature(function).bind(None)
    except (TypeError, ValueError):
        return False
    return True


def _code_of(function: Any) -> CodeType | None:
    """The code that shows in a traceback when this callable raises; `None` for builtins."""
    code = getattr(unwrapped(function), "__code__", None)
    return code if isinstance(code, CodeType) else None


def _framed(function: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], CodeType]:
    """The same function with a frame that no other has: a copy, or behind a small one."""
    if type(function) is FunctionType:
        return _copied(function)

    def call(item: Any) -> Any:
        return function(item)

    code = call.__code__.replace()
    return FunctionType(code, call.__globals__, closure=call.__closure__), code


def _copied(function: FunctionType) -> tuple[Callable[[Any], Any], CodeType]:
    code = function.__code__.replace()
    copy = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__, copy.__qualname__ = function.__kwdefaults__, function.__qualname__
    return copy, code
