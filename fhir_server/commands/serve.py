"""The server process: it owns mongod, and granian's workers answer the requests.

https://github.com/emmett-framework/granian (WSGI, few blocking threads: chosen by measurement, see docs/decisions)
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from wsgiref.types import WSGIApplication

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from fhir_server.commands import CommandFailed
from fhir_server.commands.audit import shipping
from fhir_server.commands.database import open_store, repository_on
from fhir_server.config import Config
from fhir_server.store.connection import connect
from fhir_server.store.mongod import Mongod

WORKERS_STOP_SECONDS = 3  # with mongod's own time this keeps the promise to be gone within 10
READY_SECONDS = 60.0
BACKLOG = 1024
# A worker that ends so often in so short a time cannot work: the server ends too, and says so to whoever watches over it.
CRASHES, CRASH_SECONDS = 12, 30.0
_PR_SET_PDEATHSIG = 1
# The path without its query: a query carries names and card numbers.
ACCESS_LOG = '%(time)s %(addr)s "%(method)s %(path)s" %(status)d %(dt_ms).1f ms'


def serve(config: Config, *, prepare: Callable[[str], object], ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or Ctrl-C. `prepare` gets MongoDB's URI before the port opens, `ready` runs once it answers.

    Raises CommandFailed, MongoDBUnusable. Belongs in the main thread.
    """
    _refuse_taken_port(config)
    # Until granian has handlers of its own, a signal must still let mongod end in good order.
    signal.signal(signal.SIGTERM, _leave)
    if config.mongodb_uri:
        connect(config.mongodb_uri).close()
        prepare(config.mongodb_uri)
        _run(config, None, ready)
        return
    with Mongod(config.data, cache_mb=config.cache_mb, purpose="serve") as mongod:
        prepare(mongod.uri)
        _run(replace(config, mongodb_uri=mongod.uri), mongod, ready)


def application() -> WSGIApplication:
    """The WSGI application of one worker, from the environment its server made. Runs in the worker's process."""
    # The kernel ends the worker when the server process is killed: nothing else would free the port.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    from fhir_server.access.audit_spool import Spool
    from fhir_server.app import create_app
    from fhir_server.intake import residents
    from fhir_server.intake.gateway import worker

    config = Config.from_environment(os.environ)
    if config.mongodb_uri is None:
        raise CommandFailed("A worker needs FHIR_MONGODB_URI: start the server with fhir-server serve.")
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # At level debug the driver writes every command it sends, with the records in it.
    logging.getLogger("pymongo").setLevel(logging.WARNING)
    repository = repository_on(open_store(config, config.mongodb_uri), config)
    repository.warm_up()
    threading.Thread(
        target=repository.exports.keep_working, args=(threading.Event(),), name="exports", daemon=True
    ).start()
    spool = Spool(config.audit_spool) if config.audit else None
    worker.start(repository, spool)
    residents.start(repository, spool)
    return create_app(repository, config=config)


class _Server(Granian):  # type: ignore[misc,valid-type]  # a variable: processes, or threads on free-threaded Python
    """Granian that says when it answers, replaces every worker that ends, and stops when MongoDB does."""

    def __init__(self, config: Config, mongod: Mongod | None, ready: Callable[[], None]) -> None:
        super().__init__(
            f"{__name__}:application",
            address=config.host,
            port=config.port,
            interface=Interfaces.WSGI,
            workers=config.workers,
            blocking_threads=config.threads,
            backlog=BACKLOG,
            factory=True,
            respawn_failed_workers=True,
            workers_kill_timeout=WORKERS_STOP_SECONDS,
            # Granian tells of its processes' comings and goings at level info; they matter when something is sought.
            log_level=LogLevels.debug if config.log_level == "debug" else LogLevels.warning,
            log_access=config.access_log,
            log_access_format=ACCESS_LOG,
        )
        self.config = config
        self.mongod = mongod
        self.announce = ready
        self.stopping = threading.Event()
        self.mongod_lost = False
        self.crashing = False
        self.interrupt_signal: bool = False

    def startup(self, *args: Any) -> None:
        super().startup(*args)
        threading.Thread(target=self._say_ready, daemon=True).start()
        if self.mongod is not None:
            threading.Thread(target=self._watch_mongod, daemon=True).start()

    def shutdown(self, exit_code: int = 0) -> None:
        self.stopping.set()
        self.interrupt_children.clear()  # what has ended is told by _run, in one sentence
        super().shutdown(exit_code)

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        """Granian's own loop gives up when a worker ends twice within 5.5 s, and forgets one that ends meanwhile."""
        ends: dict[int, deque[float]] = {}
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait()
            self.main_loop_interrupt.clear()
            while self.interrupt_children and not self.interrupt_signal:
                worker = self.interrupt_children.pop(0)
                of_it = ends.setdefault(worker, deque(maxlen=CRASHES))
                of_it.append(time.monotonic())
                if len(of_it) == CRASHES and of_it[-1] - of_it[0] < CRASH_SECONDS:
                    self.crashing = self.interrupt_signal = True
                    return
                self._respawn_workers([worker], spawn_target, target_loader)
            if self.reload_signal:
                self._reload(spawn_target, target_loader)

    def _say_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self.stopping.is_set():
            connection = HTTPConnection(self.config.host, self.config.port, timeout=READY_SECONDS)
            with closing(connection), contextlib.suppress(OSError, HTTPException):  # nobody listens yet
                connection.request("GET", "/health")
                if connection.getresponse().status == HTTPStatus.OK:
                    self.announce()
                    return
            time.sleep(0.02)

    def _watch_mongod(self) -> None:
        assert self.mongod is not None
        self.mongod.wait()
        if not self.stopping.is_set():
            self.mongod_lost = True
            self.interrupt_signal = True
            self.main_loop_interrupt.set()


def _run(config: Config, mongod: Mongod | None, ready: Callable[[], None]) -> None:
    os.environ.update(config.to_environment())
    server = _Server(config, mongod, ready)
    with shipping(config):
        server.serve()
    if server.crashing:
        raise CommandFailed(
            f"A worker ended {CRASHES} times within {CRASH_SECONDS:g} seconds, so the server did too. "
            "What it said before it ended is above; FHIR_LOG_LEVEL=debug says more."
        )
    if server.mongod_lost:
        raise CommandFailed(f"MongoDB ended, so the server did too. Its log is {config.data / 'mongod.log'}.")


def _refuse_taken_port(config: Config) -> None:
    """Workers share the port (SO_REUSEPORT), so a second server would silently get half of the first one's requests."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CommandFailed(
            f"The server cannot listen on {config.authority} ({error.strerror}). "
            "Choose another port with --port, or stop the program that uses this one."
        ) from error


def _leave(signal_number: int, frame: object) -> None:
    sys.exit(0)
