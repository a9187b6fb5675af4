"""The command as people start it: exit codes, messages, pipes."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from streamflow.cli import demo, main
from streamflow.cli.verify import Verdict

pytestmark = pytest.mark.slow


@pytest.fixture
def said(capsys):
    """Run the command in this process."""

    def running(*arguments):
        code = main.main(list(arguments))
        return (code, *capsys.readouterr())

    return running


def test_version(said):
    code, out, err = said("version")

    assert (code, err) == (0, "")
    assert out.startswith("streamflow ")
    assert out.count("\n") == 1


def test_version_for_bug_reports(said):
    code, out, _ = said("version", "--verbose")

    assert code == 0
    assert all(word in out for word in ("python", "platform", "event loop", "extra objects"))


def test_help_is_no_failure_and_says_what_it_does(said):
    code, out, err = said("demo", "--help")

    assert (code, err) == (0, "")
    assert all(word in out for word in ("--rows", "--source", "--target", "--slow", "--break", "s3://"))


def test_nothing_asked_for_is_a_usage_error_with_help(said):
    code, out, err = said()

    assert (code, out) == (2, "")
    assert "demo" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "invalid choice"),
        (["demo", "--rows", "0"], "'0' is not a number of rows: a whole number of at least 1"),
        (["demo", "--rows", "many"], "'many' is not a number of rows"),
        (["demo", "--slow", "-1"], "'-1' is not a number of seconds: 0 or more"),
        (["demo", "--slow", "nan"], "'nan' is not a number of seconds"),
        (["demo", "--slow", "soon"], "'soon' is not a number of seconds"),
        (["demo", "--target", "out.csv"], "out.csv does not end in .gz, and what is written there is gzip"),
        (["demo", "--source", "ftp://host/a.csv"], "ftp:// is not known here"),
        (["demo", "--source", "s3://key:hunter2@bucket/a.csv"], "credentials do not belong in the URL"),
        (["demo", "--source", "a.csv", "--rows", "5"], "give one of them"),
        (["demo", "--source", "a.csv.gz", "--target", "a.csv.gz"], "are the same object"),
    ],
)
def test_what_makes_no_sense_is_refused(said, arguments, message):
    code, out, err = said(*arguments)

    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert "hunter2" not in err


def test_rows_may_be_grouped(said):
    code, out, _ = said("demo", "--rows", "1_000", "--slow", "0")

    assert code == 0
    assert "rows out     1,000" in out


def test_a_difference_is_exit_code_1(said, monkeypatch):
    async def differs(*_):
        return Verdict(100, 99, "row 100 is missing in the result")

    monkeypatch.setattr(demo, "verify", differs)

    code, out, _ = said("demo", "--rows", "100", "--slow", "0")

    assert code == 1
    assert "NO: row 100 is missing in the result" in out


def test_several_failures_are_all_told(said, monkeypatch):
    async def fails(*_):
        error = ExceptionGroup("2 stages failed independently", [ValueError("one"), OSError("two"), AssertionError()])
        error.add_note("nothing was written")
        raise error

    monkeypatch.setattr(main, "demo", fails)

    code, _, err = said("demo")

    assert code == 1
    assert err.splitlines() == [
        "streamflow: 2 stages failed independently",
        "  ValueError: one",
        "  OSError: two",
        "  AssertionError",
        "  nothing was written",
    ]


def test_the_process_moves_rows_and_says_so(command):
    code, out, err = command("demo", "--rows", 3000, "--slow", 0)

    assert (code, err) == (0, "")
    assert "rows in      3,000" in out
    assert "rows out     3,000" in out
    assert "bottleneck" in out
    assert "\x1b" not in out


def test_paths_are_urls(command, orders_csv, gunzipped):
    target = orders_csv.with_name("out.csv.gz")

    code, out, err = command("demo", "--source", orders_csv, "--target", target)

    assert (code, err) == (0, "")
    assert "rows out     2,000" in out
    assert len(gunzipped(target)) == 2001


def _nothing_left(folder: Path, *expected: str) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted([*expected, "tmp"])
    assert list((folder / "tmp").iterdir()) == []


def test_a_missing_source(command, tmp_path):
    code, _, err = command("demo", "--source", tmp_path / "nowhere.csv", "--target", tmp_path / "out.csv.gz")

    assert code == 1
    assert err.startswith("streamflow: FileNotFoundError: [Errno 2] No such file or directory: ")
    assert "in stage 1 of 6 of demo: 'objects.read(file://" in err
    assert "Traceback" not in err
    _nothing_left(tmp_path)


def test_a_row_with_too_many_fields_names_the_line(command, tmp_path, orders_csv):
    with orders_csv.open("a", encoding="utf-8") as file:
        file.write("2000,a,b,c,one too many\n")

    code, _, err = command("demo", "--source", orders_csv, "--target", tmp_path / "out.csv.gz")

    assert code == 1
    assert "FormatError: line 4002: 4 fields expected" in err  # every row before it has two lines
    assert "in stage 2 of 6 of demo: 'csv.parse'" in err
    assert "nothing was written: there is no object" in err
    assert "(added at" not in err
    _nothing_left(tmp_path, "orders.csv")


def test_a_truncated_gzip_source_is_no_clean_end(command, tmp_path, orders_csv):
    """P5."""
    source = tmp_path / "cut.csv.gz"
    source.write_bytes(gzip.compress(orders_csv.read_bytes())[:-20])

    code, _, err = command("demo", "--source", source, "--target", tmp_path / "out.csv.gz")

    assert code == 1
    assert "TruncatedError: the gzip data ends inside member 1" in err
    assert "in stage 2 of 7 of demo: 'gzip.decompress'" in err
    _nothing_left(tmp_path, "orders.csv", "cut.csv.gz")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of a process are POSIX")
def test_a_full_disk_leaves_no_object(command, tmp_path, orders_csv):
    """P6, with a limit on the size of files in the place of a full disk."""

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    code, _, err = command("demo", "--source", orders_csv, "--target", tmp_path / "out.csv.gz", preexec_fn=small_files)

    assert code == 1
    assert "OSError: [Errno 27] File too large" in err
    assert "in stage 6 of 6 of demo: 'objects.write" in err
    _nothing_left(tmp_path, "orders.csv")


def test_debug_shows_where(command, tmp_path):
    code, _, err = command("demo", "--source", tmp_path / "nowhere.csv", "--debug")

    assert code == 1
    assert "Traceback" in err
    assert "(added at" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_report_that_cannot_be_written_is_a_failure(command):
    with open("/dev/full", "w") as full:
        code, _, err = command("demo", "--rows", 100, "--slow", 0, stdout=full)

    assert code == 1
    assert err == "streamflow: the output could not be written: [Errno 28] No space left on device\n"


def test_a_reader_that_leaves_does_not_stop_the_job(start, tmp_path, gunzipped):
    target = tmp_path / "out.csv.gz"

    with start("demo", "--rows", 500, "--slow", 0, "--target", target) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        code = process.wait(timeout=30)

    assert (code, err) == (0, "")
    assert len(gunzipped(target)) == 501


def test_without_utf8_output_there_are_question_marks_and_no_failure(command):
    code, out, err = command("demo", "--rows", 100, "--slow", 0, env={"PYTHONIOENCODING": "ascii"})

    assert (code, err) == (0, "")
    assert out.isascii()


def test_the_package_can_be_asked_as_a_module():
    done = subprocess.run([sys.executable, "-m", "streamflow", "--version"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("streamflow ")
