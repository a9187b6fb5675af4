"""The examples are run as a reader runs them."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
pytestmark = pytest.mark.slow
TOLD = {
    "incident.py": r"memory://shop/orders\.csv\.gz: [\d,]+ bytes\n",
    "concurrent_calls.py": r"500 prices stored, at most 16 calls at once\n",
    "own_stage.py": r"(?s)heat: 3 steps .*smoothed: closed.*highest: 24\.5\n.*first five: \[20\.0, .*, 22\.5\]\n",
    "typed_rows.py": r"[\d,]+ bytes; rejected: \[.*line 502: column 'cents'.*\]\nthe first: \{'id': 1, .*\}\n",
    "parquet_to_jsonl.py": r"(?s).*arrow\.read_parquet.*zstd\.compress.*500 orders, [\d,]+ bytes\n",
    "follow_log.py": r"1000 of 1000 lines, none lost in the rotation\n",
}
SERVED = "fastapi_download.py"


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-W", "error", *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env, timeout=50, check=False)


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*TOLD, SERVED}


@pytest.mark.parametrize("name", TOLD)
def test_an_example_does_what_it_says(name):
    done = _run(EXAMPLES / name)

    complaints = re.sub(r"Executing <.*> took [\d.]+ seconds\n", "", done.stderr)  # that is the machine's speed
    assert (done.returncode, complaints) == (0, "")
    assert re.fullmatch(TOLD[name], done.stdout), done.stdout


def test_the_incident_on_own_data_loses_nothing(tmp_path):
    (tmp_path / "in.csv").write_text("id,text\n" + "".join(f'{n},"a\n""b"""\n' for n in range(5000)), encoding="utf-8")
    target = tmp_path / "out.csv.gz"

    done = _run(EXAMPLES / "incident.py", (tmp_path / "in.csv").as_uri(), target.as_uri())

    rows = list(csv.reader(io.StringIO(gzip.decompress(target.read_bytes()).decode(), newline="")))
    assert done.returncode == 0
    assert [row[:2] for row in rows[1:]] == [[str(n), 'a\n"b"'] for n in range(5000)]


def test_the_download_is_served_whole():
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", "0", "fastapi_download:app"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as server:
        try:
            address = next(found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
            with urllib.request.urlopen(f"{address}/orders.csv?rows=20000", timeout=30) as answer:
                text = answer.read().decode()
        finally:
            server.terminate()
            server.stderr.read()

    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["id"] for row in rows] == [str(n) for n in range(20_000)]
    assert {row["customer"] for row in rows} == {"Zoë"}
