"""The server as the processes it really is: starting, ending, being killed, and bodies as they arrive on a socket."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from fhir_server.commands.demo import seed_directory
from tests.server_process import (
    COMMAND,
    Server,
    all_end_within,
    count,
    embedded,
    environment,
    eventually,
    free_port,
    running,
    start,
)

BODY_LIMIT = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for tests that only read and add."""
    shared = start(
        tmp_path_factory.mktemp("server") / "data", FHIR_ACCESS_LOG="yes", FHIR_MAX_BODY_BYTES=str(BODY_LIMIT)
    )
    yield shared
    shared.stop()


# ---- the server process --------------------------------------------------------------------------------------------------


@embedded
def test_sigterm_ends_server_workers_and_mongod_within_10_seconds_with_code_0(tmp_path: Path) -> None:
    server = start(tmp_path / "data", "--workers", "2")
    processes = server.processes()
    assert len(processes) == 4  # the server, two workers, mongod
    assert server.stop() == 0
    assert running(processes) == set()


@embedded
def test_after_kill_9_nothing_is_left_running_and_a_restart_has_the_write_and_ends_at_an_interrupt(
    tmp_path: Path,
) -> None:
    server = start(tmp_path / "data")
    created = server.request("/fhir/Patient", {"resourceType": "Patient", "name": [{"text": "Nguyễn Văn Thử"}]})
    processes = server.processes()
    server.process.kill()
    server.process.wait()
    assert all_end_within(processes, 10)
    restarted = start(tmp_path / "data")
    processes = restarted.processes()
    assert restarted.request(f"/fhir/Patient/{created['id']}") == created
    restarted.process.send_signal(signal.SIGINT)
    assert restarted.process.wait(10) == 0
    assert running(processes) == set()


@embedded
def test_after_kill_9_of_everything_during_a_load_of_creates_every_acknowledged_write_is_there(tmp_path: Path) -> None:
    server = start(tmp_path / "data", "--workers", "2")
    acknowledged: list[dict[str, Any]] = []

    def create_until_it_fails() -> None:
        while True:
            try:
                acknowledged.append(server.request("/fhir/Basic", {"resourceType": "Basic", "code": {"text": "load"}}))
            except (OSError, HTTPException):
                return

    clients = [threading.Thread(target=create_until_it_fails) for _ in range(4)]
    for client in clients:
        client.start()
    assert eventually(lambda: len(acknowledged) >= 100)
    for pid in server.processes():
        os.kill(pid, signal.SIGKILL)
    for client in clients:
        client.join()
    server.process.wait()
    restarted = start(tmp_path / "data")
    try:
        assert [restarted.request(f"/fhir/Basic/{basic['id']}") for basic in acknowledged] == acknowledged
    finally:
        restarted.stop()


@embedded
def test_when_mongod_is_lost_the_server_ends_and_says_so(tmp_path: Path) -> None:
    server = start(tmp_path / "data")
    mongod = json.loads((server.data / "mongod.json").read_text(encoding="utf-8"))["pid"]
    os.kill(mongod, signal.SIGKILL)
    assert server.process.wait(10) == 1
    assert (
        f"Error: MongoDB ended, so the server did too. Its log is {server.data / 'mongod.log'}."
        in server.log.read_text(encoding="utf-8")
    )


@embedded
def test_a_worker_is_replaced_each_time_it_is_killed_until_that_is_hopeless(tmp_path: Path) -> None:
    server = start(tmp_path / "data")
    processes = server.processes()
    mongod = json.loads((server.data / "mongod.json").read_text(encoding="utf-8"))["pid"]

    def kill_worker() -> None:
        assert eventually(lambda: running(server.processes() - {server.process.pid, mongod}))
        (worker,) = running(server.processes() - {server.process.pid, mongod})
        os.kill(worker, signal.SIGKILL)
        assert all_end_within({worker}, 10)

    for _ in range(5):
        kill_worker()
    assert eventually(lambda: server.request("/fhir/metadata")["resourceType"] == "CapabilityStatement", 60)
    while server.process.poll() is None and "Error: A worker ended 12 times" not in server.log.read_text(
        encoding="utf-8"
    ):
        for worker in running(server.processes() - {server.process.pid, mongod}):
            os.kill(worker, signal.SIGKILL)
        time.sleep(0.05)
    assert server.process.wait(10) == 1
    assert "Error: A worker ended 12 times within 30 seconds, so the server did too." in server.log.read_text(
        encoding="utf-8"
    )
    assert running(processes) == set()


@embedded
def test_a_second_server_on_the_same_data_directory_is_refused(server: Server) -> None:
    second = subprocess.run(
        [*COMMAND, "serve", "--port", str(free_port()), "--data", str(server.data)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1
    assert second.stderr == (
        f"Error: The data directory {server.data} is in use by process {server.process.pid} (serve). "
        "Stop that process first, or choose another directory with --data.\n"
    )
    assert server.request("/fhir/metadata")["fhirVersion"] == "4.0.1"


@embedded
def test_an_import_beside_a_running_server_is_seen_by_it_at_once(server: Server) -> None:
    with seed_directory() as seed:
        command = [*COMMAND, "import", "roster", str(seed / "roster.csv")]
        first, again = (
            subprocess.run(
                [*command, "--data", str(server.data), "--rejected", str(server.data / "rejected.csv")],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=60,
            )
            for _ in range(2)
        )
    counts = re.findall(r"(\d+) (created|updated|unchanged|rejected)", first.stderr)
    assert counts == [("200", "created"), ("3", "updated"), ("0", "unchanged"), ("3", "rejected")]
    assert first.returncode == 1  # some rows were rejected
    assert re.findall(r"(\d+) (created|updated)", again.stderr) == [("0", "created"), ("0", "updated")]
    assert server.request("/fhir/Patient?_summary=count")["total"] == 200


@embedded
def test_an_import_without_a_server_starts_its_own_mongod_and_ends_it(tmp_path: Path) -> None:
    with seed_directory() as seed:
        done = subprocess.run(
            [*COMMAND, "import", "visits", *sorted(map(str, (seed / "visits").glob("*.xml")))],
            env=environment(FHIR_DATA=str(tmp_path / "data")),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"(\d+) (created|rejected)", done.stderr) == [("40", "created"), ("0", "rejected")]
    mongod = json.loads((tmp_path / "data" / "mongod.json").read_text(encoding="utf-8"))["pid"]
    assert running({mongod}) == set()


@embedded
def test_a_card_is_a_link_a_code_to_type_and_a_picture_that_only_its_owner_may_read(server: Server) -> None:
    patient = server.request("/fhir/Patient", {"resourceType": "Patient", "name": [{"text": "Trần Thị Thử"}]})
    picture = server.data / "card.png"
    issued = subprocess.run(
        [
            *COMMAND,
            *("cards", "issue", "--patient", f"Patient/{patient['id']}"),
            *("--data", str(server.data), "--png", str(picture)),
        ],
        env=environment(FHIR_PUBLIC_URL="https://hososuckhoe.example.vn"),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert issued.returncode == 0
    link, code, pin = issued.stdout.splitlines()
    assert re.fullmatch(r"https://hososuckhoe\.example\.vn/q#[A-Za-z0-9_-]{22}", link)
    assert re.fullmatch(r"([0-9A-Z]{4}-){6}[0-9A-Z]{2}", code)
    assert re.fullmatch(r"[0-9]{6}", pin)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_mode & 0o077 == 0


@embedded
def test_a_card_for_nobody_is_refused(server: Server) -> None:
    issued = subprocess.run(
        [*COMMAND, "cards", "issue", "--patient", "nobody", "--data", str(server.data)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert issued.returncode == 1
    assert issued.stdout == ""
    assert issued.stderr.startswith("Error: ")
    assert "Traceback" not in issued.stderr


@embedded
def test_the_log_of_requests_has_their_paths_and_never_their_queries(server: Server) -> None:
    server.request("/fhir/Patient?name=tranthikhongai&identifier=HS4010000000123")
    assert eventually(lambda: '"GET /fhir/Patient" 200' in server.log.read_text(encoding="utf-8"))
    log = server.log.read_text(encoding="utf-8")
    assert "tranthikhongai" not in log
    assert "HS4010000000123" not in log


@embedded
def test_the_demonstration_imports_once_and_only_starts_the_second_time(tmp_path: Path) -> None:
    first = start(tmp_path / "data", command="demo")
    counts = {name: count(first, name) for name in ("Patient", "Encounter", "Observation", "AllergyIntolerance")}
    assert first.stop() == 0
    first_log = first.log.read_text(encoding="utf-8")
    assert counts["Patient"] == 201  # one visitor is not on the roster
    assert counts["Encounter"] == 40
    first.log.unlink()
    second = start(tmp_path / "data", command="demo")
    try:
        assert {name: count(second, name) for name in counts} == counts
        second_log = second.log.read_text(encoding="utf-8")
        assert "206 rows:" in first_log
        assert "rows:" not in second_log
        for log, port in ((first_log, first.port), (second_log, second.port)):
            assert f"curl 'http://127.0.0.1:{port}/fhir/Patient?name=nguyen&_count=5&_total=accurate'" in log
            assert re.search(rf"http://127\.0\.0\.1:{port}/q#[A-Za-z0-9_-]{{22}}\n", log)
            assert f"http://127.0.0.1:{port}/\n" in log
    finally:
        second.stop()


# ---- bodies as they arrive -----------------------------------------------------------------------------------------------

JSON = "application/fhir+json"
CHUNKED, LAST_CHUNK = "Transfer-Encoding: chunked", b"0\r\n\r\n"
BASIC = b'{"resourceType":"Basic","code":{"text":"sent in pieces"}}'


def _send(server: Server, path: str, media: str, framing: str, content: bytes) -> socket.socket:
    """The connection on which a POST was sent as far as this content goes."""
    head = (f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Content-Type: {media}", framing)
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode() + content)
    return connection


def _answer(server: Server, path: str, media: str, framing: str, content: bytes) -> bytes:
    with _send(server, path, media, framing, content) as connection, connection.makefile("rb") as answer:
        return answer.read()


def _is_refused_when_broken_off(server: Server, path: str, media: str, framing: str, content: bytes) -> bool:
    """Whether what was sent by a client that goes away then is answered with 400, which only the log can tell."""
    line = f'"POST {path}" 400 '
    before = server.log.read_text(encoding="utf-8").count(line)
    _send(server, path, media, framing, content).close()
    return eventually(lambda: server.log.read_text(encoding="utf-8").count(line) == before + 1)


def _chunks(content: bytes) -> bytes:
    pieces = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


@embedded
def test_a_body_in_chunks_is_taken_up_to_the_limit_and_one_byte_more_is_413(server: Server) -> None:
    before = count(server, "Basic")
    whole = _chunks(BASIC.ljust(BODY_LIMIT)) + LAST_CHUNK
    assert _answer(server, "/fhir/Basic", JSON, CHUNKED, whole).startswith(b"HTTP/1.1 201 ")
    longer = _chunks(BASIC.ljust(BODY_LIMIT + 1)) + LAST_CHUNK
    refused = _answer(server, "/fhir/Basic", JSON, CHUNKED, longer)
    assert refused.startswith(b"HTTP/1.1 413 ")
    assert json.loads(refused.partition(b"\r\n\r\n")[2])["issue"][0]["code"] == "too-long"
    assert count(server, "Basic") == before + 1


@embedded
@pytest.mark.parametrize(
    ("framing", "content"),
    [(f"Content-Length: {len(BASIC) + 1}", BASIC), (CHUNKED, _chunks(BASIC[:-1]))],
    ids=["length", "chunks"],
)
def test_of_a_body_that_is_broken_off_nothing_is_stored(server: Server, framing: str, content: bytes) -> None:
    before = count(server, "Basic")
    assert _is_refused_when_broken_off(server, "/fhir/Basic", JSON, framing, content)
    assert count(server, "Basic") == before


@embedded
def test_content_in_chunks_is_refused_where_nothing_tells_whether_it_is_whole(server: Server) -> None:
    content = _chunks(b"half or whole") + LAST_CHUNK
    assert _answer(server, "/fhir/Binary", "image/png", CHUNKED, content).startswith(b"HTTP/1.1 411 ")
    assert count(server, "Binary") == 0


@embedded
def test_a_form_of_a_page_that_is_broken_off_is_not_read(server: Server) -> None:
    sent = ("/desk/login", "application/x-www-form-urlencoded")
    form = b"entry_token=none&name=nobody&password=wrong"
    assert _answer(server, *sent, f"Content-Length: {len(form)}", form).startswith(b"HTTP/1.1 403 ")
    assert _is_refused_when_broken_off(server, *sent, f"Content-Length: {len(form) + 9}", form)
