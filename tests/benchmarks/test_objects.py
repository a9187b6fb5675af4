"""The ways of `objects` and the store they go to: what is put there is what comes back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from importlib.util import find_spec

import pytest

from benchmarks import objects
from benchmarks.objects import _CLOSE, _FAR, _NAMES, _peak, _process
from benchmarks.objects_jobs import CHUNK, WAYS, _check_stored, _chunks
from benchmarks.objects_server import serving
from benchmarks.processes import ROOT, race

pytestmark = [pytest.mark.skipif(find_spec("obstore") is None, reason="needs the extra objects"), pytest.mark.slow]

MEBIBYTES = 20  # parts of 8 MiB, and a rest


@pytest.fixture(scope="module")
def url():
    with serving() as found:
        yield found


def _asked(url, method="GET", data=None, **headers):
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, answer.headers, answer.read()


def test_every_goal_compares_ways_that_there_are():
    assert set(_NAMES) == {*WAYS, "aws-put", "aws-get"}
    assert {name for goal in [*_CLOSE, *_FAR] for name in (goal.first, goal.second)} == set(_NAMES.values())


# --- the store -------------------------------------------------------------------------------------------------------


def test_the_store_gives_back_what_it_was_sent_and_any_range_of_it(url):
    data = bytes(range(256)) * 1000
    _asked(f"{url}/b/k", "PUT", data)
    assert _asked(f"{url}/b/k")[2] == data
    status, headers, body = _asked(f"{url}/b/k", Range="bytes=100-299999")
    assert (status, headers["Content-Range"], body) == (206, "bytes 100-255999/256000", data[100:])


def test_ranges_cross_the_edges_of_parts(url):
    _, _, begun = _asked(f"{url}/b/parts?uploads=", "POST", b"")
    number = begun.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    for part, data in [("2", b"second"), ("1", b"first"), ("10", b"tenth")]:
        _asked(f"{url}/b/parts?partNumber={part}&uploadId={number}", "PUT", data)
    _asked(f"{url}/b/parts?uploadId={number}", "POST", b"<CompleteMultipartUpload/>")
    whole = b"firstsecondtenth"
    assert _asked(f"{url}/b/parts")[2] == whole
    for start in range(len(whole)):
        for end in range(start, len(whole)):
            assert _asked(f"{url}/b/parts", Range=f"bytes={start}-{end}")[2] == whole[start : end + 1]


@pytest.mark.parametrize(("headers", "status"), [({}, 404), ({"If-Match": '"other"'}, 412)])
def test_the_store_refuses_what_is_not_there_or_another_version(url, headers, status):
    _asked(f"{url}/b/there", "PUT", b"data")
    with pytest.raises(urllib.error.HTTPError) as refused:
        _asked(f"{url}/b/{'there' if headers else 'nowhere'}", **headers)
    with refused.value as answer:
        assert answer.code == status


# --- the ways --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["put", "get"])
def test_every_contender_moves_all_of_it(url, end):
    """Each checks itself: what it stored is read back, what it read is counted."""
    _asked(f"{url}/bench/orders.bin", "PUT", b"".join(_chunks(MEBIBYTES)))
    there = {"obstore", "streamflow"} | ({"s3fs"} if find_spec("s3fs") else set())
    ways = [way for way in WAYS if f"-{end}" in way and way.partition("-")[0] in there]
    times = race([_process(way, url, MEBIBYTES) for way in ways], rounds=1)
    assert all(found.median > 0 for found in times.values())


@pytest.mark.skipif(shutil.which("aws") is None, reason="needs the aws command")
@pytest.mark.parametrize("way", ["aws-put", "aws-get"])
def test_the_command_moves_all_of_it(url, way):
    _asked(f"{url}/bench/orders.bin", "PUT", b"".join(_chunks(MEBIBYTES)))
    assert race([_process(way, url, MEBIBYTES)], rounds=1)


def test_an_object_that_is_not_what_was_sent_is_seen(url):
    _asked(f"{url}/bench/orders.bin", "PUT", b"".join(_chunks(1))[:-1] + b"?")
    with pytest.raises(AssertionError, match="a way: what is stored is not what was sent"):
        _check_stored("a way", url, 1)


def test_a_way_that_reads_too_little_is_no_contender(url):
    _asked(f"{url}/bench/orders.bin", "PUT", bytes(CHUNK))
    with pytest.raises(RuntimeError, match=rf"streamflow-get: \{{{CHUNK}\}} bytes, not {2 * CHUNK}"):
        race([_process("streamflow-get", url, 2)], rounds=1)


def test_the_memory_is_that_of_one_run(url):
    assert 10 < _peak("obstore-put", url, 1) < 500


def test_a_contender_tells_its_seconds(url):
    command = _process("streamflow-put", url, 1).command
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert set(json.loads(ended.stdout)) == {"wall", "processor"}


def test_without_obstore_nothing_is_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    assert objects.run(mebibytes=1, rounds=1).text == (
        "Not measured. obstore is not installed here, so it is not in the table."
    )
