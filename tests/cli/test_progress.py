from __future__ import annotations

import pytest

from streamflow.cli.progress import Look, headline, one_line, panel, waiting_for

ROOM, INPUT, WORKS = "waiting for room", "waiting for input", "working"
JOB = (
    ("objects.read(file:///tmp/orders.csv)", ROOM),
    ("csv.parse", ROOM),
    ("csv.format", ROOM),
    ("objects.write(file:///tmp/out.gz)", WORKS),
)


def test_everybody_is_followed_to_the_one_who_does_not_wait(stats):
    assert waiting_for(stats(*JOB)) == "3 of 4 tasks wait for objects.write."


def test_waiting_for_input_is_followed_upwards(stats):
    run = stats(("orders", WORKS), ("a", INPUT), ("b", INPUT))

    assert waiting_for(run) == "2 of 3 tasks wait for orders."


def test_a_stage_in_the_middle_is_waited_for_from_both_sides(stats):
    run = stats(("orders", ROOM), ("slow", WORKS), ("b", INPUT))

    assert waiting_for(run) == "2 of 3 tasks wait for slow."


def test_two_that_are_waited_for_are_both_named(stats):
    run = stats(("a", WORKS), ("b", INPUT), ("c", ROOM), ("d", WORKS))

    assert waiting_for(run) == "1 of 4 tasks wait for a; 1 of 4 tasks wait for d."


def test_nobody_waits(stats):
    assert waiting_for(stats(("a", WORKS), ("b", WORKS))) == "Nobody waits."


def test_two_that_are_just_about_to_meet_are_no_endless_loop(stats):
    assert "wait for" in waiting_for(stats(("a", ROOM), ("b", INPUT), ("c", INPUT)))


def test_the_headline_has_time_rows_speed_and_bytes(stats):
    assert headline(stats(*JOB), 50_000) == [
        "3.2 s",
        "31,744 of 50,000 rows",
        "9,920 rows/s",
        "6 MiB read",
        "5 MiB written",
    ]


def test_rows_of_unknown_number_have_no_total(stats):
    assert headline(stats(*JOB))[1] == "31,744 rows"


@pytest.mark.parametrize("width", [20, 39, 40, 59, 60, 80, 99, 100, 120, 200])
def test_no_line_of_the_panel_is_longer_than_the_width(stats, width):
    lines = panel(stats(*JOB), Look(width, 50_000))

    assert max(len(line.text) for line in lines) <= width
    assert [line.state for line in lines[-5:-1]] == [ROOM, ROOM, ROOM, WORKS]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_width_shows_stages_states_and_fill(stats, width):
    run = stats(*JOB, channels=[(1, 1024, 64 << 10, 128 << 10), (1024, 1024)])

    text = "\n".join(line.text for line in panel(run, Look(width, filled="#", empty=".")))

    assert all(name in text for name in ("objects.read", "csv.parse", "csv.format", "objects.write"))
    assert ("no room" if width == 40 else "waiting for room" if width == 80 else "waits for csv.parse") in text
    assert " 50%" in text  # by bytes: 64 of 128 KiB
    assert "# 100%" in text  # by items
    assert "file:///" not in text


def test_wide_panels_say_what_is_in_a_channel(stats):
    run = stats(*JOB, channels=[(1, 1024, 64 << 10, 128 << 10)])

    lines = [line.text for line in panel(run, Look(120))]

    assert any(line.endswith("64 KiB of 128 KiB") for line in lines)
    assert any(line.endswith("10 of 1,024 items") for line in lines)


def test_one_line_for_logs_has_it_all(stats):
    run = stats(*JOB, channels=[(1, 1024, 64 << 10, 128 << 10), (1024, 1024)])

    assert one_line(run)[-2:] == ["channels 50% 100% 1% full", "3 of 4 tasks wait for objects.write."]
