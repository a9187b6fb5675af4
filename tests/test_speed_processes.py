"""The hot path at the edges of a process: how it ends, with what in the air, in threads, reloaded, in subinterpreters.

Each runs in a process of its own, in both forms, under the debug hooks of the allocators: a crash, a use of freed
memory or an overrun ends it with another code or a word on its stderr.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from streamflow.channel.storage import speedups, why_pure

PREPARED = """
import asyncio, atexit, gc, os, sys, threading
import streamflow as sf
from streamflow.channel.storage import speedups

async def source():
    number = 0
    while True:
        yield number
        number += 1
        if number % 50 == 0:
            await asyncio.sleep(0)

async def stage(items):
    async for item in items:
        yield item

async def hang(items):
    async for item in items:
        if item == 120:
            ready.set()
            await asyncio.Event().wait()

async def total(items):
    return sum([item async for item in items])

ready = threading.Event()
flow = (source, stage, sf.map(lambda n: n), stage)
"""


def run(script: str, form: str) -> tuple[int, str, str]:
    """Run a script in a process of its own; return its code, its output, and what it complained of."""
    environment = {**os.environ, "PYTHONMALLOC": "debug", "PYTHONFAULTHANDLER": "1"}
    environment.pop("STREAMFLOW_PURE", None)
    environment.pop("PYTHONASYNCIODEBUG", None)
    if form == "Python":
        environment["STREAMFLOW_PURE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", PREPARED + textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "Fatal" not in done.stderr, done.stderr
    assert "Segmentation" not in done.stderr, done.stderr
    assert done.returncode >= 0, f"ended by signal {-done.returncode}: {done.stderr}"
    return done.returncode, done.stdout.strip(), done.stderr


@pytest.fixture(params=["Python"] if speedups is None else ["C", "Python"])
def form(request):
    """Which form the process uses."""
    return request.param


pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SUSPENDED = """
async def main(number):
    jobs = [asyncio.create_task(sf.pipeline(*flow, hang)) for _ in range(number)]
    while not ready.is_set():
        await asyncio.sleep(0)
    return jobs
"""


def test_the_right_form_is_used(form):
    assert run("print('C' if speedups else 'Python')", form)[:2] == (0, form)


def test_the_interpreter_ends_while_pipelines_stand_in_the_middle_of_an_item(form):
    code, out, _ = run(
        SUSPENDED
        + """
loop = asyncio.new_event_loop()
jobs = loop.run_until_complete(main(5))  # and the loop is never closed
print("left")
""",
        form,
    )
    assert (code, out) == (0, "left")


def test_the_interpreter_ends_while_iterators_are_held_by_modules_that_go_first(form):
    code, out, _ = run(
        SUSPENDED
        + """
class Late:
    def __del__(self):
        for item in held:
            try:
                item.__anext__().send(None)
            except BaseException:
                pass

held = []
async def keep(items):
    held.append(aiter(items))
    async for item in items:
        if item == 60:
            ready.set()
            await asyncio.Event().wait()
        yield item

flow = (source, keep, stage)
loop = asyncio.new_event_loop()
jobs = loop.run_until_complete(main(3))
sys.modules["late"] = Late()
print("left")
""",
        form,
    )
    assert (code, out) == (0, "left")


@pytest.mark.parametrize(
    ("leave", "expected"), [("sys.exit(3)", 3), ("os._exit(4)", 4), ("raise KeyboardInterrupt", 130)]
)
def test_a_stage_may_end_the_process(form, leave, expected):
    code, _, complaints = run(
        f"""
async def leaving(items):
    async for item in items:
        if item == 70:
            {leave}
        yield item

try:
    sf.run(sf.pipeline(*flow, leaving, total))
except KeyboardInterrupt:
    sys.exit(130)
""",
        form,
    )
    assert code == expected, complaints


def test_a_pipeline_may_run_when_the_process_ends(form):
    code, out, complaints = run(
        """
@atexit.register
def late():
    print(asyncio.run(sf.pipeline(range(1000), stage, total)))
""",
        form,
    )
    assert (code, out) == (0, "499500"), complaints


def test_a_daemon_thread_may_run_pipelines_while_the_process_ends(form):
    code, out, _ = run(
        """
def forever():
    asyncio.run(sf.pipeline(*flow, noting))

async def noting(items):
    async for item in items:
        if item == 2000:
            ready.set()

for _ in range(3):
    threading.Thread(target=forever, daemon=True).start()
ready.wait()
print("left")
""",
        form,
    )
    assert (code, out) == (0, "left")


def test_every_thread_may_have_a_loop_of_its_own(form):
    code, out, complaints = run(
        """
sys.setswitchinterval(1e-5)
results = []

def many(number):
    for _ in range(5):
        results.append(asyncio.run(sf.pipeline(range(number), stage, sf.map(lambda n: n), stage, total, maxsize=7)))

threads = [threading.Thread(target=many, args=(500 + number,)) for number in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(sorted(results) == sorted(sum(range(500 + number)) for number in range(6) for _ in range(5)))
""",
        form,
    )
    assert (code, out) == (0, "True"), complaints


def test_a_collection_at_every_allocation_breaks_nothing(form):
    code, out, complaints = run(
        """
async def lists(items):
    async for item in items:
        yield [item]

gc.set_threshold(1)
print(asyncio.run(sf.pipeline(range(300), stage, lists, sf.map(lambda one: one[0]), stage, total, maxsize=5)))
""",
        form,
    )
    assert (code, out) == (0, str(sum(range(300)))), complaints


def test_a_forked_child_ends_by_itself(form):
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    code, out, complaints = run(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)

async def forking(items):
    async for item in items:
        if item == 70:
            child = os.fork()
            if child == 0:
                sys.exit(5)  # with everything in the air
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            return
        yield item

asyncio.run(sf.pipeline(*flow, forking, total))
""",
        form,
    )
    assert (code, out.splitlines()[-1]) == (0, "5"), complaints


def test_the_module_may_be_imported_again():
    if speedups is None:
        pytest.skip(f"no hot path in C: {why_pure}")
    code, out, complaints = run(
        """
import importlib
first = speedups
ring = first.Ring()
for _ in range(3):
    del sys.modules["streamflow.channel._speed"]
    again = importlib.import_module("streamflow.channel._speed")
    importlib.reload(again)
    ring.extend(again.Gate().over(iter(range(2))))
    other = again.Ring()
    other.extend(ring)
    del again
    gc.collect()
print(list(other), asyncio.run(sf.pipeline(range(100), stage, total)))
""",
        "C",
    )
    assert (code, out) == (0, "[0, 1, 0, 1, 0, 1] 4950"), complaints


def test_a_subinterpreter_uses_it_or_does_without():
    """From Python 3.12 on, interpreters of their own refuse what does not say that it is made for them."""
    code, out, complaints = run(
        '''
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

within = """
import sys
sys.path[:] = {path!r}
try:
    from streamflow.channel import storage
except Exception:  # of something that streamflow stands on; datetime, in 3.12.1
    print("cannot be imported", flush=True)
else:
    ring = storage.make_storage()
    storage.fill(ring, iter(range(5)), 4)
    print(storage.take(ring, 9), "C" if storage.speedups else "Python", flush=True)
""".replace("{path!r}", repr(sys.path))

for _ in range(3):
    other = interpreters.create()
    interpreters.run_string(other, within)
    interpreters.destroy(other)
print(asyncio.run(sf.pipeline(range(100), stage, total)))
''',
        "C",
    )
    lines = out.splitlines()
    assert (code, len(lines), lines[-1]) == (0, 4, "4950"), complaints
    assert set(lines[:-1]) <= {"cannot be imported", "[0, 1, 2, 3] C", "[0, 1, 2, 3] Python"}
    if sys.version_info >= (3, 12):
        assert "[0, 1, 2, 3] C" not in lines
