"""The command line, and the server as the processes it really is."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhir_server.cli import main
from fhir_server.commands.demo import seed_directory
from fhir_server.config import documentation

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


def _environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_")}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _running(pids: set[int]) -> set[int]:
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return {pid for pid, state in states.items() if state != "Z"}


def _all_end_within(pids: set[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _running(pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _running(pids)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(data: Path, *arguments: str, command: str = "serve", **settings: str) -> Server:
    """Start a server and wait for its line that says it is ready."""
    port = _free_port()
    log = data.with_suffix(".log")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*COMMAND, command, "--port", str(port), "--data", str(data), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(**settings),
        )
    server = Server(process, port, data, log)
    deadline = time.monotonic() + 60
    while f"127.0.0.1:{port}/" not in log.read_text(encoding="utf-8"):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.02)
    return server


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in this process with no setting in the environment."""
    for name in list(os.environ):
        if name.startswith("FHIR_"):
            monkeypatch.delenv(name)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return invoke


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for tests that only read and add."""
    running = _start(tmp_path_factory.mktemp("server") / "data", FHIR_ACCESS_LOG="yes")
    yield running
    running.stop()


# ---- commands that end at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_open_access_on_any_address_but_loopback_is_refused(run: Any, command: str) -> None:
    result = run(command, "--host", "0.0.0.0")
    assert result.exit_code == 1
    assert result.output == (
        "Error: Open access lets anybody read every record, so it is refused on 0.0.0.0: "
        "only loopback addresses such as 127.0.0.1 are allowed (FHIR_HOST, --host).\n"
    )


def test_a_port_somebody_listens_on_is_refused_before_anything_starts(run: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port), "--data", str(tmp_path / "data"))
    assert result.exit_code == 1
    assert result.output == (
        f"Error: The server cannot listen on 127.0.0.1:{port} (Address already in use). "
        "Choose another port with --port, or stop the program that uses this one.\n"
    )
    assert not (tmp_path / "data").exists()


def test_config_table_prints_the_documented_table(run: Any) -> None:
    assert run("config", "table").output == documentation()


def test_config_check_refuses_a_value_and_names_its_variable(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_PORT", "eighty")
    result = run("config", "check")
    assert result.exit_code == 1
    assert result.output == "Error: FHIR_PORT must be a whole number from 1 to 65535, not 'eighty'.\n"


def test_config_check_finds_a_variable_that_is_no_setting(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FHIR_PROT", "80")
    result = run("config", "check", "--data", str(tmp_path / "data"))
    assert result.exit_code == 1
    assert result.stderr == "Error: FHIR_PROT is no setting of this version; `fhir-server config table` lists them.\n"


def test_config_check_says_that_no_mongodb_answers_and_shows_no_password(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"mongodb://root:hunter2@127.0.0.1:{_free_port()}/?replicaSet=rs0"
    monkeypatch.setenv("FHIR_MONGODB_URI", uri)
    result = run("config", "check")
    assert result.exit_code == 1
    assert "root:***@127.0.0.1" in result.stdout
    assert "hunter2" not in result.output
    assert result.stderr == (
        "Error: No MongoDB answered within 5 s. Check that it runs and that FHIR_MONGODB_URI "
        "names its hosts and replica set.\n"
    )


def test_config_check_accepts_the_mongodb_of_the_tests(
    run: Any, monkeypatch: pytest.MonkeyPatch, mongod_uri: str
) -> None:
    monkeypatch.setenv("FHIR_MONGODB_URI", mongod_uri)
    result = run("config", "check")
    assert result.exit_code == 0
    assert re.search(r"^MongoDB \d+\.\d+\.\d+ answers\.$", result.stdout, re.MULTILINE)


def test_config_check_refuses_a_data_directory_that_is_a_file(run: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("", encoding="ascii")
    result = run("config", "check", "--data", str(tmp_path / "data"))
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {tmp_path / 'data'} is not a directory this account can write to (FHIR_DATA, --data).\n"
    )


def test_a_file_that_does_not_exist_is_named(run: Any) -> None:
    result = run("import", "roster", "absent.csv")
    assert result.exit_code == 2
    assert "File 'absent.csv' does not exist." in result.output


# ---- the server process --------------------------------------------------------------------------------------------------


@embedded
def test_sigterm_ends_server_workers_and_mongod_within_10_seconds_with_code_0(tmp_path: Path) -> None:
    server = _start(tmp_path / "data", "--workers", "2")
    processes = server.processes()
    assert len(processes) == 4  # the server, two workers, mongod
    assert server.stop() == 0
    assert _running(processes) == set()


@embedded
def test_an_interrupt_from_the_terminal_ends_it_as_well(tmp_path: Path) -> None:
    server = _start(tmp_path / "data")
    processes = server.processes()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(10) == 0
    assert _running(processes) == set()


@embedded
def test_after_kill_9_nothing_is_left_running_and_a_restart_has_every_acknowledged_write(tmp_path: Path) -> None:
    server = _start(tmp_path / "data")
    created = server.request("/fhir/Patient", {"resourceType": "Patient", "name": [{"text": "Nguyễn Văn Thử"}]})
    processes = server.processes()
    server.process.kill()
    server.process.wait()
    assert _all_end_within(processes, 10)
    restarted = _start(tmp_path / "data")
    try:
        assert restarted.request(f"/fhir/Patient/{created['id']}") == created
    finally:
        restarted.stop()


@embedded
def test_after_kill_9_of_everything_during_a_load_of_creates_every_acknowledged_write_is_there(tmp_path: Path) -> None:
    server = _start(tmp_path / "data", "--workers", "2")
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
    assert _eventually(lambda: len(acknowledged) >= 100)
    for pid in server.processes():
        os.kill(pid, signal.SIGKILL)
    for client in clients:
        client.join()
    server.process.wait()
    restarted = _start(tmp_path / "data")
    try:
        assert [restarted.request(f"/fhir/Basic/{basic['id']}") for basic in acknowledged] == acknowledged
    finally:
        restarted.stop()


@embedded
def test_when_mongod_is_lost_the_server_ends_and_says_so(tmp_path: Path) -> None:
    server = _start(tmp_path / "data")
    mongod = json.loads((server.data / "mongod.json").read_text(encoding="utf-8"))["pid"]
    os.kill(mongod, signal.SIGKILL)
    assert server.process.wait(10) == 1
    assert (
        f"Error: MongoDB ended, so the server did too. Its log is {server.data / 'mongod.log'}."
        in server.log.read_text(encoding="utf-8")
    )


@embedded
def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    server = _start(tmp_path / "data")
    try:
        mongod = json.loads((server.data / "mongod.json").read_text(encoding="utf-8"))["pid"]
        (worker,) = server.processes() - {server.process.pid, mongod}
        os.kill(worker, signal.SIGKILL)
        assert _all_end_within({worker}, 10)
        assert _eventually(lambda: server.request("/fhir/metadata")["resourceType"] == "CapabilityStatement")
        assert server.process.poll() is None
    finally:
        server.stop()


def _eventually(check: Any, seconds: float = 15) -> bool:
    """Whether the check comes true in time, while connections may be refused."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if check():
                return True
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    return False


@embedded
def test_a_second_server_on_the_same_data_directory_is_refused(server: Server) -> None:
    second = subprocess.run(
        [*COMMAND, "serve", "--port", str(_free_port()), "--data", str(server.data)],
        env=_environment(),
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
                env=_environment(),
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
            env=_environment(FHIR_DATA=str(tmp_path / "data")),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"(\d+) (created|rejected)", done.stderr) == [("40", "created"), ("0", "rejected")]
    mongod = json.loads((tmp_path / "data" / "mongod.json").read_text(encoding="utf-8"))["pid"]
    assert _running({mongod}) == set()


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
        env=_environment(FHIR_PUBLIC_URL="https://hososuckhoe.example.vn"),
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
        env=_environment(),
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
    assert _eventually(lambda: '"GET /fhir/Patient" 200' in server.log.read_text(encoding="utf-8"))
    log = server.log.read_text(encoding="utf-8")
    assert "tranthikhongai" not in log
    assert "HS4010000000123" not in log


@embedded
def test_the_demonstration_imports_once_and_starts_again_within_5_seconds(tmp_path: Path) -> None:
    first = _start(tmp_path / "data", command="demo")
    counts = {name: _count(first, name) for name in ("Patient", "Encounter", "Observation", "AllergyIntolerance")}
    assert first.stop() == 0
    first_log = first.log.read_text(encoding="utf-8")
    assert counts["Patient"] == 201  # one visitor is not on the roster
    assert counts["Encounter"] == 40
    first.log.unlink()
    before = time.monotonic()
    second = _start(tmp_path / "data", command="demo")
    try:
        assert time.monotonic() - before < 5
        assert {name: _count(second, name) for name in counts} == counts
        second_log = second.log.read_text(encoding="utf-8")
        assert "206 rows:" in first_log
        assert "rows:" not in second_log
        for log, port in ((first_log, first.port), (second_log, second.port)):
            assert f"curl 'http://127.0.0.1:{port}/fhir/Patient?name=nguyen&_count=5&_total=accurate'" in log
            assert re.search(rf"http://127\.0\.0\.1:{port}/q#[A-Za-z0-9_-]{{22}}\n", log)
            assert f"http://127.0.0.1:{port}/\n" in log
    finally:
        second.stop()


def _count(server: Server, resource_type: str) -> int:
    return int(server.request(f"/fhir/{resource_type}?_summary=count")["total"])
