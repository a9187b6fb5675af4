"""The example of the incident, run as a reader runs it, from S3 to S3: nothing is lost, nothing is left."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("obstore", reason="needs the extra objects")

ROOT = Path(__file__).parents[2]
ROWS = 150_000

pytestmark = [
    pytest.mark.may_leak("threads", "files", reason="obstore keeps its connections and tokio's own descriptors"),
    pytest.mark.slow,
]


def test_s3_to_csv_to_gzip_to_s3(bucket, s3_server):
    """The object is larger than one range, so it is read in several."""
    rows = [[str(number), "Zoë", f'she said "{number}",\ntwice'] for number in range(ROWS)]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["id", "customer", "note"], *rows])
    bucket.put("dir/orders.csv", text.getvalue().encode())
    assert text.tell() > 4 << 20
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_ENDPOINT_URL": s3_server, "AWS_REGION": "us-east-1", "PYTHONPATH": str(ROOT)}
    environment |= {"AWS_ACCESS_KEY_ID": "AKIAC4N4RY", "AWS_SECRET_ACCESS_KEY": "c4n4ry/secret+key"}
    urls = [f"s3://{bucket.name}/dir/orders.csv", f"s3://{bucket.name}/dir/orders.csv.gz"]
    command = [sys.executable, "-X", "dev", "-W", "error", str(ROOT / "examples" / "incident.py"), *urls]

    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=50, check=False)

    request = urllib.request.Request(f"{s3_server}/{bucket.name}/dir/orders.csv.gz", headers=bucket.headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        stored = answer.read()
    assert (done.returncode, done.stdout) == (0, f"{urls[1]}: {len(stored):,} bytes\n"), done.stderr
    head, *found = csv.reader(io.StringIO(gzip.decompress(stored).decode(), newline=""))
    assert head == ["id", "customer", "note", "processed_at"]
    assert [row[:3] for row in found] == rows
    assert bucket.head("dir/orders.csv.gz")["Content-Type"] == "application/gzip"
    assert bucket.left() == (["dir/orders.csv", "dir/orders.csv.gz"], [])
