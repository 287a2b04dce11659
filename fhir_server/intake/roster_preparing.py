"""Rows of a roster made ready to be stored: mapped, validated, indexed and encoded, in processes beside the importing one.

Measured on two shared cores: of a row's time a third goes to MongoDB, the rest to what is done here (docs/bench-roster.md).
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from types import TracebackType

from fhir_server.access.context import AccessContext
from fhir_server.conditional import claim_key_of
from fhir_server.errors import FhirError
from fhir_server.importing import DoorAddress, Encoded, prepare
from fhir_server.intake.tables import TextRow
from fhir_server.records import new_id
from fhir_server.repository import Repository
from fhir_server.search.likeness import blocking_keys
from mappings.identity import Key
from mappings.roster import Layout, Refused, RosterRow, RosterSource, map_row
from mappings.systems import token

# Rows from which it pays to start further processes, which takes two seconds.
MANY_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class ReadyRow:
    """A row that can be stored, if its person is new as `encoded`, else as what it is `mapped` to.

    `claims` are the conditions on which others would create its person, one for each of `keys`.
    """

    number: int
    keys: tuple[Key, ...]
    claims: tuple[str, ...]
    warnings: tuple[str, ...]
    encoded: tuple[Encoded, ...] = ()
    likenesses: tuple[str, ...] = ()
    """The blocking keys of its person: who may be the same without a number that says so is found by them."""
    packed: bytes = b""
    """The mapped row, where it is not encoded: of most of those that are nobody asks for it."""

    def mapped(self, work: Work, cells: Sequence[str]) -> RosterRow:
        """What the row of these cells is mapped to, each time anew."""
        row = pickle.loads(self.packed) if self.packed else map_row(work.layout, self.number, cells, work.source)
        assert isinstance(row, RosterRow)
        return row


@dataclass(frozen=True, slots=True)
class Work:
    """How the rows of one file are made ready."""

    ctx: AccessContext
    layout: Layout
    source: RosterSource


def make_ready(repository: Repository, work: Work, rows: list[TextRow], encoding: bool) -> list[ReadyRow | Refused]:
    """The rows in their order. `encoding`: whether those that are alone with their numbers are encoded as new people."""
    mapped = [
        Refused(row.line, (row.fault,)) if row.fault else map_row(work.layout, row.line, row.cells, work.source)
        for row in rows
    ]
    carried = Counter(key for row in mapped if isinstance(row, RosterRow) for key in row.match_keys)
    return [
        row if isinstance(row, Refused) else _ready(repository, work, row, encoding and _alone(row, carried))
        for row in mapped
    ]


def _alone(row: RosterRow, carried: Counter[Key]) -> bool:
    return all(carried[key] == 1 for key in row.match_keys)


def _ready(repository: Repository, work: Work, row: RosterRow, encoding: bool) -> ReadyRow:
    born = row.patient["birthDate"]
    claims = [claim_key_of("Patient", (("identifier", token(*key)), ("birthdate", born))) for key in row.match_keys]
    encoded: tuple[Encoded, ...] = ()
    if encoding:
        id = new_id()
        beneficiary = {"reference": f"Patient/{id}"}
        resources = [(id, row.patient)]
        resources += [(new_id(), {**coverage, "beneficiary": beneficiary}) for coverage in row.coverages]
        with suppress(FhirError):  # what is refused is told with its reasons where it is stored as an entry
            encoded = tuple(prepare(repository, work.ctx, resources))
    return ReadyRow(
        row.number,
        row.match_keys,
        tuple(claims),
        tuple(warning.reason_vi for warning in row.warnings),
        encoded,
        tuple(blocking_keys(row.patient)),
        b"" if encoded else pickle.dumps(row, pickle.HIGHEST_PROTOCOL),
    )


class Preparing(AbstractContextManager["Preparing"]):
    """Makes batches ready, a few ahead of the one that is asked for. `encoding` may be changed as it goes."""

    def __init__(self, repository: Repository, work: Work, rows: int) -> None:
        self.encoding = True
        self._repository = repository
        self._work = work
        self._workers = (os.cpu_count() or 1) if rows >= MANY_ROWS and repository.store.uri else 0
        self._pool: ProcessPoolExecutor | None = None
        if self._workers:
            gc.freeze()
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=get_context("spawn"),
                initializer=_open,
                initargs=(DoorAddress.of(repository), work),
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def batches(self, batches: Iterable[list[TextRow]]) -> Iterator[tuple[list[TextRow], list[ReadyRow | Refused]]]:
        """Each batch with what became of it."""
        if self._pool is None:
            for batch in batches:
                yield batch, make_ready(self._repository, self._work, batch, self.encoding)
            return
        ahead: deque[tuple[list[TextRow], Future[list[ReadyRow | Refused]]]] = deque()
        for batch in batches:
            ahead.append((batch, self._pool.submit(_in_worker, batch, self.encoding)))
            if len(ahead) > self._workers + 1:
                first, made = ahead.popleft()
                yield first, made.result()
        while ahead:
            first, made = ahead.popleft()
            yield first, made.result()


_opened: tuple[Repository, Work] | None = None


def _open(address: DoorAddress, work: Work) -> None:
    global _opened
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the importing process ends this one
    _opened = address.open(), work
    # Looking for garbage among the definitions, which stay, and the rows of a batch took a fifth of the time.
    gc.freeze()
    gc.disable()


def _end_with_parent() -> None:
    """A worker whose importing process was killed would wait for its next task for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _in_worker(rows: list[TextRow], encoding: bool) -> list[ReadyRow | Refused]:
    assert _opened is not None
    try:
        return make_ready(*_opened, rows, encoding)
    finally:
        gc.collect()
