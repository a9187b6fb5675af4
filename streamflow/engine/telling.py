"""What the engine says about an error or a task, in words that cannot fail.

What lives here: short descriptions for notes and messages. What must not: decisions.
"""

from __future__ import annotations

import asyncio
from types import FrameType
from typing import Any

__all__ = ["described", "whereabouts"]

_LINKS = ("cr_await", "ag_await", "gi_yieldfrom")
_FRAMES = ("cr_frame", "ag_frame", "gi_frame")
_NOT_THE_USERS = {__name__.partition(".")[0], "asyncio", "anyio"}


def described(error: BaseException) -> str:
    """Return `ValueError: bad row`; a message that cannot be made is left out."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # a user's __str__ may do anything
        return type(error).__name__


def whereabouts(task: asyncio.Task[Any], generator: object = None) -> str:
    """Return `file:line` where a suspended task stands in the user's code.

    `generator` is the async generator it runs: an `async for` hides it from the chain of awaits.
    """
    frames = [*_frames(task.get_coro()), *_frames(generator)]
    users = [frame for frame in frames if _package(frame) not in _NOT_THE_USERS] or frames
    return f"{users[-1].f_code.co_filename}:{users[-1].f_lineno}" if users else "an unknown place"


def _frames(link: object) -> list[FrameType]:
    frames: list[FrameType] = []
    while link is not None:
        frame = _first(link, _FRAMES)
        frames += [frame] if frame is not None else []
        link = _first(link, _LINKS)
    return frames


def _first(thing: object, names: tuple[str, ...]) -> Any:
    return next((value for name in names if (value := getattr(thing, name, None)) is not None), None)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
