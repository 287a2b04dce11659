"""The embedded MongoDB: one mongod child process per data directory, run as a one-member replica set.

https://www.mongodb.com/docs/v6.0/reference/program/mongod/ (a replica set, because only those have transactions)

A data directory holds `db/` (MongoDB's files), `mongod.log`, `mongod.json` (where the running mongod answers) and
`owner.lock`, flock-ed for as long as the process that started mongod lives.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from fhir_server.store.binary import find_mongod
from fhir_server.store.connection import MongoDBUnusable

REPLICA_SET = "fhir"
Purpose = Literal["serve", "import", "test"]

START_SECONDS = 60.0  # a journal to replay after a kill may take a while on a slow disk
STOP_SECONDS = 6.0  # `serve` promises to be gone within 10
OPLOG_MB = 512
# A person has a hundred index entries all over the keys. With MongoDB's own limits (5% of the cache changed and not yet
# written) a bulk import writes the same pages again and again: half of what mongod does then.
EVICTION = "eviction_dirty_target=20,eviction_dirty_trigger=40,eviction_updates_target=15,eviction_updates_trigger=30"
PORTS = range(27_100, 32_700)  # below what the kernel hands out to outgoing connections, so it is free next time too
OPEN_FILES = 64_000  # a collection and its indexes are a file each: 146 types pass the usual 1024
_PR_SET_PDEATHSIG = 1
_NOT_YET_INITIALIZED = 94
_ALREADY_INITIALIZED = 23


class DataDirInUse(MongoDBUnusable):
    """Another live process owns this data directory."""


class MongodFailed(MongoDBUnusable):
    """mongod did not start; the message names the reason and the fix."""


class Mongod:
    """A mongod that belongs to this process and to one data directory.

    It ends with this process, however that ends: the kernel sends it SIGTERM when the thread that called `start`
    is gone, so `start` belongs in the main thread.
    """

    def __init__(self, data_dir: Path, *, cache_mb: int = 256, purpose: Purpose = "serve") -> None:
        self.data_dir = data_dir.resolve()
        self.cache_mb = cache_mb
        self.purpose = purpose
        self.uri = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    def __enter__(self) -> Mongod:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> str:
        """Start mongod and return its URI once it accepts writes. Raises DataDirInUse, MongodFailed, MongodMissing."""
        if sys.platform != "linux":
            raise MongodFailed("The embedded MongoDB runs on Linux only. Set FHIR_MONGODB_URI to another MongoDB.")
        binary = find_mongod()
        try:
            if not self.data_dir.exists():
                self.data_dir.mkdir(parents=True, mode=0o700)
            (self.data_dir / "db").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise MongodFailed(
                f"{self.data_dir} cannot be the data directory ({error.strerror}): choose another one with --data."
            ) from error
        self._lock = _lock_data_dir(self.data_dir, self.purpose)
        try:
            _stop_stale(self.data_dir)
            port = _choose_port(self.data_dir)
            self.process = _spawn(self._command(binary, port), self.data_dir)
            _wait_for_port(self.process, port, self.data_dir)
            _make_primary(port)
            self._write_state(port)
        except BaseException:
            self.stop()
            raise
        self.uri = uri_of(port)
        return self.uri

    def wait(self) -> None:
        """Return when mongod has ended, for whatever reason."""
        if (process := self.process) is not None:
            process.wait()

    def stop(self) -> None:
        """Stop mongod and wait until it is gone; safe to call twice."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _command(self, binary: Path, port: int) -> list[str]:
        parameters = {
            "diagnosticDataCollectionEnabled": "false",
            # There is no second member to hand over to, so nothing to wait for on the way down.
            "shutdownTimeoutMillisForSignaledShutdown": "0",
        }
        return [
            str(binary),
            *("--dbpath", str(self.data_dir / "db")),
            *("--logpath", str(self.data_dir / "mongod.log"), "--quiet"),
            *("--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"),
            *("--replSet", REPLICA_SET, "--oplogSize", str(OPLOG_MB)),
            *("--wiredTigerCacheSizeGB", f"{max(self.cache_mb, 256) / 1024:.3f}"),
            *("--wiredTigerCollectionBlockCompressor", "zstd"),
            *("--wiredTigerEngineConfigString", EVICTION),
            # The log of slow operations quotes their filters, which carry people's identifiers.
            *("--slowms", str(2**31 - 1)),
            *(part for name, value in parameters.items() for part in ("--setParameter", f"{name}={value}")),
        ]

    def _write_state(self, port: int) -> None:
        assert self.process is not None
        state = {"pid": self.process.pid, "port": port}
        fresh = self.data_dir / "mongod.json.new"
        fresh.write_text(json.dumps(state), encoding="utf-8")
        fresh.replace(self.data_dir / "mongod.json")


def uri_of(port: int) -> str:
    """The URI of the embedded mongod on a port of this machine."""
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


def attach(data_dir: Path) -> str | None:
    """The URI of the mongod that a running server owns in this data directory; None when nobody owns it.

    Raises DataDirInUse when the owner is an import: its mongod ends with it, under the feet of whoever joined.
    """
    data_dir = data_dir.resolve()
    owner = _owner(data_dir)
    if owner is None:
        return None
    pid, purpose = owner
    state = _read_state(data_dir)
    if purpose != "serve" or state is None or not _is_mongod_of(state["pid"], data_dir):
        raise _in_use(data_dir, pid, purpose)
    return uri_of(state["port"])


def _lock_data_dir(data_dir: Path, purpose: Purpose) -> int:
    path = data_dir / "owner.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            owner = _read_owner(path)
            # A killed owner's forked workers keep the lock for the moment the kernel needs to end them.
            if (owner is None or not _is_alive(owner[0])) and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            os.close(lock)
            pid, held_for = owner or (0, "unknown")
            raise _in_use(data_dir, pid, held_for) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {purpose}".encode(), 0)
    return lock


def _in_use(data_dir: Path, pid: int, purpose: str) -> DataDirInUse:
    return DataDirInUse(
        f"The data directory {data_dir} is in use by process {pid} ({purpose}). "
        "Stop that process first, or choose another directory with --data."
    )


def _owner(data_dir: Path) -> tuple[int, str] | None:
    """Process id and purpose of the live owner of the data directory."""
    path = data_dir / "owner.lock"
    try:
        lock = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _read_owner(path)
        return owner if owner is not None and _is_alive(owner[0]) else None
    finally:
        os.close(lock)
    return None


def _read_owner(path: Path) -> tuple[int, str] | None:
    pid, _, purpose = path.read_text(encoding="utf-8").partition(" ")
    return (int(pid), purpose) if pid.isdigit() else None


def _read_state(data_dir: Path) -> dict[str, int] | None:
    try:
        state = json.loads((data_dir / "mongod.json").read_text(encoding="utf-8"))
        return {"pid": int(state["pid"]), "port": int(state["port"])}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # never written, or the machine went down in the middle: the same as not running


def _is_alive(pid: int) -> bool:
    return bool(_command_line(pid))


def _command_line(pid: int) -> list[str]:
    """The arguments of a process; empty when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _is_mongod_of(pid: int, data_dir: Path) -> bool:
    return str(data_dir / "db") in _command_line(pid)


def _stop_stale(data_dir: Path) -> None:
    """End a mongod that outlived its killed owner. Process ids get reused, so its command line must name our files."""
    candidates = {state["pid"] for state in [_read_state(data_dir)] if state}
    with contextlib.suppress(FileNotFoundError, ValueError):  # mongod empties its own lock file when it ends cleanly
        candidates.add(int((data_dir / "db" / "mongod.lock").read_text(encoding="ascii")))
    for pid in candidates:
        for stop_signal in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + STOP_SECONDS
            if _is_mongod_of(pid, data_dir):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, stop_signal)
            while _is_mongod_of(pid, data_dir) and time.monotonic() < deadline:
                time.sleep(0.02)


def _choose_port(data_dir: Path) -> int:
    """The port of last time if it is free (the replica set remembers it), else any free one."""
    state = _read_state(data_dir)
    candidates = random.sample(PORTS, len(PORTS))
    for port in [state["port"], *candidates] if state else candidates:
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise MongodFailed(f"None of the ports {PORTS[0]} to {PORTS[-1]} is free for mongod.")


def _spawn(command: list[str], data_dir: Path) -> subprocess.Popen[bytes]:
    log = data_dir / "mongod.log"
    if log.exists():
        log.replace(data_dir / "mongod.log.1")
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, hard))
        if os.getppid() != parent:  # the parent died before the line above took effect
            os._exit(1)

    with (data_dir / "mongod.out").open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(data_dir)},
            preexec_fn=in_child,
            umask=0o077,
            start_new_session=True,  # Ctrl-C in the terminal stops the server first, and the server stops mongod
        )


def _wait_for_port(process: subprocess.Popen[bytes], port: int, data_dir: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise MongodFailed(_why_it_failed(process.returncode, data_dir))
        with contextlib.closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise MongodFailed(f"mongod did not answer within {START_SECONDS:.0f} s. Its log is {data_dir / 'mongod.log'}.")


def _why_it_failed(code: int, data_dir: Path) -> str:
    output = (data_dir / "mongod.out").read_text(encoding="utf-8", errors="replace").strip()
    if "error while loading shared libraries" in output:
        library = output.rpartition("libraries: ")[2].partition(":")[0]
        return f"mongod needs the system library {library}. Install it: sudo apt-get install -y libcurl4 libssl3"
    if code == -signal.SIGILL:
        return "This CPU lacks AVX, which MongoDB needs. Set FHIR_MONGODB_URI to a MongoDB on another machine."
    fatal = next(_fatal_messages(data_dir / "mongod.log"), output.splitlines()[-1] if output else "no message")
    return f"mongod ended with code {code}: {fatal} Its log is {data_dir / 'mongod.log'}."


def _fatal_messages(log: Path) -> Iterator[str]:
    """Why mongod gave up, from its log of one JSON object a line, the last reason first."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    for line in reversed(lines):
        with contextlib.suppress(ValueError):  # a kill can leave half a line
            entry = json.loads(line)
            if entry.get("s") in {"E", "F"} and "error" in entry.get("attr", {}):
                yield f"{entry['msg']}: {entry['attr']['error']}."


def _make_primary(port: int) -> None:
    """Initiate the replica set, or tell it its new port, and wait until this member accepts writes."""
    deadline = time.monotonic() + START_SECONDS
    client: MongoClient[dict[str, Any]] = MongoClient("127.0.0.1", port, directConnection=True)
    try:
        with client:
            while not (hello := client.admin.command("hello")).get("isWritablePrimary"):
                if time.monotonic() > deadline:
                    raise MongodFailed(f"mongod on port {port} did not become primary within {START_SECONDS:.0f} s.")
                if hello.get("isreplicaset"):
                    _configure(client, f"127.0.0.1:{port}")
                time.sleep(0.01)
    except PyMongoError as error:
        raise MongodFailed(f"mongod on port {port} could not be made a replica set: {error}.") from error


def _configure(client: MongoClient[dict[str, Any]], me: str) -> None:
    """One attempt at a replica set whose only member is this mongod; the caller looks whether it worked."""
    member = {"_id": 0, "host": me}
    # AutoReconnect: a member drops its connections when its role changes.
    with contextlib.suppress(AutoReconnect):
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
            _initiate(client, member)
            return
        if config["members"][0]["host"] != me:
            config["members"] = [{**config["members"][0], "host": me}]
            client.admin.command("replSetReconfig", config, force=True)


def _initiate(client: MongoClient[dict[str, Any]], member: dict[str, Any]) -> None:
    try:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALIZED:  # it is still reading the configuration of its last run
            raise
