"""The command around the benchmarks: what it runs, what it says, and how it ends; nothing is measured."""

from __future__ import annotations

import json

import pytest

from benchmarks import __main__ as command
from benchmarks.registry import BENCHMARKS
from benchmarks.results import Ratio, Result


@pytest.fixture
def ran(monkeypatch):
    """What was run, as (name, quick); each gives the next of the values, the last of them for ever."""
    calls = []
    values = [2.0]

    def run(name, *, quick):
        calls.append((name, quick))
        value = values.pop(0) if len(values) > 1 else values[0]
        return Result(f"text of {name}", [Ratio(f"{name}.a/b", "a / b", value, at_most=1.0)])

    monkeypatch.setattr("benchmarks.registry.run", run)
    run.calls, run.values = calls, values
    return run


@pytest.fixture
def remembered(tmp_path):
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"ratios": {"full": {"hops.a/b": 1.0}, "quick": {}}}))
    return path


def test_without_names_all_are_run_and_quickly_only_the_key_ones(ran):
    assert command.main([]) == 0
    assert ran.calls == [(name, False) for name in BENCHMARKS]
    ran.calls.clear()
    assert command.main(["--quick"]) == 0
    assert ran.calls == [(name, True) for name, one in BENCHMARKS.items() if one.key]
    assert ran.calls


def test_a_missed_goal_is_said_and_is_no_failure(ran, capsys):
    assert command.main(["hops"]) == 0
    said = capsys.readouterr().out
    assert "## hops\n\ntext of hops\n\n| what / beside what" in said
    assert "0 of 1 goals kept.\n  hops.a/b: 2.00, at most 1: **missed** by 100 %" in said


def test_an_unknown_name_is_refused_with_the_known_ones(ran, capsys):
    with pytest.raises(SystemExit):
        command.main(["hop"])
    assert "no benchmark hop; choose from hops, cmap" in capsys.readouterr().err
    assert not ran.calls


def test_quick_numbers_are_not_written_into_the_docs(ran):
    with pytest.raises(SystemExit):
        command.main(["--quick", "--write"])
    assert not ran.calls


def test_a_benchmark_that_fails_is_shown_and_the_next_one_runs(ran, monkeypatch, capsys):
    def run(name, *, quick):
        if name == "hops":
            raise RuntimeError("no room")
        return ran(name, quick=quick)

    monkeypatch.setattr("benchmarks.registry.run", run)
    assert command.main(["hops", "cmap"]) == 1
    shown = capsys.readouterr()
    assert "RuntimeError: no room" in shown.err
    assert "text of cmap" in shown.out


def test_check_fails_and_names_what_is_worse_twice(ran, remembered, capsys):
    assert command.main(["hops", "cmap", "--check", "--baseline", str(remembered)]) == 1
    assert ran.calls == [("hops", False), ("cmap", False), ("hops", False)]
    said = capsys.readouterr().out
    assert "1 ratios compared with baseline.json (tolerance 25%): 1 are worse." in said
    assert "  hops.a/b: 2.00, was 1 (a / b): 2.00 times worse" in said


def test_check_forgives_what_is_not_worse_when_measured_again(ran, remembered):
    ran.values[:] = [2.0, 1.0]
    assert command.main(["hops", "--check", "--baseline", str(remembered)]) == 0
    assert len(ran.calls) == 2


def test_check_names_what_could_not_be_measured_here(ran, tmp_path, capsys):
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"ratios": {"full": {"hops.a/go": 1.0, "cmap.a/go": 1.0}}}))
    assert command.main(["hops", "--check", "--baseline", str(path)]) == 0
    assert "not measured here: hops.a/go\n" in capsys.readouterr().out


def test_update_writes_what_was_found(ran, remembered):
    assert command.main(["hops", "--quick", "--update-baseline", "--baseline", str(remembered)]) == 0
    assert json.loads(remembered.read_text())["ratios"] == {"full": {"hops.a/b": 1.0}, "quick": {"hops.a/b": 2.0}}
