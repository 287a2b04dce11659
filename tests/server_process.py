"""A `fhir-server` as the processes it really is, and what tests do to them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "fhir_server.cli"]
ROOT = Path(__file__).parent.parent


embedded = pytest.mark.skipif(
    bool(os.environ.get("FHIR_MONGODB_URI")), reason="FHIR_MONGODB_URI is set: this machine has no mongod of its own"
)


@dataclass
class Server:
    """A running `fhir-server`, its port and where it tells what happens."""

    process: subprocess.Popen[bytes]
    port: int
    data: Path
    log: Path

    def request(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=json.dumps(body).encode() if body else None,
            headers={"Content-Type": "application/fhir+json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def stop(self) -> int:
        """Send SIGTERM and give the exit code. Fails after the 10 seconds the server promises."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def processes(self) -> set[int]:
        """The server's process, its workers and its mongod."""
        found = {self.process.pid}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _parent(int(entry.name)) == self.process.pid:
                found.add(int(entry.name))
        return found


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_")}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def running(pids: set[int]) -> set[int]:
    """Those of the processes that have not ended."""
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return {pid for pid, state in states.items() if state != "Z"}


def all_end_within(pids: set[int], seconds: float) -> bool:
    """Whether all of the processes end in time."""
    deadline = time.monotonic() + seconds
    while running(pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running(pids)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(data: Path, *arguments: str, command: str = "serve", **settings: str) -> Server:
    """Start a server and wait for its line that says it is ready."""
    port = free_port()
    log = data.with_suffix(".log")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*COMMAND, command, "--port", str(port), "--data", str(data), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(**settings),
        )
    server = Server(process, port, data, log)
    deadline = time.monotonic() + 60
    while f"127.0.0.1:{port}/" not in log.read_text(encoding="utf-8"):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.02)
    return server


def eventually(check: Any, seconds: float = 15) -> bool:
    """Whether the check comes true in time, while connections may be refused."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if check():
                return True
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    return False


def count(server: Server, resource_type: str) -> int:
    """How many resources of a type the server holds."""
    return int(server.request(f"/fhir/{resource_type}?_summary=count")["total"])
