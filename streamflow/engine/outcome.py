"""What the endings of the segments come to: a value, one error, or several.

What lives here: `Outcome`, which tells causes from consequences and says on an error where it came from (P4). What must
not: when and how anything ends (conductor.py).

A cause is an error that nobody below was given: what a stage took at its `async for` is that stage's to answer for, and
an error of a segment that had been asked to stop is one of closing. An error that a segment met ahead of demand, and
that nobody got to see, counts only if the run fails anyway: nested generators would not have got so far (P3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Never

from streamflow.engine.reader import Reader
from streamflow.engine.segments import Segment
from streamflow.engine.telling import described
from streamflow.stages import Plan

__all__ = ["Outcome"]


class Outcome:
    """How one run ended, as far as it has."""

    def __init__(
        self, plan: Plan, segments: Sequence[Segment], places: Mapping[Segment, int], output: Reader[Any] | None
    ) -> None:
        """Look at the segments of a run and their places; `output` is what its consumer reads, if it has no sink."""
        self._plan = plan
        self._segments = segments
        self._places = places
        self._output = output
        self._late: list[Segment] = []

    def raise_causes(self, *, failing: bool = False) -> None:
        """Raise the one cause bare, or several as a group, sink first; return if there is none."""
        causes = self.causes(failing=failing)
        try:
            if len(causes) == 1:
                raise causes[0]
            if causes:
                self._raise_group(causes)
        finally:
            causes.clear()  # the traceback holds this frame: do not let the frame hold the errors

    def _raise_group(self, causes: list[BaseException]) -> Never:
        message = f"{self._plan.name}: {len(causes)} stages failed independently"
        exceptions = [cause for cause in causes if isinstance(cause, Exception)]
        if len(exceptions) == len(causes):
            raise ExceptionGroup(message, exceptions)
        raise BaseExceptionGroup(message, causes)

    def causes(self, *, failing: bool = False) -> list[BaseException]:
        """The independent errors, sink first; `failing` says that the consumer has failed, so any error counts."""
        unanswered = [
            (segment, segment.error)
            for segment in reversed(self._segments)
            if segment.error is not None and not self.is_answered(segment)
        ]
        seen = [error for segment, error in unanswered if self._counts_alone(segment)]
        ahead = [error for segment, error in unanswered if not self._counts_alone(segment)]
        return list({id(error): error for error in seen + ahead}.values()) if seen or failing else []

    def _counts_alone(self, segment: Segment) -> bool:
        return segment.late or segment.plan.sink is not None

    def is_answered(self, segment: Segment) -> bool:
        """Whether a reader below was given this segment's error; it then passed it on, replaced it or handled it."""
        # The nearest ones first: an error that was passed on is seen at once, however many stages there are.
        for at in range(self._places[segment] + 1, len(self._segments)):
            reader = self._segments[at].reader
            if reader is not None and reader.raised is segment.error:
                return True
        return self._output is not None and self._output.raised is segment.error

    def trouble_above(self, segment: Segment) -> BaseException | None:
        """An error while closing what is above, which this segment ended too early to see; the nearest one."""
        for late in sorted(self._late, key=self._places.__getitem__, reverse=True):
            if self._places[late] < self._places[segment] and not self.is_answered(late):
                return late.error
        return None

    def note_on(self, cancellation: BaseException) -> None:
        """Tell on a cancellation what else is known: it must not hide an error, nor that the sink had committed."""
        for cause in self.causes():
            cancellation.add_note(f"while it was being cancelled, {self._plan.name} also met {described(cause)}")
        last = self._segments[-1]
        if last.plan.sink is not None and last.error is None and last.finished and not last.stopped:
            cancellation.add_note(f"the sink of {self._plan.name} had already finished: its result stands")

    def note_end(self, segment: Segment) -> None:
        """It has ended: remember an error of closing, and name the stage on an error that began in it."""
        if segment.error is not None and segment.late:
            self._late.append(segment)
        if segment.error is not None and segment.failed_here:
            self._note_origin(segment, segment.error)

    def _note_origin(self, segment: Segment, error: BaseException) -> None:
        part, item = segment.guilty(error)
        total = len(self._plan.stages) + 1 + (self._plan.sink is not None)
        at_item = f", at item {item}" if item else ""
        error.add_note(
            f"in stage {part.position} of {total} of {self._plan.name}: "
            f"{part.name!r}{at_item} (added at {part.step.where})"
        )
