"""SIGINT and SIGTERM in the middle: the conventional exit code, and nothing left behind (P7, H84)."""

from __future__ import annotations

import signal

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, "stopped by Ctrl-C"), (signal.SIGTERM, 143, "stopped by SIGTERM")],
)
def test_a_signal_in_the_middle(start, tmp_path, number, code, words):
    with start("demo", "--rows", 20_000, "--slow", 60, "--target", tmp_path / "out.csv.gz") as process:
        while "wait for objects.write" not in process.stdout.readline():  # the job is under way
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert process.returncode == code
    assert err == f"streamflow: {words}; what was not complete has been removed\n"
    assert "rows out" not in out
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []
