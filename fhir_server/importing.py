"""Bulk import as the door carries it out: batches of records, each one transaction together with how far it came.

https://hl7.org/fhir/R4/http.html#transaction. A process that dies is followed by another, which goes on behind the last
batch that was kept, with the counts that were kept with it. First versions may be validated, indexed and encoded in
other processes beforehand: `DoorAddress` opens the same door there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .access import guard
from .access.context import AccessContext
from .errors import Conflict
from .records import Document, now
from .resource.exact import Resource
from .store import prepared
from .store.jobs import Job, Jobs, LeaseLost
from .store.records import Store
from .transactions import carry_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .repository import Repository

__all__ = ["DoorAddress", "Imports", "Job", "LeaseLost", "Overtaken", "Step", "prepare"]

FAMILY = "import"
LEASE_SECONDS: float = 30  # a step takes a second; so long waits an import whose process was killed
_POLL_SECONDS = 0.5

Encoded = tuple[str, bytes]
"""(type, first version as MongoDB takes it)"""


class Overtaken(Conflict):
    """What a step was planned on is no longer so: plan it again."""


@dataclass(frozen=True, slots=True)
class DoorAddress:
    """What another process needs to open the same door."""

    uri: str
    database: str
    base_url: str

    @classmethod
    def of(cls, repository: Repository) -> DoorAddress:
        """The address of a door whose store was opened by its URI."""
        return cls(repository.store.uri, repository.store.database_name, repository.base_url)

    def open(self) -> Repository:
        """The door, with connections of its own."""
        from .repository import Repository

        return Repository(Store.open(self.uri, self.database), base_url=self.base_url)


@dataclass(slots=True)
class Step:
    """What one batch writes: entries of a transaction Bundle, and first versions that are encoded already.

    `absent` are identifiers ("system|value") that nobody had when the batch was planned, each with the condition
    (of an ifNoneExist) under which others would create who has it: if somebody has it by now, the step is Overtaken.
    """

    entries: list[Resource] = field(default_factory=list)
    encoded: list[Encoded] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)


def prepare(repository: Repository, ctx: AccessContext, resources: Iterable[tuple[str, Resource]]) -> list[Encoded]:
    """First versions of resources under ids that are new (new_id), validated, indexed and encoded. Raises FhirError.

    Empty when one of them cannot be stored in this way; it has to be an entry of the step then.
    """
    encoded: list[Encoded] = []
    for id, resource in resources:
        type = resource["resourceType"]
        guard.require(ctx, "c", type)
        valid = repository.writing.checked(ctx, type, resource)
        document = repository.writing.document(ctx, type, id, 1, valid, "POST", now())
        repository.writing.admission.admit(ctx, "c", {type: [document]})
        content = prepared.encode(document)
        if content is None:
            return []
        repository.store.units.note([document])
        encoded.append((type, content))
    return encoded


class Imports:
    """The imports into the records of one repository."""

    def __init__(self, repository: Repository, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._repository = repository
        self._store = repository.store
        self._jobs = Jobs(repository.store.database)
        self._lease = lease_seconds

    def begin(self, ctx: AccessContext, name: str, *, file: str = "", waits: Callable[[], None] = lambda: None) -> Job:
        """The import of this name, as this process's: one that was begun and not ended goes on where it was.

        `file` is what people know it by. While another process works on it, this one waits, and calls `waits` now and then.
        """
        kind = f"{FAMILY} {name}"
        for ended in self._jobs.ended_before(kind, now(), 10):
            self._jobs.remove(ended)
        while (job := self._jobs.claim([kind], lease_seconds=self._lease)) is None:
            if self._jobs.unfinished(kind, 1):
                waits()
                time.sleep(_POLL_SECONDS)
            else:
                self._jobs.submit(kind, ctx.actor, {"file": file} if file else {})
        return job

    @contextmanager
    def keeping(self, job: Job) -> Iterator[None]:
        """Give the import back when this process is stopped within, so that the next one need not wait."""
        try:
            yield
        except LeaseLost:
            raise
        except BaseException:
            self._jobs.release(job)
            raise

    def step(self, ctx: AccessContext, job: Job, step: Step, progress: Document) -> None:
        """Write a batch, and how far the import is then. Raises Overtaken, LeaseLost, FhirError; nothing is kept then."""
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": step.entries}
        by_type: dict[str, list[bytes]] = {}
        for type, content in step.encoded:
            by_type.setdefault(type, []).append(content)
        for type in by_type:
            guard.require(ctx, "c", type)
            self._store.collection(type)
        unclaimed = True

        def beside(session: Any) -> None:
            if unclaimed:
                prepared.claim_unclaimed(self._store, session, list(step.absent.values()), now())
            else:
                self._store.claim(step.absent.values(), now(), session)
                self._look_again(ctx, list(step.absent), session)
            for type, contents in by_type.items():
                prepared.insert(self._store, session, type, contents)
            self._jobs.renew(job, progress, lease_seconds=self._lease, session=session)

        try:
            self._carry_out(ctx, bundle, beside)
        except prepared.AlreadyClaimed:
            unclaimed = False
            self._carry_out(ctx, bundle, beside)

    def _carry_out(self, ctx: AccessContext, bundle: Resource, beside: Callable[[Any], None]) -> None:
        carry_out(self._repository, ctx, bundle, lenient=False, base=None, perform=None, beside=beside)

    def _look_again(self, ctx: AccessContext, absent: list[str], session: Any) -> None:
        found = self._repository.within(session).lookup(ctx, "Patient", "identifier", absent)
        if any(found.values()):
            raise Overtaken("Somebody else has stored one of these people meanwhile.")

    def tell(self, job: Job, progress: Document) -> None:
        """Note how far an import is that goes on without steps. Raises LeaseLost."""
        self._jobs.renew(job, progress, lease_seconds=self._lease)

    def fail(self, job: Job, why: str) -> None:
        """The import has come to nothing more. Raises LeaseLost."""
        self._jobs.fail(job, why)

    def newest(self, skip: int, limit: int) -> list[Job]:
        """All imports, those that were interrupted too, the newest first."""
        return self._jobs.newest(FAMILY, skip, limit)

    def finish(self, job: Job, result: Document) -> None:
        """The import has ended."""
        self._jobs.finish(job, result)
