"""The failures that are skipped in one run: counted, held to their limits, sent where they are wanted.

What lives here: `Skipping`. What must not: which failures those are, as the user says it (policies.py).
"""

from __future__ import annotations

from inspect import isawaitable
from typing import Any

from streamflow.channel import Channel
from streamflow.errors import UsageError
from streamflow.machinery.policies import DeadLetter, ErrorPolicy

__all__ = ["SKIPPED", "Skipping"]

SKIPPED: Any = object()
"""What stands for the result of a call that failed and is skipped: it takes its turn and is not emitted."""


class Skipping:
    """What was skipped so far."""

    def __init__(self, policy: ErrorPolicy, stage: str) -> None:
        """Begin a run of the stage of that name."""
        self._policy = policy
        self._stage = stage
        self._seen = self._skipped = 0
        self._last: Exception | None = None

    def succeeded(self) -> None:
        """Count a call that returned."""
        self._seen += 1

    async def failed(self, error: Exception, item: Any, number: int) -> bool:
        """Count a call that failed and send the dead letter; return whether it is skipped, or else is to be raised."""
        self._seen += 1
        if not isinstance(error, self._policy.types) or isinstance(error, UsageError):
            return False
        self._skipped += 1
        if self._too_many(at_end=False):
            error.add_note(self._summary())
            return False
        where = _where(error)
        _forget_frames(error)
        if self._policy.fraction is not None and self._seen < self._policy.min_items:
            self._last = error
        await self._send(DeadLetter(item, error, self._stage, number, where))
        return True

    def check_end(self) -> None:
        """Raise the last error if the input ended and of few items too many failed."""
        error, self._last = self._last, None
        try:
            if error is not None and self._too_many(at_end=True):
                error.add_note(self._summary())
                raise error
        finally:
            del error

    def _too_many(self, *, at_end: bool) -> bool:
        policy = self._policy
        if policy.budget is not None and self._skipped > policy.budget:
            return True
        enough = at_end or self._seen >= policy.min_items
        return policy.fraction is not None and enough and self._skipped > policy.fraction * self._seen

    def _summary(self) -> str:
        policy = self._policy
        limits = [] if policy.budget is None else [f"budget={policy.budget}"]
        limits += [] if policy.fraction is None else [f"fraction={policy.fraction:g}"]
        return f"{self._skipped} of {self._seen} items failed, more than skip_errors({', '.join(limits)}) allows"

    async def _send(self, letter: DeadLetter[Any]) -> None:
        to = self._policy.to
        if isinstance(to, Channel):
            await to.put(letter)
        elif to is not None:
            answer = to(letter)
            if isawaitable(answer):
                await answer


def _where(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return "?" if traceback is None else f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"


def _forget_frames(error: BaseException | None) -> None:
    """Take the tracebacks off an error and what caused it: they keep every variable of every frame alive (H57).

    Not `traceback.clear_frames`: a frame among them may be waiting still, such as the reader of a connection that
    passed the error on, and clearing would end it.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
