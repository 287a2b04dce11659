"""Bulk export as the door carries it out: a job that writes the records of one moment into ndjson files.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html. Any process takes the job up; one that dies is followed by another,
which goes on behind the last part that was kept. A part's lines and the place it ends at are one transaction.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from . import r4
from .access import guard
from .access.context import AccessContext
from .access.scopes import Scope
from .errors import FhirError, Forbidden, NotFound, TooMany, Unavailable
from .export_order import ExportOrder, read_patients
from .finding import RecordFinding
from .joining import BESIDE, passing
from .records import now
from .resource.exact import dump, instant, parse, reread
from .resource.summary import Subset, cut
from .search.entries import document_fields
from .search.filters import Filter, any_of
from .search.matching import holds
from .search.parameters import parameters, token_key
from .sight import BatchCheck
from .store.files import Files
from .store.jobs import Job, Jobs, LeaseLost
from .store.moments import SETTLED, Moment, forget_moments, moment_name
from .store.records import Document, Session, Store

__all__ = ["KEPT", "Exports", "Job", "manifest"]

KIND = "export"
LEASE_SECONDS = 30  # a step takes a second at most; so long waits an export whose process was killed
POLL_SECONDS = 1.0
WAITING = 10
"""Exports that may be queued or running at a time."""
KEPT = timedelta(hours=24)
"""How long files can be fetched after an export has ended."""
LINES_PER_FILE = 250_000

_INDEXED = ("x", "k", "r", "s", "resource")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Limits:
    """What of a caller still matters when the work is done, as it is kept with the job: nothing for an unlimited one."""

    kept: dict[str, Any]

    @classmethod
    def of(cls, ctx: AccessContext) -> _Limits:
        if ctx.scopes is None and ctx.labels is None and not ctx.facility:
            return cls({})
        labels = None if ctx.labels is None else sorted(ctx.labels)
        kept = {"labels": labels, "facility": ctx.facility, "purpose": ctx.purpose, "token": ctx.scopes is not None}
        return cls({**kept, "audit": guard.may(ctx, "r", guard.AUDIT)})

    @property
    def context(self) -> AccessContext:
        """A caller with the same sight; which types it may read was asked before."""
        if not self.kept:
            return AccessContext.unrestricted("export")
        types = ("*", guard.AUDIT) if self.kept.get("audit") else ("*",)
        every = tuple(Scope("system", type, frozenset("rs")) for type in types)
        labels = self.kept["labels"]
        return AccessContext(
            "export",
            scopes=every if self.kept["token"] else None,
            labels=None if labels is None else frozenset(labels),
            facility=self.kept["facility"],
            purpose=self.kept["purpose"],
        )


@dataclass(frozen=True, slots=True)
class _Selection:
    """Which resources of a type are asked for: a filter, and where that does not do, searches with their checks."""

    filter: Filter
    searches: tuple[tuple[Filter, list[BatchCheck]], ...]
    subset: Subset | None

    @property
    def has_checks(self) -> bool:
        """Whether some matches of the filter are not asked for."""
        return any(checks for _, checks in self.searches)

    @property
    def fields(self) -> Document:
        """What is read beside the texts of those that the filter has chosen."""
        return dict.fromkeys(_INDEXED, 1) | BESIDE if self.has_checks else {}

    def checked(self, documents: list[Document]) -> list[Document]:
        """Of documents that fulfil the filter those that pass the checks of a search they match."""
        if not self.has_checks:
            return documents
        kept = set()
        for wanted, checks in self.searches:
            kept |= {each["_id"] for each in passing([each for each in documents if holds(wanted, each)], checks)}
        return [each for each in documents if each["_id"] in kept]


class Exports:
    """The exports of one store."""

    def __init__(self, store: Store, searching: RecordFinding) -> None:
        self._store = store
        self._searching = searching
        self._jobs = Jobs(store.database)
        self._files = Files(store.database)

    # ---- those who ask ----------------------------------------------------------------------------------------------

    def start(self, ctx: AccessContext, order: ExportOrder, *, request: str, group: str = "") -> str:
        """Queue an export and return its id. `request` is the URL asked for, `group` the id of a Group of patients.

        Raises Forbidden, NotFound for the group, BadRequest, TooMany.
        """
        guard.require_operation(ctx, "export", "")
        if ctx.patient is not None or ctx.narrowed:
            raise Forbidden("An export holds the records of many people, and is not open to this caller.")
        for type in order.types or ("*",):
            if guard.scope_queries(ctx, "r", type):
                raise Forbidden(
                    f"An export needs a scope for every {type}, and this access token holds one for a part."
                )
        if group:
            self._require_group(ctx, group)
            order = replace(order, patients=_of_both(order.patients, self._members(group)))
        for type in sorted({type for type, _ in order.filters} or {"Patient"}):
            self._selection(order, type, _Limits.of(ctx))
        self._clear_up()
        if self._jobs.unfinished(KIND, WAITING) >= WAITING:
            raise TooMany(f"{WAITING} exports wait or run already; ask again when one has ended.")
        return self._jobs.submit(
            KIND, ctx.actor, {**order.as_document(), "request": request, "limits": _Limits.of(ctx).kept}
        ).id

    def status(self, ctx: AccessContext, job_id: str) -> Job:
        """The job of an export this caller asked for. Raises NotFound for any other."""
        job = None if ctx.patient is not None else self._jobs.get(job_id, KIND, ctx.actor)
        if job is None or job.state == "cancelled" or (job.ended is not None and job.ended < now() - KEPT):
            raise NotFound("There is no such export: it was removed or has expired, or it is somebody else's.")
        return job

    def remove(self, ctx: AccessContext, job_id: str) -> None:
        """Stop an export and remove what it made. Raises NotFound."""
        job = self.status(ctx, job_id)
        self._jobs.cancel(job.id)
        self._forget(job.id)

    def file(self, ctx: AccessContext, job_id: str, name: str) -> Iterator[bytes]:
        """A file of a finished export, piece by piece. Raises NotFound."""
        job = self.status(ctx, job_id)
        guard.require(ctx, "r", name.partition(".")[0])
        if name not in {each["name"] for each in job.result.get("files", ())}:
            raise NotFound("This export has no such file.")
        return self._files.pieces(job_id, name)

    def _require_group(self, ctx: AccessContext, group: str) -> None:
        if self._searching.outlook.of(ctx, "r").current("Group", group) is None:
            raise NotFound(f"There is no Group with the id '{group}'.")

    def _members(self, group: str) -> tuple[str, ...]:
        current = self._store.current("Group", group)
        if current is None:
            raise NotFound(f"There is no Group with the id '{group}'.")
        members = parse(current["json"]).get("member", [])
        active = [each["entity"].get("reference", "") for each in members if each.get("inactive") is not True]
        return read_patients(each for each in active if "Patient/" in each)

    # ---- those who work ---------------------------------------------------------------------------------------------

    def work(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Carry out the oldest export that waits. False when there is none; `stopped` gives it back midway."""
        job = self._jobs.claim([KIND], lease_seconds=LEASE_SECONDS)
        if job is None:
            return False
        try:
            self._carry_out(job, stopped)
        except LeaseLost:
            _log.info("an export was cancelled, or another process has taken it up")
        except Unavailable:
            # Once the database answers again and the lease has run out, whoever asks first goes on with it.
            _log.warning("an export waits for the database")
        except Exception as error:
            _log.exception("an export failed")
            self._fail(job, error)
        return True

    def keep_working(self, stopped: threading.Event) -> None:
        """Carry out what is asked of any process of the server, for as long as this one lives."""
        while not stopped.wait(POLL_SECONDS):
            try:
                while not stopped.is_set() and self.work(stopped.is_set):
                    pass
            except Exception:
                # MongoDB may be away for a while; the exports wait in it.
                _log.exception("the exports could not be looked for")

    def _fail(self, job: Job, error: Exception) -> None:
        reason = str(error) if isinstance(error, FhirError) else "The server failed to write the export."
        try:
            self._jobs.fail(job, f"{reason} Ask for it again; if that fails too, tell its operator.")
        except LeaseLost:
            return
        self._files.remove(job.id)

    def _carry_out(self, job: Job, stopped: Callable[[], bool]) -> None:
        order = ExportOrder.of_document(job.order)
        limits = _Limits(job.order.get("limits", {}))
        progress = job.progress or self._begin(job, order, limits.context)
        moment = Moment(self._store, progress["moment"])
        selection: tuple[str, _Selection] | None = None
        while progress["types"]:
            if stopped():
                self._jobs.release(job)
                return
            type = progress["types"][0]
            if selection is None or selection[0] != type:
                selection = type, self._selection(order, type, limits)
            progress = self._step(job, moment, progress, selection[1], order.since)
        at = self._complete_until(job, moment, progress)
        self._jobs.finish(job, {"moment": at, "files": progress["files"]})
        forget_moments(self._store, job.id)

    def _complete_until(self, job: Job, moment: Moment, progress: Document) -> datetime:
        """Up to when an export holds all changes: what was stamped before it and committed after it is not in it."""
        floor, at = progress["floor"], progress["at"]
        overtaken = moment.overtaken(floor, at, lambda: self._jobs.renew(job, lease_seconds=LEASE_SECONDS))
        return at if overtaken is None else overtaken - timedelta(milliseconds=1)

    def _begin(self, job: Job, order: ExportOrder, ctx: AccessContext) -> Document:
        name = moment_name(job.id, job.attempt)
        at = now()
        floor = at - SETTLED
        held = Moment(self._store, name).mark(floor, lambda: self._jobs.renew(job, lease_seconds=LEASE_SECONDS))
        progress = {
            "moment": name,
            "at": at,
            "floor": floor,
            "behind": "",
            "lines": 0,
            "files": [],
            "types": [type for type in held if order.wants(type) and guard.may(ctx, "r", type)],
        }
        self._jobs.renew(job, progress, lease_seconds=LEASE_SECONDS)
        return progress

    def _step(
        self, job: Job, moment: Moment, progress: Document, selection: _Selection, since: datetime | None
    ) -> Document:
        """Write the next part; the progress after it."""
        type = progress["types"][0]

        def work(session: Session) -> Document:
            assert session is not None
            floor, behind = progress["floor"], progress["behind"]
            part = moment.part(type, floor, behind, selection.filter, selection.fields, session, since)
            changed = part.changed
            if selection.filter or selection.has_checks:
                changed = [each for each in map(self._indexed(type), changed) if holds(selection.filter, each)]
            found = sorted(selection.checked([*part.same, *changed]), key=lambda each: each["_id"])
            after = _behind(progress, part.behind)
            if found:
                after["files"] = self._write(job, type, found, selection.subset, after["files"], session)
                after["lines"] += len(found)
            self._jobs.renew(job, after, lease_seconds=LEASE_SECONDS, session=session)
            return after

        return self._store.transact(work)

    def _write(
        self,
        job: Job,
        type: str,
        documents: list[Document],
        subset: Subset | None,
        files: list[Document],
        session: Session,
    ) -> list[Document]:
        """Put the texts behind those of the type's last file; the list of files after that."""
        last = next((each for each in files if each["type"] == type and each["lines"] < LINES_PER_FILE), None)
        if last is None:
            number = sum(each["type"] == type for each in files) + 1
            last = {"type": type, "name": f"{type}.{number}.ndjson", "lines": 0, "chunks": 0}
            files = [*files, last]
        texts = (each["json"].encode() for each in documents)
        lines = b"".join(line + b"\n" for line in (texts if subset is None else map(_cutting(subset), texts)))
        self._files.add(job.id, last["name"], last["chunks"], lines, session)
        grown = {**last, "lines": last["lines"] + len(documents), "chunks": last["chunks"] + 1}
        return [grown if each is last else each for each in files]

    def _indexed(self, type: str) -> Callable[[Document], Document]:
        """A version of the past with the search fields that only current ones are stored with."""

        def indexed(document: Document) -> Document:
            resource = parse(document["json"])
            fields = document_fields(type, resource, self._searching.base_url)
            return {**document, **fields, "resource": resource, "tokens": fields["x"]}

        return indexed

    def _selection(self, order: ExportOrder, type: str, limits: _Limits) -> _Selection:
        """What the order means for a type, of what whoever asked may see. Raises BadRequest."""
        ctx = limits.context
        searches = tuple(self._searching.criteria(ctx, type, pairs) for pairs in order.queries(type))
        filters: list[Filter] = [] if order.level == "system" else [_of_patients(type, order.patients)]
        if searches and all(wanted for wanted, _ in searches):
            filters.append(any_of([wanted for wanted, _ in searches]))
        filters = [each for each in filters if each] + self._searching.outlook.of(ctx, "r").filters(type)
        whole = {} if not filters else filters[0] if len(filters) == 1 else {"$and": filters}
        return _Selection(whole, searches, order.subset(type))

    # ---- clearing up ------------------------------------------------------------------------------------------------

    def _clear_up(self) -> None:
        """Remove the exports that ended too long ago; every new one sees to that."""
        for job_id in self._jobs.ended_before(KIND, now() - KEPT, WAITING * 2):
            self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        self._files.remove(job_id)
        forget_moments(self._store, job_id)
        self._jobs.remove(job_id)


def manifest(job: Job, address: Callable[[str], str], *, requires_token: bool) -> bytes:
    """The manifest of an export that is done, as JSON; `address` of the name of a file is its URL.

    https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status
    """
    output = [
        {"type": each["type"], "url": address(each["name"]), "count": each["lines"]} for each in job.result["files"]
    ]
    return dump(
        {
            "transactionTime": instant(job.result["moment"]),
            "request": job.order["request"],
            "requiresAccessToken": requires_token,
            "output": output,
            "deleted": [],
            "error": [],
        }
    )


def _behind(progress: Document, behind: str | None) -> Document:
    """The progress when the part up to an id is done, None for all of the type."""
    if behind is not None:
        return {**progress, "behind": behind}
    return {**progress, "behind": "", "types": progress["types"][1:]}


def _cutting(subset: Subset) -> Callable[[bytes], bytes]:
    return lambda text: dump(cut(reread(text), subset))


def _of_both(some: tuple[str, ...] | None, others: tuple[str, ...]) -> tuple[str, ...]:
    return others if some is None else tuple(each for each in some if each in set(others))


def _of_patients(type: str, patients: tuple[str, ...] | None) -> Filter:
    """What is in the compartment of one of the patients, None for any: https://hl7.org/fhir/R4/compartmentdefinition.html"""
    if type == "Patient":
        return {} if patients is None else {"_id": {"$in": list(patients)}}
    known: dict[str, Any] = dict(parameters(type))
    keys = [
        token_key(source, "reference") + "Patient/"
        for code in r4.compartment("Patient").get(type, ())
        if code in known and known[code].type == "reference"
        for source in known[code].sources
        if source.target in ("", "Patient")
    ]
    if patients is not None:
        return {"x": {"$in": [key + each for key in keys for each in patients]}}
    return any_of([{"x": {"$elemMatch": {"$gte": key, "$lt": key[:-1] + "0"}}} for key in keys])
