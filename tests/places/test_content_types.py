from __future__ import annotations

import pytest

from streamflow.places.content_types import guessed


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("orders.csv", "text/csv"),
        ("a/b.json", "application/json"),
        ("x.jsonl", "application/jsonl"),
        ("t.parquet", "application/vnd.apache.parquet"),
        ("t.arrow", "application/vnd.apache.arrow.file"),
        ("orders.csv.gz", "application/gzip"),
        ("orders.csv.bz2", "application/x-bzip2"),
        ("orders.csv.zst", "application/zstd"),
        ("orders.tar.xz", "application/x-xz"),
        ("UPPER.CSV", "text/csv"),
        ("data:odd,name.csv", "text/csv"),
        ("what? #1.csv", "text/csv"),
        ("plain", None),
        ("x.unknown-suffix", None),
    ],
)
def test_the_suffix_says_what_it_is(key, kind):
    assert guessed(key) == kind
