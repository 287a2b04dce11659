"""The embedded mongod: its life, its death by kill -9, and who may use a data directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.store.binary import find_mongod
from fhir_server.store.connection import MongoDBUnusable, NotAReplicaSet, connect
from fhir_server.store.mongod import DataDirInUse, Mongod, MongodFailed, attach

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("FHIR_MONGODB_URI")), reason="FHIR_MONGODB_URI is set: this machine has no mongod of its own"
)

# A process of its own that owns a mongod, inserts one document, says so, and waits to be killed.
OWNER = """
import sys, time
from pathlib import Path
from fhir_server.store.connection import connect
from fhir_server.store.mongod import Mongod
mongod = Mongod(Path(sys.argv[1]), purpose=sys.argv[2])
with connect(mongod.start()) as client:
    client.work.records.insert_one({"_id": "acknowledged"})
print(mongod.process.pid, flush=True)
time.sleep(600)
"""


def _start_owner(data_dir: Path, purpose: str = "serve") -> tuple[subprocess.Popen[str], int]:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(data_dir), purpose], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


def _kill(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()
    assert owner.stdout is not None
    owner.stdout.close()


def _is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _ends_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _is_running(pid)


def _port_of(mongod: Mongod) -> int:
    return int(mongod.uri.split(":")[2].split("/")[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A server's mongod on a data directory that did not exist before, for tests that leave it as it is."""
    with Mongod(tmp_path_factory.mktemp("running") / "data", cache_mb=300) as mongod:
        yield mongod


def test_data_survives_a_stop_and_a_start(tmp_path: Path) -> None:
    with Mongod(tmp_path / "data") as mongod, connect(mongod.uri) as client:
        client.work.records.insert_one({"_id": "kept"})
    with Mongod(tmp_path / "data") as mongod, connect(mongod.uri) as client:
        assert [document["_id"] for document in client.work.records.find()] == ["kept"]


def test_stop_waits_until_mongod_is_gone(tmp_path: Path) -> None:
    mongod = Mongod(tmp_path / "data")
    mongod.start()
    assert mongod.process is not None
    pid = mongod.process.pid
    mongod.stop()
    assert not _is_running(pid)
    assert attach(tmp_path / "data") is None


def test_the_data_directory_is_closed_to_other_accounts(running: Mongod) -> None:
    assert stat.S_IMODE(running.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((running.data_dir / "db").stat().st_mode) == 0o700
    assert stat.S_IMODE((running.data_dir / "mongod.log").stat().st_mode) == 0o600


def test_an_existing_directory_keeps_its_mode_and_the_database_in_it_is_closed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    with Mongod(tmp_path / "data"):
        pass
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "data" / "db").stat().st_mode) == 0o700


def test_the_log_of_the_last_start_is_kept_and_no_older_one(tmp_path: Path) -> None:
    for _ in range(3):
        with Mongod(tmp_path / "data"):
            pass
    assert sorted(path.name for path in (tmp_path / "data").glob("mongod.log*")) == ["mongod.log", "mongod.log.1"]


def test_mongod_is_a_one_member_replica_set_on_loopback_with_a_bounded_cache_and_zstd(running: Mongod) -> None:
    with connect(running.uri) as client:
        config = client.admin.command("replSetGetConfig")["config"]
        assert [member["host"] for member in config["members"]] == [f"127.0.0.1:{_port_of(running)}"]
        options = client.admin.command("getCmdLineOpts")["parsed"]
        assert options["net"] == {
            "bindIp": "127.0.0.1",
            "port": _port_of(running),
            "unixDomainSocket": {"enabled": False},
        }
        client.work.records.insert_one({})
        stats = client.work.command("collStats", "records")
        assert "block_compressor=zstd" in stats["wiredTiger"]["creationString"]
        cache = client.admin.command("serverStatus")["wiredTiger"]["cache"]["maximum bytes configured"]
        assert cache == 300 * 1024 * 1024


def test_the_filter_of_a_slow_operation_never_reaches_the_log(running: Mongod) -> None:
    with connect(running.uri) as client:
        client.work.slow.insert_one({"_id": 1})
        slow = {"$where": "sleep(300) || true", "card": "HS4010000000123"}
        assert list(client.work.slow.find(slow)) == []
    assert "HS4010000000123" not in (running.data_dir / "mongod.log").read_text(encoding="utf-8")


def test_when_its_port_is_taken_it_moves_and_the_replica_set_moves_with_it(tmp_path: Path) -> None:
    with Mongod(tmp_path / "data") as mongod, connect(mongod.uri) as client:
        client.work.records.insert_one({"_id": "kept"})
        port = _port_of(mongod)
    other = tmp_path / "other"
    other.mkdir()
    (other / "mongod.json").write_text(json.dumps({"pid": 0, "port": port}), encoding="utf-8")
    with Mongod(other) as taken, Mongod(tmp_path / "data") as moved, connect(moved.uri) as client:
        assert taken.uri == mongod.uri
        assert moved.uri != mongod.uri
        client.work.records.insert_one({"_id": "after the move"})
        assert client.work.records.count_documents({}) == 2


def test_the_port_stays_the_same_when_it_is_free(tmp_path: Path) -> None:
    with Mongod(tmp_path / "data") as first:
        pass
    with Mongod(tmp_path / "data") as second:
        assert second.uri == first.uri


def test_a_second_server_on_the_same_data_directory_is_refused(running: Mongod) -> None:
    with pytest.raises(DataDirInUse) as refused:
        Mongod(running.data_dir).start()
    assert str(refused.value) == (
        f"The data directory {running.data_dir} is in use by process {os.getpid()} (serve). "
        "Stop that process first, or choose another directory with --data."
    )
    with connect(running.uri) as client:
        assert client.admin.command("hello")["isWritablePrimary"] is True


def test_an_import_joins_the_mongod_of_a_running_server(running: Mongod) -> None:
    assert attach(running.data_dir) == running.uri


def test_nothing_joins_the_mongod_of_an_import(tmp_path: Path) -> None:
    with (
        Mongod(tmp_path / "data", purpose="import"),
        pytest.raises(DataDirInUse, match=r"in use by process \d+ \(import\)"),
    ):
        attach(tmp_path / "data")


def test_there_is_nothing_to_join_in_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    assert attach(tmp_path / "absent") is None


def test_mongod_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    owner, mongod_pid = _start_owner(tmp_path / "data")
    _kill(owner)
    assert _ends_within(mongod_pid, 10)


def test_after_kill_9_of_the_owner_a_start_finds_every_acknowledged_write(tmp_path: Path) -> None:
    owner, _ = _start_owner(tmp_path / "data")
    _kill(owner)
    with Mongod(tmp_path / "data") as mongod, connect(mongod.uri) as client:
        assert [document["_id"] for document in client.work.records.find()] == ["acknowledged"]


def test_after_kill_9_of_mongod_and_owner_a_start_finds_every_acknowledged_write(tmp_path: Path) -> None:
    owner, mongod_pid = _start_owner(tmp_path / "data")
    os.kill(mongod_pid, signal.SIGKILL)
    _kill(owner)
    with Mongod(tmp_path / "data") as mongod, connect(mongod.uri) as client:
        assert [document["_id"] for document in client.work.records.find()] == ["acknowledged"]


def test_a_mongod_that_outlived_its_owner_is_ended_before_the_next_start(tmp_path: Path) -> None:
    owner, mongod_pid = _start_owner(tmp_path / "data")
    os.kill(mongod_pid, signal.SIGSTOP)  # it cannot react to its owner's death
    _kill(owner)
    assert attach(tmp_path / "data") is None
    with Mongod(tmp_path / "data") as mongod, connect(mongod.uri) as client:
        assert not _is_running(mongod_pid)
        assert client.work.records.count_documents({}) == 1


def test_a_recorded_process_id_that_now_belongs_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with Mongod(tmp_path / "data") as mongod:
        port = _port_of(mongod)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        state = {"pid": stranger.pid, "port": port}
        (tmp_path / "data" / "mongod.json").write_text(json.dumps(state), encoding="utf-8")
        (tmp_path / "data" / "db" / "mongod.lock").write_text(f"{stranger.pid}\n", encoding="ascii")
        with Mongod(tmp_path / "data"):
            assert stranger.poll() is None
        stranger.kill()


def test_half_a_state_file_is_the_same_as_none(tmp_path: Path) -> None:
    with Mongod(tmp_path / "data"):
        pass
    (tmp_path / "data" / "mongod.json").write_text('{"pid": 12', encoding="utf-8")
    with Mongod(tmp_path / "data") as mongod, connect(mongod.uri) as client:
        assert client.admin.command("hello")["isWritablePrimary"] is True


def test_a_missing_system_library_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "mongod"
    loader_says = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file"
    binary.write_text(f"#!/bin/sh\necho '{loader_says}' >&2\nexit 127\n", encoding="ascii")
    binary.chmod(0o755)
    monkeypatch.setenv("FHIR_MONGOD", str(binary))
    with pytest.raises(MongodFailed) as failed:
        Mongod(tmp_path / "data").start()
    assert str(failed.value) == (
        "mongod needs the system library libcurl.so.4. Install it: sudo apt-get install -y libcurl4 libssl3"
    )


def test_files_mongod_cannot_read_are_reported_with_its_own_reason(tmp_path: Path) -> None:
    (tmp_path / "data" / "db").mkdir(parents=True)
    (tmp_path / "data" / "db" / "storage.bson").write_text("not BSON", encoding="ascii")
    reason = r"^mongod ended with code \d+: Unable to read the storage engine metadata file: .* Its log is "
    for _ in range(2):  # the first failure released the directory, so the second is not DataDirInUse
        with pytest.raises(MongodFailed, match=reason):
            Mongod(tmp_path / "data").start()


def test_a_file_in_the_place_of_the_data_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("", encoding="ascii")
    with pytest.raises(MongodFailed) as failed:
        Mongod(tmp_path / "data").start()
    assert str(failed.value) == (
        f"{tmp_path / 'data'} cannot be the data directory (Not a directory): choose another one with --data."
    )


def test_a_standalone_mongod_is_refused_with_what_to_do(tmp_path: Path) -> None:
    port = _free_port()
    command = [str(find_mongod()), "--dbpath", str(tmp_path), "--bind_ip", "127.0.0.1", "--port", str(port)]
    alone = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with pytest.raises(NotAReplicaSet, match=r"Start mongod with --replSet rs0, run rs\.initiate\(\) once"):
            connect(f"mongodb://127.0.0.1:{port}")
    finally:
        alone.terminate()
        alone.wait()


def test_an_address_where_nothing_answers_is_refused_within_its_time_and_without_the_password() -> None:
    uri = f"mongodb://someone:secret@127.0.0.1:{_free_port()}/?replicaSet=rs0"
    with pytest.raises(MongoDBUnusable) as refused:
        connect(uri, timeout_ms=300)
    assert str(refused.value) == (
        "No MongoDB answered within 0.3 s. Check that it runs and that FHIR_MONGODB_URI "
        "names its hosts and replica set."
    )


def test_text_that_is_no_uri_is_refused() -> None:
    with pytest.raises(MongoDBUnusable, match="is not a MongoDB URI such as mongodb://host:27017"):
        connect("https://localhost:27017")


def test_a_write_is_acknowledged_by_a_majority_and_journaled(mongod_uri: str) -> None:
    with connect(mongod_uri) as client:
        assert client.write_concern.document == {"w": "majority", "j": True}
