from __future__ import annotations

import platform
import sys

from streamflow.channel.storage import speedups, why_pure
from streamflow.cli import machine
from streamflow.formats.csv_rows import rows_in_c
from streamflow.formats.csv_rows import why_pure as why_pure_rows


def test_the_peak_of_memory_is_in_bytes():
    peak = machine.peak_memory()

    assert peak is not None
    assert 5 << 20 < peak < 64 << 30


def test_the_peak_of_memory_rises_with_what_is_used_and_does_not_fall():
    before = machine.peak_memory()
    block = bytearray(before)  # as much again as there ever was
    block[::4096] = b"x" * len(range(0, before, 4096))
    there = machine.peak_memory()
    del block

    assert there > before
    assert machine.peak_memory() > 0.95 * there  # Linux counts pages in lots


def test_without_proc_it_is_asked_of_the_system(monkeypatch):
    def nothing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(machine, "open", nothing, raising=False)

    assert machine.peak_memory() > 5 << 20


def test_about_names_what_a_bug_report_needs():
    about = dict(machine.about())

    assert about["python"].startswith(platform.python_version())
    assert about["platform"] == platform.platform()
    assert about["hot path"] == (f"pure Python: {why_pure}" if speedups is None else "C extension")
    assert about["rows of CSV"] == (f"pure Python: {why_pure_rows}" if rows_in_c is None else "C extension")
    assert {"streamflow", "event loop", "extra objects", "extra fast", "extra cli", "extra web"} <= set(about)


def test_what_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(machine, "_found", lambda package: package != "rich")

    assert dict(machine.about())["extra cli"] == "not installed (rich)"
    assert sys.executable in dict(machine.about())["python"]


def test_a_hot_path_in_python_says_why(monkeypatch):
    monkeypatch.setattr(machine, "why_pure", "there was no compiler")

    assert dict(machine.about())["hot path"] == "pure Python: there was no compiler"
