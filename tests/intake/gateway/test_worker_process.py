"""The worker in the real server process, which is killed in the middle of its work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.intake.gateway.conftest import PASSWORD, VISITS, visit_called
from tests.server_process import COMMAND, Server, embedded, environment, start

SENT = 30
DEADLINE_SECONDS = 90


def call(server: Server, path: str, body: bytes | None = None, *, token: str = "", type_: str = "") -> Any:
    headers = {"Content-Type": type_, "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", body, headers)
    for _ in range(200):
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError:
            raise
        except (ConnectionError, urllib.error.URLError):
            time.sleep(0.05)  # the worker that was killed is being replaced
    raise AssertionError("nobody answers")


def valid(server: Server, token: str) -> int:
    day = datetime.now(UTC).date()
    window = f"from_date={day - timedelta(days=1)}&to_date={day + timedelta(days=1)}"
    return call(server, f"{VISITS}/ho-so?{window}&error_status=no_error", token=token)["data"]["total"]


@embedded
def test_a_worker_that_is_killed_in_the_middle_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    server = start(tmp_path / "data")
    made = subprocess.run(
        [
            *COMMAND,
            "gateway-account",
            "add",
            "bv79001",
            "--unit-code",
            "79001",
            "--unit-name",
            "BV",
            "--data",
            str(server.data),
        ],
        input=f"{PASSWORD}\n".encode(),
        env=environment(),
        capture_output=True,
    )
    assert made.returncode == 0, made.stderr
    mongod = json.loads((server.data / "mongod.json").read_text())["pid"]
    login = json.dumps({"username": "bv79001", "password": PASSWORD}).encode()
    token = call(server, "/api/xac-thuc/token", login, type_="application/json")["data"]["access_token"]
    for number in range(SENT):
        xml = visit_called(f"79001_2611_{number:06}")
        answer = call(server, f"{VISITS}/hoan-tat", xml, token=token, type_="application/xml")
        assert answer["success"]
    _kill_workers(server, mongod)
    assert valid(server, token) < SENT
    deadline = time.monotonic() + DEADLINE_SECONDS
    while valid(server, token) < SENT:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert call(server, "/fhir/Encounter?_summary=count")["total"] == SENT
    assert call(server, "/fhir/Encounter/_history?_count=0")["total"] == SENT
    assert call(server, "/fhir/Patient?_summary=count")["total"] == 1
    assert PASSWORD not in server.log.read_text(encoding="utf-8")
    assert token not in server.log.read_text(encoding="utf-8")
    assert server.stop() == 0


def _kill_workers(server: Server, mongod: int) -> None:
    """End the processes that answer requests, in which the queue is worked through."""
    workers = server.processes() - {server.process.pid, mongod}
    assert workers
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
