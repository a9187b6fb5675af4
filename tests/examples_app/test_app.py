"""The example app behind a real server: rows in are rows out, bad rows are told while the upload goes on."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi")

from examples.fastapi_app import orders

pytestmark = pytest.mark.slow

ROWS = 50_000
HEAD = ",".join(orders.COLUMNS)
EXPECTED = [[str(value) for value in orders.order(number)] for number in range(1, ROWS + 1)]


@contextmanager
def connected(address: str) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)) as connection:
        yield connection


def get(address: str, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    with connected(address) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()


def put(address: str, key: str, body: bytes | Iterator[bytes]) -> tuple[int, dict]:
    with connected(address) as connection:
        connection.request("PUT", f"/uploads/{key}", body, encode_chunked=not isinstance(body, bytes))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def put_in_chunks(connection: http.client.HTTPConnection, key: str) -> Callable[[bytes], None]:
    connection.putrequest("PUT", f"/uploads/{key}")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    return lambda chunk: connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))


def events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, dict]]:
    kind = "message"
    for line in answer:
        word, _, value = line.decode().rstrip("\n").partition(": ")
        if word == "event":
            kind = value
        elif word == "data":
            yield kind, json.loads(value)


def rows_of(text: bytes) -> list[list[str]]:
    head, *rows = csv.reader(io.StringIO(text.decode(), newline=""))
    assert head == list(orders.COLUMNS)
    return rows


def csv_of(rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([orders.COLUMNS, *rows])
    return text.getvalue().encode()


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.02)


def stored(address: str) -> list[str]:
    return [each["name"] for each in json.loads(get(address, "/stored")[1])]


# --- downloads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "csv.gz"])
@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_a_download_as_csv_has_every_row(address, form, accepted):
    answer, body = get(address, f"/orders?form={form}&rows={ROWS}", **{"Accept-Encoding": accepted})

    assert answer.status == 200
    assert f'filename="orders.{form}"' in answer.getheader("Content-Disposition")
    assert answer.getheader("Content-Encoding") == ("gzip" if (form, accepted) == ("csv", "gzip") else None)
    assert rows_of(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body) == EXPECTED


@pytest.mark.parametrize("form", ["ndjson", "ndjson.gz"])
def test_a_download_as_ndjson_has_every_row(address, form):
    _, body = get(address, f"/orders?form={form}&rows={ROWS}")

    lines = (gzip.decompress(body) if form.endswith("gz") else body).splitlines()
    assert [[str(value) for value in json.loads(line).values()] for line in lines] == EXPECTED


def test_a_query_chooses(address):
    _, body = get(address, "/orders?region=west&rows=100")

    rows = rows_of(body)
    assert len(rows) == 100
    assert {row[2] for row in rows} == {"west"}


@pytest.mark.parametrize("question", ["form=exe", "rows=0", "rows=200001", "region=x'--"])
def test_a_question_that_means_nothing_is_refused(address, question):
    answer, _ = get(address, f"/orders?{question}")

    assert answer.status == 422


def test_a_client_that_stops_reading_stops_the_cursor_and_one_that_leaves_closes_it(address):
    key = str(uuid.uuid4())
    with connected(address) as connection:
        connection.request("GET", f"/orders?form=ndjson&cursor={key}")
        answer = connection.getresponse()
        answer.read(1000)
        seen = [0, 1]
        until(lambda: seen.append(cursor(address, key)["rows"]) or len({*seen[-25:]}) == 1)

        assert cursor(address, key)["state"] == "open"
        assert 0 < seen[-1] < orders.ROWS
        answer.close()
    until(lambda: cursor(address, key)["state"] == "closed")


def cursor(address: str, key: str) -> dict:
    return json.loads(get(address, f"/cursors/{key}")[1])


# --- uploads --------------------------------------------------------------------------------------------------------


def test_an_upload_is_stored_with_every_row(address):
    key = str(uuid.uuid4())
    data = csv_of(EXPECTED)

    status, account = put(address, key, (data[at : at + 10_007] for at in range(0, len(data), 10_007)))

    assert status == 201
    assert (account["rows"], account["bad"], account["bytes"]) == (ROWS, 0, len(data))
    assert stored(address)[0] == f"{key}.csv.gz"
    answer, body = get(address, f"/stored/{key}.csv.gz")
    assert rows_of(gzip.decompress(body)) == EXPECTED
    assert account["stored_bytes"] == len(body) == int(answer.getheader("Content-Length"))


def test_a_stored_file_is_sent_in_ranges(address):
    key = str(uuid.uuid4())
    put(address, key, csv_of(EXPECTED[:100]))
    _, whole = get(address, f"/stored/{key}.csv.gz")

    answer, part = get(address, f"/stored/{key}.csv.gz", Range="bytes=10-19")

    assert answer.status == 206
    assert part == whole[10:20]


def test_bad_rows_are_told_while_the_upload_goes_on(address):
    key = str(uuid.uuid4())
    with connected(address) as watching, connected(address) as sending:
        watching.request("GET", f"/uploads/{key}/events")
        told = events(watching.getresponse())
        assert next(told)[0] == "ready"

        send = put_in_chunks(sending, key)
        send(csv_of([["1", "2026-01-01", "north", "lamp", "1", "5"], ["2", "2026-02-30", "north", "lamp", "1", "5"]]))
        letter = next(data for kind, data in told if kind == "bad")  # the body has not ended yet
        send(b"3,2026-01-01,west,desk,1,5\r\n")
        sending.send(b"0\r\n\r\n")

        account = json.loads(sending.getresponse().read())
        last = list(told)[-1]
    assert (letter["line"], letter["row"]["day"]) == (3, "2026-02-30")
    assert "day" in letter["error"]
    assert (account["rows"], account["bad"]) == (2, 1)
    assert last == ("stored", {"bytes": account["bytes"], "rows": 2, "bad": 1})


def test_what_is_no_csv_of_orders_is_refused_and_not_stored(address):
    key = str(uuid.uuid4())

    status, answer = put(address, key, b"name,age\r\nAda,36\r\n")

    assert status == 422
    assert "line 1: the header has no column 'id'" in answer["detail"]
    assert f"{key}.csv.gz" not in stored(address)


def test_too_many_bad_rows_are_refused(address):
    status, answer = put(address, str(uuid.uuid4()), HEAD.encode() + b"\r\n" + b"x,,,,,\r\n" * 10_001)

    assert status == 422
    assert "line 10002" in answer["detail"]


def test_an_upload_that_breaks_off_leaves_nothing(address):
    key = str(uuid.uuid4())
    with connected(address) as watching:
        watching.request("GET", f"/uploads/{key}/events")
        told = events(watching.getresponse())
        next(told)
        with connected(address) as sending:
            put_in_chunks(sending, key)(csv_of(EXPECTED[:5000]))
            next(kind for kind, _ in told if kind == "progress")
        last = list(told)[-1]

    assert last[0] == "failed"
    assert f"{key}.csv.gz" not in stored(address)


def test_a_key_serves_once(address):
    key = str(uuid.uuid4())
    with connected(address) as watching, connected(address) as sending:
        watching.request("GET", f"/uploads/{key}/events")
        told = events(watching.getresponse())
        next(told)
        send = put_in_chunks(sending, key)
        send(csv_of(EXPECTED[:1]))
        next(told)

        status, _ = put(address, key, csv_of(EXPECTED[:1]))

    assert status == 409


# --- live -----------------------------------------------------------------------------------------------------------


def test_a_sensor_that_fails_is_started_again_and_all_pages_see_it(address):
    with connected(address) as first, connected(address) as second:
        streams = []
        for connection in (first, second):
            connection.request("GET", "/live/events")
            streams.append(events(connection.getresponse()))
        reading = next(data for kind, data in streams[0] if kind == "reading")
        with connected(address) as button:
            button.request("POST", "/live/unplug?seconds=1")
            button.getresponse()

        states = [sensor(stream, "restarting") for stream in streams]
        again = sensor(streams[0], "running")

    assert set(reading) == {"degrees", "smooth"}
    assert states[0]["error"].endswith("the sensor does not answer")
    assert states[0]["name"] == states[1]["name"]
    assert again["failures"] >= 1


def sensor(told: Iterator[tuple[str, dict]], state: str) -> dict:
    """Wait until a page is told that the sensor's pipeline is in that state."""
    pipelines = (data["pipelines"][0] for kind, data in told if kind == "statistics")
    return next(each for each in pipelines if each["state"] == state)


def test_ctrl_c_ends_the_pages_whole_and_the_app_well(app):
    with connected(app.address) as live, connected(app.address) as upload:
        live.request("GET", "/live/events")
        upload.request("GET", f"/uploads/{uuid.uuid4()}/events")
        pages = [live.getresponse(), upload.getresponse()]
        for page in pages:
            next(events(page))

        app.press_ctrl_c()

        for page in pages:
            page.read()  # it raises where the end is missing
            assert page.isclosed()


def test_the_pipelines_can_be_asked_for_by_machines(address):
    until(lambda: get(address, "/pipelines/ready")[0].status == 200)
    answer, _ = get(address, "/pipelines/health")

    assert answer.status == 200
