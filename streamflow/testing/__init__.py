"""The public test kit: test your own stages, sources and sinks with the means streamflow's own tests use.

What lives here: the face of the kit. What must not: code. It needs no pytest and works with any test runner.

* `StepLoop`: an event loop with virtual time, counted steps, a repeatable order, and an error where others hang.
* `cancel_everywhere`: run a scenario cancelled after every step, in every way.
* `no_leaks`: nothing is left behind, or an error that lists it.
* `TrackedSource`, `SlowSink`, `Gate`, `must_call`, `Trace`: what to put beside the stage under test.
"""

from __future__ import annotations

from streamflow.testing.cancellation import CancellationFailure, Outcome, cancel_everywhere
from streamflow.testing.leaks import LeakCheck, LeakError, no_leaks
from streamflow.testing.loop import BusyLoopError, DeadlockError, StepLoop
from streamflow.testing.probes import Gate, MustCall, SlowSink, Trace, TrackedSource, must_call
from streamflow.testing.ways import KINDS, Kind

__all__ = [
    "KINDS",
    "BusyLoopError",
    "CancellationFailure",
    "DeadlockError",
    "Gate",
    "Kind",
    "LeakCheck",
    "LeakError",
    "MustCall",
    "Outcome",
    "SlowSink",
    "StepLoop",
    "Trace",
    "TrackedSource",
    "cancel_everywhere",
    "must_call",
    "no_leaks",
]
