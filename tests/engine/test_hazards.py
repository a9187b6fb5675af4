"""The hazards that concern the core, each by its number: what was reproduced elsewhere must not happen here.

`COVERED` names for every hazard of the groups A (channel), B (supervision and errors), C (cleanup under cancellation),
D (async generators), E (threads, files, subprocesses), F (topology), G (load) and K (process and signals) the tests
that hold it. A hazard with a test of its own name in this file stands here with that name; the last test checks that
the table is complete and that every test in it exists.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import itertools
import pathlib
import tomllib

import anyio
import pytest

import streamflow as sf
from streamflow.testing import KINDS, TrackedSource, cancel_everywhere
from tests.engine.scenes import Scene

HERE = "engine/test_hazards.py::"
ENDINGS = "engine/test_endings.py::"
CANCELLATION = "engine/test_cancellation.py::"
CONDUCTOR = "engine/test_conductor.py::"
SEGMENTS = "engine/test_segments.py::"
CHAIN = "engine/test_chain.py::"
RUNNER = "engine/test_runner.py::"
SHIELDING = "engine/test_shielding.py::"
THREADS = "engine/test_threads.py::"
CHANNEL = "test_channel.py::"
CHANNEL_CANCELLED = "test_channel_cancellation.py::"
FILES = "places/test_files.py::"
PROCESSES = "places/test_processes.py::"
FANNING = "operators/test_fanning.py::"
COMBINING = "operators/test_combining.py::"
CONCURRENCY = "operators/test_concurrency.py::"
CLOUD = "places/test_cloud.py::"

COVERED: dict[str, tuple[str, list[str]]] = {
    # --- A. channel
    "H1": (
        "get() in a task of its own loses an item",
        [
            CHANNEL_CANCELLED + "test_a_blocked_reader_cancelled_at_any_step_loses_nothing_and_blocks_nobody",
            CANCELLATION + "test_a_hand_over_cancelled_in_the_same_tick_loses_no_item",
        ],
    ),
    "H2": (
        "wait_for swallows a cancellation on 3.11",
        [
            HERE + "test_h2_wait_for_is_not_used",
            CANCELLATION + "test_cancelled_after_every_step_all_is_committed_or_nothing",
        ],
    ),
    "H3": (
        "an await after taking an item is a loss window",
        [
            CHANNEL_CANCELLED + "test_an_operation_cancelled_where_it_gives_others_a_turn_had_no_effect",
            CHANNEL_CANCELLED + "test_a_blocked_writer_cancelled_at_any_step_loses_nothing_and_blocks_nobody",
        ],
    ),
    "H4": (
        "Queue.shutdown() is no end of stream",
        [
            CHANNEL + "test_shutdown_turns_waiting_writers_away_and_keeps_what_is_queued",
            CHANNEL + "test_an_immediate_shutdown_discards_and_counts_what_is_queued",
        ],
    ),
    "H5": (
        "an end sentinel hangs the teardown",
        [
            CHANNEL + "test_the_reader_that_leaves_wakes_every_blocked_writer",
            ENDINGS + "test_falsy_items_are_data",
        ],
    ),
    "H6": (
        "anyio memory streams lose an item natively cancelled",
        [
            CHANNEL_CANCELLED + "test_an_item_handed_over_in_the_tick_of_the_cancel_is_not_lost",
        ],
    ),
    "H7": ("highWaterMark=0 means unbounded", ["test_limits.py::test_a_channel_refuses_it_when_it_is_made"]),
    "H8": (
        "newcomers overtake waiting writers",
        [
            CHANNEL + "test_a_newcomer_does_not_overtake_a_waiting_writer",
            CHANNEL + "test_a_waiting_writer_is_admitted_within_one_round_of_a_greedy_task",
        ],
    ),
    "H9": (
        "a notify is lost with its cancelled waiter",
        [
            CHANNEL_CANCELLED + "test_waiters_cancelled_in_any_order_leave_the_last_one_its_turn",
            CHANNEL_CANCELLED + "test_room_made_in_the_tick_of_the_cancel_is_not_lost",
        ],
    ),
    "H10": (
        "a path that never suspends starves everything",
        [
            SEGMENTS + "test_what_never_waits_lets_other_tasks_run_every_hundred_items_of_a_task",
            SEGMENTS + "test_a_timeout_strikes_a_pipeline_that_never_waits",
            CHANNEL + "test_an_operation_that_never_waits_gives_other_tasks_a_turn",
        ],
    ),
    # --- B. supervision and errors
    "H11": (
        "the error is reported while other stages go on",
        [
            HERE + "test_h11_when_the_error_is_raised_no_stage_goes_on",
            ENDINGS + "test_failure_at_every_position_closes_everything_once_and_surfaces_as_itself",
        ],
    ),
    "H12": (
        "a stray CancelledError is a silent end",
        [
            HERE + "test_h12_a_stray_cancelled_error_is_an_error",
            ENDINGS + "test_a_stray_cancelled_error_is_an_error_of_its_stage",
        ],
    ),
    "H13": (
        "an outer cancel is lost beside a failure",
        [
            HERE + "test_h13_a_cancellation_beside_a_failure_is_not_lost",
            CANCELLATION + "test_a_failing_run_cancelled_after_every_step_fails_or_is_cancelled",
        ],
    ),
    "H14": (
        "a stage that swallows CancelledError keeps the pipeline",
        [
            CANCELLATION + "test_a_stage_that_swallows_cancellations_is_left_behind_by_name_within_the_grace",
            CANCELLATION + "test_a_cancellation_swallowed_once_is_repeated_when_the_grace_is_over",
            CONDUCTOR + "test_what_a_given_up_stage_does_later_changes_nothing",
        ],
    ),
    "H15": ("an absorbed cancel comes back later", [CANCELLATION + "test_cancelling_is_as_it_was_found"]),
    "H16": (
        "except ValueError misses the error",
        [
            HERE + "test_h16_the_users_own_exception_can_be_caught_as_itself",
            ENDINGS + "test_the_note_names_the_stage_its_position_the_item_and_the_line",
        ],
    ),
    "H17": ("the error overtakes good rows", [ENDINGS + "test_a_finished_error_overtakes_no_item"]),
    "H18": (
        "an error in finally replaces the real one",
        [
            HERE + "test_h18_an_error_of_the_cleanup_does_not_hide_the_cause",
            ENDINGS + "test_cleanup_says_by_exception_how_it_ended",
            CANCELLATION + "test_leaving_a_stream_without_taking_all_is_no_error_and_errors_in_closing_are",
        ],
    ),
    "H19": (
        "a task without a reference is collected",
        [
            CONDUCTOR + "test_a_run_that_nobody_holds_is_not_collected_halfway",
        ],
    ),
    "H20": (
        "asyncio.shield leaks on the second cancel",
        [
            CANCELLATION + "test_cleanup_within_the_grace_is_never_disturbed",
            SHIELDING + "test_native_cancellation_at_every_step_lets_the_work_end",
        ],
    ),
    "H21": (
        "asyncio.run hides errors at its end and can hang",
        [
            CANCELLATION + "test_a_pipeline_in_the_background_is_closed_when_asyncio_run_ends",
            CANCELLATION + "test_a_cancellation_of_somebody_else_is_not_doubled",
            RUNNER + "test_after_the_second_signal_a_stage_that_does_not_stop_keeps_neither_the_run_nor_the_process",
        ],
    ),
    "H22": (
        "SystemExit and KeyboardInterrupt tear through the loop",
        [
            ENDINGS + "test_keyboard_interrupt_and_system_exit_in_a_stage_leave_through_the_pipeline_after_cleanup",
            RUNNER + "test_an_interrupt_inside_a_stage_leaves_after_cleanup",
        ],
    ),
    "H23": (
        "a stage's TimeoutError looks like the caller's deadline",
        [
            HERE + "test_h23_a_stages_timeout_error_is_told_from_the_callers_deadline",
            CANCELLATION + "test_a_stage_that_swallows_cancellations_is_left_behind_by_name_within_the_grace",
        ],
    ),
    "H24": (
        "eager tasks run before the wiring is finished",
        [
            ENDINGS + "test_with_eager_tasks_the_wiring_is_finished_before_a_stage_runs",
            CANCELLATION + "test_eager_tasks_change_nothing_for_a_cancelled_run",
            "operators/test_concurrency.py::test_an_eager_task_factory_changes_nothing",
        ],
    ),
    # --- C. cleanup under cancellation
    "H25": (
        "an anyio scope cancels again at every await",
        [
            CANCELLATION + "test_an_upload_is_committed_whole_or_aborted_also_when_cancelled_twice_or_while_it_commits",
            CANCELLATION + "test_an_anyio_task_group_that_is_cancelled_waits_for_the_cleanup",
            SHIELDING + "test_cleanup_inside_a_cancelled_anyio_scope_runs_whole",
        ],
    ),
    "H26": (
        "cleanup passes natively and fails under anyio",
        [
            CANCELLATION + "test_an_upload_is_committed_whole_or_aborted_also_when_cancelled_twice_or_while_it_commits",
            SHIELDING + "test_an_anyio_scope_cancelled_at_every_step_lets_the_work_end",
        ],
    ),
    "H27": (
        "an anyio shield does not stop native cancels",
        [
            CANCELLATION + "test_cleanup_within_the_grace_is_never_disturbed",
            SHIELDING + "test_native_cancellation_at_every_step_lets_the_work_end",
        ],
    ),
    "H28": (
        "a cancel during the successful close",
        [
            CANCELLATION + "test_a_cancellation_during_the_successful_close_waits_for_the_commit",
            CANCELLATION + "test_a_cancellation_that_comes_when_all_is_done_says_that_the_result_stands",
            FILES + "test_a_cancellation_during_the_commit_waits_for_it_and_says_that_it_is_done",
        ],
    ),
    "H29": (
        "an unshielded abort leaves uploads dangling",
        [
            CLOUD + "test_cancelled_on_its_way_up_it_leaves_no_object_and_no_upload",
            CLOUD + "test_cancelled_while_the_upload_is_begun_its_id_is_not_lost",
        ],
    ),
    # --- D. async generators
    "H30": (
        "break closes a generator later, in another task",
        [
            HERE + "test_h30_break_closes_every_generator_in_its_own_task",
            CANCELLATION + "test_an_open_stream_is_closed_before_the_block_is_left",
            CANCELLATION + "test_a_dropped_iterator_stops_its_run",
        ],
    ),
    "H31": (
        "aclose(): asynchronous generator is already running",
        [
            HERE + "test_h31_a_generator_at_work_is_never_closed_from_outside",
        ],
    ),
    "H32": (
        "a timeout around yield cancels the consumer",
        [
            ENDINGS + "test_a_timeout_around_yield_that_strikes_in_backpressure_is_the_stages_own",
            ENDINGS + "test_a_stage_may_handle_a_scope_that_struck_at_its_yield_and_go_on",
        ],
    ),
    "H33": (
        "a task group around yield",
        [
            ENDINGS + "test_a_task_group_around_yield_whose_child_fails_fails_the_stage",
            ENDINGS + "test_a_task_group_around_yield_is_closed_cleanly_by_an_early_end",
        ],
    ),
    "H34": (
        "context variables and their tokens in generators",
        [
            SEGMENTS + "test_a_stage_runs_in_one_task_and_one_context_from_beginning_to_end",
            "test_promises.py::test_p7_however_a_run_ends_everything_is_closed_sink_first_in_its_own_task",
        ],
    ),
    "H35": (
        "yield in finally: ignored GeneratorExit",
        [
            ENDINGS + "test_a_stage_that_yields_in_its_cleanup_is_reported_by_name",
        ],
    ),
    "H36": (
        "StopIteration ends a stream silently or hangs it",
        [
            CHAIN + "test_stop_iteration_out_of_a_function_is_an_error_at_every_item",
            CHAIN + "test_stop_iteration_behind_a_stage_that_had_enough_is_an_error",
            CHAIN + "test_stop_iteration_on_what_comes_at_the_end_is_an_error",
            ENDINGS + "test_stop_async_iteration_out_of_a_stage_is_an_error",
            THREADS + "test_stop_iteration_becomes_a_runtime_error_and_does_not_hang",
        ],
    ),
    "H37": (
        "batching over wait_for truncates the stream",
        [
            "operators/test_batching.py::test_no_item_is_lost_when_the_time_is_over_just_as_one_comes",
            CANCELLATION + "test_a_timeout_around_one_item_loses_nothing",
        ],
    ),
    "H38": (
        "retrying a failed generator is a clean, early end",
        [
            HERE + "test_h38_a_source_that_failed_never_gives_a_clean_end_when_it_is_tried_again",
        ],
    ),
    "H39": (
        "closing the last stage does not close those before",
        [
            HERE + "test_h39_ending_the_last_stage_closes_all_before_it",
            ENDINGS + "test_enough_at_every_position_closes_what_is_above_and_is_success",
        ],
    ),
    # --- E. threads, files, subprocesses
    "H40": (
        "close() while a thread still writes",
        [
            FILES + "test_a_cancelled_write_ends_in_the_thread_before_its_descriptor_is_closed",
            THREADS + "test_a_cancelled_call_waits_for_the_thread_and_then_raises",
        ],
    ),
    "H41": (
        "a cancelled open() leaks and truncates",
        [
            FILES + "test_cancelled_at_any_turn_there_is_the_whole_file_or_nothing",
            THREADS + "test_a_result_that_the_cancelled_caller_will_never_see_is_adopted_in_the_thread",
        ],
    ),
    "H42": (
        "a thread ignores the deadline",
        [
            THREADS + "test_an_anyio_cancellation_waits_for_the_thread_and_loses_no_result",
            "engine/test_codecs.py::test_output_is_pulled_from_the_thread_in_helpings",
        ],
    ),
    "H43": (
        "blocked readers use up the shared thread pool",
        [
            THREADS + "test_calls_run_in_order_in_one_thread_of_that_name",
            HERE + "test_h43_no_stage_uses_the_shared_thread_pool",
        ],
    ),
    "H44": (
        "the process waits for running threads",
        [
            THREADS + "test_close_waits_for_running_calls_through_cancellations",
            FILES + "test_reading_cancelled_at_any_turn_leaves_no_thread_and_no_descriptor",
        ],
    ),
    "H45": (
        "feeding a subprocess without draining it",
        [
            PROCESSES + "test_ten_megabytes_go_through_without_a_deadlock",
            PROCESSES + "test_one_item_far_larger_than_any_pipe_goes_through",
            PROCESSES + "test_standard_error_is_bounded_and_never_blocks_the_program",
        ],
    ),
    # --- F. topology, deadlock, limits
    "H46": (
        "branches of a tee that drift apart further than the bound",
        [
            FANNING + "test_zip_of_branches_that_drift_apart_further_than_the_bound_is_a_deadlock",
            FANNING + "test_branches_read_one_after_the_other_are_no_deadlock_within_the_bound",
        ],
    ),
    "H47": (
        "results fed back into a bounded queue",
        [
            "operators/test_cycles.py::test_a_cycle_that_can_only_deadlock_says_so_and_names_its_stages",
            "operators/test_cycles.py::test_a_full_cycle_that_still_moves_is_backpressure",
        ],
    ),
    "H48": (
        "bounded groups that are consumed one after another",
        ["operators/test_grouping.py::test_one_key_hot_and_one_cold_do_not_stop_each_other"],
    ),
    "H49": (
        "one slow item stops an ordered window",
        [
            CONCURRENCY + "test_one_slow_item_holds_up_no_more_than_the_window",
            "machinery/test_ruled_crew.py::test_results_that_may_wait_bridge_a_slow_call",
        ],
    ),
    "H50": ("a connection pool smaller than the number of open streams", []),  # needs places with pools
    "H51": ("a file for each group runs out of descriptors", []),  # there is no sink that splits into files
    "H52": (
        "a merge with an unbounded queue",
        [
            COMBINING + "test_while_the_consumer_is_idle_no_source_is_pulled",
            COMBINING + "test_behind_a_sink_that_asks_for_nothing_everything_stands_still",
        ],
    ),
    "H53": (
        "a semaphore bounds execution, not admission",
        [
            CONCURRENCY + "test_a_stopped_consumer_leaves_at_most_twice_as_many_items_in_flight",
            "machinery/test_ruled_crew.py::test_items_that_wait_for_their_key_are_bounded_by_the_window",
        ],
    ),
    # --- G. load
    "H54": (
        "a CPU-bound stage stalls the loop",
        [
            SEGMENTS + "test_what_never_waits_lets_other_tasks_run_every_hundred_items_of_a_task",
            "engine/test_budget.py::test_a_function_slower_than_half_a_slice_gives_a_turn_after_each_call",
        ],
    ),
    "H55": (
        "a bound in items does not bound bytes",
        ["engine/test_writer.py::test_bytes_are_bounded_from_the_first_item_on"],
    ),
    "H56": (
        "buffers that are written again while they are on their way",
        [
            FANNING + "test_branches_get_the_same_objects",
            "formats/test_pieces.py::test_a_buffer_that_may_change_is_copied",
            "engine/test_codecs.py::test_a_buffer_that_is_written_again_is_copied_before_the_thread_gets_it",
        ],
    ),
    "H57": (
        "a kept exception keeps the items of all frames",
        [
            ENDINGS + "test_no_reference_cycle_keeps_the_items_of_a_failed_run_alive",
            "machinery/test_policies.py::test_a_dead_letter_keeps_nothing_but_its_item",
            CONCURRENCY + "test_a_failure_keeps_no_items_alive",
        ],
    ),
    "H58": ("an error logged for every row", []),  # rows that fail are counted or given away; nothing logs them
    # --- K. process and signals
    "H84": (
        "SIGTERM kills without cleanup",
        [
            RUNNER + "test_the_first_signal_stops_the_run_and_waits_for_the_cleanup",
            RUNNER + "test_the_third_signal_leaves_at_once",
            RUNNER + "test_the_handlers_that_were_there_before_are_put_back",
            "cli/test_signals.py::test_a_signal_in_the_middle",
        ],
    ),
    "H85": (
        "the second Ctrl-C tears the cleanup",
        [
            RUNNER + "test_the_second_signal_ends_the_grace_and_says_what_is_still_open",
            "engine/test_unfinished.py::test_hurry_ends_the_grace_and_says_what_is_open",
        ],
    ),
    "H86": (
        "SIGINT in a computation hits arbitrary code",
        [
            RUNNER + "test_a_signal_during_a_computation_arrives_when_it_is_over",
        ],
    ),
    "H87": (
        "uvloop differs from asyncio without Runner",
        [
            RUNNER + "test_the_first_signal_stops_the_run_and_waits_for_the_cleanup",
            RUNNER + "test_without_uvloop_it_runs_on_asyncio",
        ],
    ),
    "H88": ("process one ignores SIGTERM", [RUNNER + "test_as_process_one_of_a_container_sigterm_is_heard"]),
    "H89": ("slow callbacks show in debug mode only", []),  # streamflow has no lag monitor; P8 bounds its own turns
    "H90": (
        "standard output as a sink",
        [
            "cli/test_output.py::test_a_reader_that_left_makes_it_silent",
            "cli/test_output.py::test_a_full_disk_makes_it_silent_and_is_remembered",
            "cli/test_main.py::test_a_report_that_cannot_be_written_is_a_failure",
        ],
    ),
}
UNCOVERED = {"H50", "H51", "H58", "H89"}


# --- A -------------------------------------------------------------------------------------------------------------

ROOT = pathlib.Path(__file__).parents[2]


def _sources():
    for path in sorted((ROOT / "streamflow").rglob("*.py")):
        yield path, ast.parse(path.read_text())


def test_h2_wait_for_is_not_used():
    """It swallows a cancellation on 3.11; the linter refuses it, and so does this, wherever it came from."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        banned = tomllib.load(file)["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert {"asyncio.wait_for", "asyncio.gather"} <= set(banned)
    for path, tree in _sources():
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not used & {"asyncio.wait_for", "asyncio.gather"}, path


# --- B -------------------------------------------------------------------------------------------------------------


async def test_h11_when_the_error_is_raised_no_stage_goes_on():
    written = []

    async def parse(items):
        async for item in items:
            if item == 3:
                raise ValueError("stage parse failed")
            yield item

    async def sink(items):
        async for item in items:
            await asyncio.sleep(0)
            written.append(item)

    with pytest.raises(ValueError, match="stage parse failed"):
        await sf.pipeline(itertools.count(), parse, sink)

    assert len(asyncio.all_tasks()) == 1
    before = list(written)
    for _ in range(20):
        await asyncio.sleep(0)
    assert written == before == [0, 1, 2]


async def test_h12_a_stray_cancelled_error_is_an_error():
    out = []

    async def source():
        for number in range(3):
            yield number
        pending = asyncio.get_running_loop().create_future()
        pending.cancel()  # a connection pool that is closed cancels what it had handed out
        await pending
        yield 3

    with pytest.raises(
        sf.StageCancelled, match="stage 'source' ended in a CancelledError although nobody cancelled it"
    ):
        await sf.pipeline(source, sf.for_each(out.append))

    assert out == [0, 1, 2]


async def test_h13_a_cancellation_beside_a_failure_is_not_lost():
    """In whichever step it comes, before, with or after the failure: the next await of the caller raises it."""

    async def failing():
        yield 1
        raise ValueError("child")

    async def outer():
        with contextlib.suppress(ValueError):
            await sf.pipeline(failing, sf.drain())
        await asyncio.sleep(3600)

    for steps in range(25):
        task = asyncio.create_task(outer())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([task])
        assert task.cancelled()


async def test_h16_the_users_own_exception_can_be_caught_as_itself():
    class HTTPError(Exception):
        pass

    error = HTTPError(404)

    def fetch(_):
        raise error

    async def stopping_badly(items):
        try:
            async for item in items:
                yield item
        except HTTPError:
            raise BrokenPipeError("downstream gone") from None

    with pytest.raises(HTTPError) as caught:
        await sf.pipeline([1], sf.map(fetch), sf.collect())
    assert caught.value is error
    with pytest.raises(BrokenPipeError):  # a stage that replaces the error is taken at its word
        await sf.pipeline([1], sf.map(fetch), stopping_badly, sf.collect())


async def test_h18_an_error_of_the_cleanup_does_not_hide_the_cause():
    """Both are seen; and a cancelled run stays cancelled."""

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise ConnectionError("abort failed: 503")

    def fail(_):
        raise ValueError("row 17: bad utf-8")

    with pytest.raises(ExceptionGroup) as caught:
        await sf.pipeline(source, sf.for_each(fail))
    assert [str(error) for error in caught.value.exceptions] == ["row 17: bad utf-8", "abort failed: 503"]

    task = asyncio.create_task(sf.pipeline(source, sf.for_each(lambda _: asyncio.sleep(60))))
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_h23_a_stages_timeout_error_is_told_from_the_callers_deadline():
    """The stage's own carries the note of its stage; the caller's deadline says `expired()`."""

    def fetch(_):
        raise TimeoutError("S3 read timed out")

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(60) as deadline:
            await sf.pipeline([1], sf.map(fetch), sf.collect())
    assert not deadline.expired()
    assert "in stage 2 of 3 of pipeline: 'map', at item 1" in caught.value.__notes__[0]
    assert not isinstance(caught.value, sf.PipelineTimeout)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01) as deadline:
            await sf.pipeline(itertools.count(), sf.for_each(lambda _: asyncio.sleep(60)))
    assert deadline.expired()


# --- D -------------------------------------------------------------------------------------------------------------


async def test_h30_break_closes_every_generator_in_its_own_task():
    source = TrackedSource(itertools.count(), delay=0)

    async with sf.stream(source).map(str).open() as items:
        async for item in items:
            if item == "1":
                break

    source.verify()
    assert source.closed == 1
    assert source.tasks == ["streamflow: TrackedSource"]


def test_h31_a_generator_at_work_is_never_closed_from_outside():
    """Whatever comes at whatever moment, nobody but its own task touches a generator."""

    class Busy:
        def __init__(self):
            self.source = TrackedSource(itertools.count(), delay=0.05)

        async def __call__(self):
            async with asyncio.timeout(0.3), sf.stream(self.source).buffer(1).open() as items:
                return [await anext(items) for _ in range(3)]

        def check(self, outcome):
            self.source.verify()

    assert cancel_everywhere(Busy, Busy.check, kinds=KINDS) > 50


async def test_h38_a_source_that_failed_never_gives_a_clean_end_when_it_is_tried_again():
    """A new attempt is a new run from the start; a generator object that is used up is refused, not empty."""

    async def rows():
        for number in range(5):
            if number == 2:
                raise ConnectionError("reset")
            yield number

    flow, spent = sf.stream(rows), sf.stream(rows())
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await flow.collect()
    with pytest.raises(ConnectionError):
        await spent.collect()
    with pytest.raises(sf.UsageError, match="already been used up"):
        await spent.collect()


async def test_h39_ending_the_last_stage_closes_all_before_it():
    closed = []

    def stage(name):
        async def living(items):
            try:
                async for item in items:
                    yield item
            finally:
                closed.append(name)

        return living

    source = TrackedSource(itertools.count())
    assert await sf.pipeline(source, stage("a"), stage("b"), sf.take(2), sf.collect()) == [0, 1]

    assert closed == ["b", "a"]
    source.verify()


# --- E -------------------------------------------------------------------------------------------------------------


def test_h43_no_stage_uses_the_shared_thread_pool():
    """Blocked calls of one stage must not take the thread that another one needs to unblock them."""
    stairs = ("engine", "formats", "operators", "places")
    for path, tree in _sources():
        for node in ast.walk(tree) if path.parent.name in stairs else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                shared = node.func.attr == "to_thread" or (
                    node.func.attr == "run_in_executor"
                    and isinstance(node.args[0], ast.Constant)
                    and node.args[0].value is None
                )
                assert not shared, f"{path}:{node.lineno}"


# --- C, where it is the core's -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["scope", "group", "fail_after"])
async def test_h25_cleanup_that_awaits_is_whole_under_every_anyio_cancellation(way):
    scene = Scene("generator", "scoped", "concurrent", hold=1)

    if way == "scope":
        with anyio.move_on_after(0.02):
            await scene.run()
    elif way == "fail_after":
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.02):
                await scene.run()
    else:
        async with anyio.create_task_group() as group:
            group.start_soon(scene.run)
            await anyio.sleep(0.02)
            group.cancel_scope.cancel()

    assert scene.outcome == "aborted"
    scene.verify()
    scene.closed_before(len(scene.kinds) - 1)


# --- the table -----------------------------------------------------------------------------------------------------


def test_the_table_is_complete_and_every_test_in_it_exists():
    groups = [f"H{number}" for number in [*range(1, 59), *range(84, 91)]]
    assert list(COVERED) == groups
    assert {hazard for hazard, (_, tests) in COVERED.items() if not tests} == UNCOVERED

    known = {}
    for _, tests in COVERED.values():
        for test in tests:
            file, _, name = test.partition("::")
            if file not in known:
                tree = ast.parse((ROOT / "tests" / file).read_text())
                functions = (ast.FunctionDef, ast.AsyncFunctionDef)
                known[file] = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
            assert name in known[file], f"{test} is in the table and does not exist"
