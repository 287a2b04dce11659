"""From the spool to MongoDB: records become AuditEvents, each linked to the one before, in batches.

Exactly once: how far the spool was read is stored in the transaction that stores the events.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from .access.audit_events import events_of
from .access.audit_record import from_line
from .access.audit_spool import is_let_go, only_reader, read_lines, segments
from .errors import FhirError
from .records import Document, document_of, now
from .store.audit import AUDITED, AuditChains, event_id, link
from .store.records import Store

READ_BYTES = 64 * 1024  # of the spool at a time: a transaction of some 250 events
SHARE = 0.1
"""Of the time, spent on shipping while requests go on: 500 events a second and more. What comes faster waits a little."""
HURRY_BYTES = 64 * 1024 * 1024
"""When so much waits, all of the time is spent on it."""
POLL_SECONDS = 0.25
RETRY_SECONDS = 5.0
ANCHOR_SECONDS = 300.0
ANCHORS = "anchors"
_NICE = 10  # events can wait, requests cannot
_log = logging.getLogger(__name__)


class AuditShipping:
    """Ships one spool directory. Several processes may try; one at a time does it."""

    def __init__(self, store: Store, directory: Path, base_url: str) -> None:
        self._chains = AuditChains(store)
        self._directory = directory
        self._base_url = base_url
        self._site = socket.gethostname()
        self._anchored_at = -ANCHOR_SECONDS
        self._anchored = 0
        self._stop: threading.Event | None = None

    def keep_shipping(self, stop: threading.Event) -> None:
        """Ship what comes until `stop`, and once more then. What cannot be shipped now waits and is tried again."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        over, self._stop = False, stop
        while not over:
            over = stop.is_set()
            wait = POLL_SECONDS
            try:
                self.ship(anchor=over)
            except FhirError as error:
                _log.warning("The audit trail waits in its spool: %s", error)
                wait = RETRY_SECONDS
            except Exception:
                _log.exception("The audit trail cannot be shipped")
                wait = RETRY_SECONDS
            stop.wait(wait)

    def ship(self, *, anchor: bool = False) -> int:
        """Ship all that is there, and return how many events that made; 0 while another process does it.

        Raises Unavailable when MongoDB does not answer, Conflict when the spool directory was copied.
        """
        with only_reader(self._directory) as mine:
            if not mine:
                return 0
            head = self._chains.head(self._chain())
            begun = head["n"]
            for segment in segments(self._directory):
                head = self._ship_segment(head, segment)
            if head["n"] > self._anchored and (anchor or monotonic() - self._anchored_at >= ANCHOR_SECONDS):
                self._anchor(head)
            return int(head["n"] - begun)

    def _ship_segment(self, head: Document, segment: Path) -> Document:
        positions = {each["segment"]: each["position"] for each in head["spool"]}
        position = positions.get(segment.name, 0)
        # Asked before reading: what is written by whoever lets go meanwhile is read the next time.
        finished = is_let_go(segment)
        while True:
            began = monotonic()
            lines, behind = read_lines(segment, position, READ_BYTES)
            if not lines:
                break
            kept = {name: each for name, each in positions.items() if (self._directory / name).exists()}
            documents = self._documents(head, lines)
            head = self._chains.append(head, documents, {**kept, segment.name: behind}, now())
            position = behind
            self._rest(monotonic() - began)
        if finished:
            if segment.stat().st_size > position:
                _log.warning("%s ends in the middle of a record, whose answer never left", segment.name)
            segment.unlink()
        return head

    def _rest(self, worked: float) -> None:
        """Leave the machine to the requests for a while, where a server ships beside them."""
        waiting = sum(each.stat().st_size for each in segments(self._directory))
        if self._stop is not None and waiting < HURRY_BYTES:
            self._stop.wait(worked * (1 / SHARE - 1))

    def _documents(self, head: Document, lines: list[bytes]) -> list[Document]:
        """The events of some records, numbered and linked behind a head."""
        number, previous, moment = head["n"], head["h"], now()
        documents = []
        for line in lines:
            try:
                events = list(events_of(from_line(line), self._site))
            except msgspec.DecodeError:
                self._set_aside(line)
                continue
            for event in events:
                number += 1
                id = event_id(head["_id"], number)
                document: dict[str, Any] = document_of(AUDITED, id, 1, event, "POST", moment, self._base_url)
                linked = link(previous, id, document["json"])
                document["a"] = {"n": number, "p": previous, "h": linked}
                documents.append(document)
                previous = linked
        return documents

    def _set_aside(self, line: bytes) -> None:
        """Keep what cannot be read, which only a damaged disk can make, for people to look at."""
        _log.error("A record of the audit trail is damaged; it is kept in %s", self._directory / "damaged")
        _append(self._directory / "damaged", line)

    def _chain(self) -> str:
        """The name of the chain, made once for a spool directory."""
        path = self._directory / "chain"
        if not path.exists():
            begun = path.with_suffix(".new")
            begun.unlink(missing_ok=True)
            _append(begun, secrets.token_hex(6).encode())
            begun.rename(path)
        return path.read_text("ascii")

    def _anchor(self, head: Document) -> None:
        """Write the head where nobody who can only reach MongoDB can change it: into a file, and into the log."""
        line = f"{head['_id']} {head['n']} {head['h']}"
        _append(self._directory / ANCHORS, f"{line}\n".encode())
        _log.info("audit anchor %s", line)
        self._anchored, self._anchored_at = head["n"], monotonic()


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
