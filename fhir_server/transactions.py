"""Transaction bundles: resolve what the entries say of each other, then write all of them in one MongoDB transaction.

https://hl7.org/fhir/R4/http.html#transaction. Entries are processed as deletes, creates, updates, patches, reads;
references between entries (fullUrl, conditional) are pointed at the ids that result. Criteria, of entries and of
references, are looked up in what was stored before the transaction: a resource that the same bundle creates is named by
its fullUrl. Two creates under the same condition make one resource.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import r4
from .access import guard
from .access.context import AccessContext
from .auditing import note_written
from .bundle_entries import CHANGES, READS, Entry, check, double, naming, read_entries, refuse_doubles
from .conditional import check_absent, check_version, claim_key, later_than, one_match, target_id, unchanged
from .errors import BadRequest, NotFound, PreconditionFailed
from .records import EntryResult, new_id, now, stored_of
from .resource.exact import Resource
from .resource.references import Targets, conditional_references, point, split_conditional
from .store.records import Document, deletion, superseded_version
from .writing import MAX_DELETED, again_if_taken

if TYPE_CHECKING:
    from .repository import Repository

PerformOperation = Callable[["Repository", int], None]
"""Carries out an operation that only reads, through a door that sees the transaction: (door, number of the entry)."""

LARGE = 200  # entries from which a transaction waits for its turn among the large ones


def carry_out(
    repository: Repository,
    ctx: AccessContext,
    bundle: Resource,
    *,
    lenient: bool,
    base: str | None,
    perform: PerformOperation | None,
    beside: Callable[[Any], None] = lambda session: None,
) -> list[EntryResult]:
    """The result of each entry, in the order of the bundle. Raises FhirError; nothing is written then.

    `beside` writes something else in the same transaction, given its session, after the entries.
    """
    bases = tuple(dict.fromkeys([*([base] if base else []), repository.base_url]))
    entries = read_entries(bundle, bases)
    for entry in entries:
        with naming(entry.number):
            check(repository, ctx, entry)
    refuse_doubles(entries)
    operations = any(entry.operation for entry in entries)
    # No collection can be made while the transaction runs; an operation may read any type.
    for type in {entry.type for entry in entries if entry.type} | {*(repository.types() if operations else ())}:
        repository.store.collection(type)

    def work(session: Any) -> list[EntryResult]:
        results = _Transaction(repository, ctx, entries, session, lenient, bases, perform).run()
        beside(session)
        return results

    return again_if_taken(lambda: repository.store.transact(work, large=len(entries) >= LARGE))


class _Transaction:
    """One try at the entries inside a session."""

    def __init__(
        self,
        repository: Repository,
        ctx: AccessContext,
        entries: list[Entry],
        session: Any,
        lenient: bool,
        bases: Sequence[str],
        perform: PerformOperation | None,
    ) -> None:
        self.repository = repository
        self.writing = repository.writing
        self.store = repository.store
        self.ctx = ctx
        self.entries = entries
        self.session = session
        self.lenient = lenient
        self.perform = perform
        self.targets = Targets(bases)
        self.creates: dict[str, list[Document]] = {}
        self.replaces: dict[str, list[Document]] = {}
        self.deletes: dict[str, list[str]] = {}
        self.ended: dict[str, dict[str, Document]] = {}
        self.superseded: list[Document] = []

    def run(self) -> list[EntryResult]:
        keys = self._claim()
        first: dict[str, Entry] = {}
        for entry in self.entries:
            entry.start_again()
            if entry.method not in READS:
                with naming(entry.number):
                    self.store.refuse_sealed(entry.type)
                    self._locate(entry, keys.get(entry.number), first)
        self._refuse_shared_targets()
        self._read_currents()
        self._require_known()
        steps: dict[str, Callable[[Entry], EntryResult]] = {
            "DELETE": self._delete,
            "POST": self._post,
            "PUT": self._put,
            "PATCH": self._patch,
        }
        for method, step in steps.items():
            for entry in self.entries:
                if entry.method == method:
                    with naming(entry.number):
                        entry.result = step(entry)
        self._admit()
        self.store.write(
            self.session,
            creates=self.creates,
            replaces=self.replaces,
            deletes=self.deletes,
            superseded=self.superseded,
        )
        for entry in self.entries:
            if entry.method in READS:
                with naming(entry.number):
                    entry.result = self._get(entry)
        return [entry.result for entry in self.entries if entry.result is not None]

    def _claim(self) -> dict[int, str]:
        """Claim the conditions under which entries create; `entry number -> key`."""
        keys = {
            entry.number: claim_key(entry.type, entry.criteria)
            for entry in self.entries
            if entry.criteria and entry.method in ("POST", "PUT")
        }
        if keys:
            self.store.claim(keys.values(), now(), self.session)
        return keys

    # ---- which resources the entries are about ------------------------------------------------------------------------

    def _locate(self, entry: Entry, key: str | None, first: dict[str, Entry]) -> None:
        """Which id the entry is about, and what references to its fullUrl become."""
        if entry.criteria and entry.method == "DELETE":
            entry.several = self.writing.to_delete(
                self.ctx, entry.type, entry.criteria, MAX_DELETED, entry.if_match, self.session
            )
            return
        if entry.criteria:
            self._locate_by_criteria(entry, key, first)
        if not entry.target and entry.method == "POST":
            entry.target = new_id()
        if entry.full_url and entry.method != "DELETE":
            self.targets.add(entry.full_url, f"{entry.type}/{entry.target}")

    def _locate_by_criteria(self, entry: Entry, key: str | None, first: dict[str, Entry]) -> None:
        found = self.writing.matches(self.ctx, entry.type, entry.criteria, session=self.session)
        match = one_match(entry.type, entry.criteria, found)
        if match is None and key is not None:
            earlier = first.setdefault(key, entry)
            if earlier is not entry:
                if (earlier.method, entry.method) != ("POST", "POST"):
                    raise double(earlier.number, entry)
                entry.twin, entry.target = earlier, earlier.target
                return
        if entry.method == "PUT":
            entry.target = target_id(entry.type, entry.resource or {}, match)
        elif match is not None:
            entry.target = match["_id"]
        elif entry.method == "PATCH":
            raise NotFound(f"No {entry.type} matches the condition, so there is nothing to patch.")
        if entry.method == "POST":
            entry.current = match

    def _refuse_shared_targets(self) -> None:
        seen: dict[tuple[str, str], int] = {}
        for entry in self.entries:
            if entry.method not in CHANGES:
                continue
            targets = [match["_id"] for match in entry.several] or ([entry.target] if entry.target else [])
            for target in targets:
                if seen.setdefault((entry.type, target), entry.number) != entry.number:
                    raise double(seen[entry.type, target], entry)

    def _read_currents(self) -> None:
        """The current versions of everything that is replaced or deleted, and what was deleted before: one read each
        for each type."""
        by_type: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.method in CHANGES and entry.target:
                by_type.setdefault(entry.type, []).append(entry)
        for type, several in by_type.items():
            wanted = {"_id": {"$in": [entry.target for entry in several]}}
            found = self.store.currents(type, wanted, fields={"o": 1}, session=self.session)
            known = {document["_id"]: document for document in found}
            for entry in several:
                entry.current = known.get(entry.target)
            absent = [entry.target for entry in several if entry.current is None]
            if absent:
                self.ended[type] = self.store.last_versions(type, absent, session=self.session)

    def _require_known(self) -> None:
        """What is changed is the caller's to see."""
        for entry in self.entries:
            if entry.method in CHANGES and entry.target:
                letter = "d" if entry.method == "DELETE" else "u"
                with naming(entry.number):
                    self.writing.admission.require_known(
                        self.ctx, letter, entry.type, entry.target, entry.current, self.session
                    )

    def _admit(self) -> None:
        """What is created and what is changed stands for itself; a patient's own entries may refer to each other."""
        posted = {entry.target for entry in self.entries if entry.method == "POST"}
        for type, several in self.creates.items():
            if any(each["_id"] not in posted for each in several):
                guard.require(self.ctx, "c", type)
        self.writing.admission.admit(self.ctx, "c", self.creates, self.session)
        self.writing.admission.admit(self.ctx, "u", self.replaces, self.session)

    # ---- the methods, in the order they are processed -----------------------------------------------------------------

    def _delete(self, entry: Entry) -> EntryResult:
        if not entry.criteria and entry.if_match is not None:
            check_version(entry.type, entry.target, entry.current, entry.if_match)
        currents = entry.several if entry.criteria else [entry.current] if entry.current else []
        gone = [deletion(entry.type, each, later_than(each)) for each in currents]
        for current, end in zip(currents, gone, strict=True):
            self.superseded += [superseded_version(entry.type, current, end["t"]), end]
            self.deletes.setdefault(entry.type, []).append(current["_id"])
        stored = stored_of(entry.type, gone[0]) if len(gone) == 1 else None
        note_written((stored_of(entry.type, each) for each in gone), "deleted")
        return EntryResult(204, stored, None, "deleted" if gone else "unchanged", len(gone))

    def _post(self, entry: Entry) -> EntryResult:
        if entry.twin is not None and entry.twin.result is not None:
            return EntryResult(200, entry.twin.result.stored, None, "existing")
        if entry.current is not None:
            return EntryResult(200, stored_of(entry.type, entry.current), None, "existing")
        resource = self._resolved(entry)
        document = self.writing.document(self.ctx, entry.type, entry.target, 1, resource, "POST", now())
        self.creates.setdefault(entry.type, []).append(document)
        return EntryResult(201, stored_of(entry.type, document), None, "created")

    def _put(self, entry: Entry) -> EntryResult:
        check_version(entry.type, entry.target, entry.current, entry.if_match)
        if entry.only_new:
            check_absent(entry.type, entry.target, entry.current)
        return self._written(entry, self._resolved(entry))

    def _patch(self, entry: Entry) -> EntryResult:
        check_version(entry.type, entry.target, entry.current, entry.if_match)
        if entry.current is None or entry.change is None:
            self.writing.raise_absent(self.ctx, entry.type, entry.target, self.session)
            raise NotFound(f"There is no {entry.type} to patch.")
        entry.resource = self.writing.patched(self.ctx, entry.type, entry.current, entry.change)
        return self._written(entry, self._resolved(entry))

    def _written(self, entry: Entry, resource: Resource) -> EntryResult:
        """The next version of what the entry is about, or the first one."""
        if entry.current is not None and unchanged(entry.current, resource):
            return EntryResult(200, stored_of(entry.type, entry.current), None, "unchanged")
        previous = entry.current or self.ended.get(entry.type, {}).get(entry.target)
        document = self.writing.next_version(self.ctx, entry.type, entry.target, resource, previous, entry.method)
        self.writing.admission.require_withdrawal(self.ctx, entry.current, document)
        stored = stored_of(entry.type, document)
        if entry.current is None:
            self.creates.setdefault(entry.type, []).append(document)
            return EntryResult(201, stored, None, "created")
        self.superseded.append(superseded_version(entry.type, entry.current, document["t"]))
        self.replaces.setdefault(entry.type, []).append(document)
        return EntryResult(200, stored, None, "updated")

    def _get(self, entry: Entry) -> EntryResult:
        if entry.operation:
            if self.perform is None:
                raise BadRequest("Operations are not carried out in this transaction.", code="not-supported")
            self.perform(self.repository.within(self.session), entry.number)
            return EntryResult(200, None, None, "operation")
        if entry.version is not None and not entry.version:
            page = self.repository.history(
                self.ctx, entry.type or None, entry.id or None, query=entry.query, session=self.session
            )
            return EntryResult(200, None, page, "history")
        if entry.version is not None:
            stored = self.repository.vread(self.ctx, entry.type, entry.id, entry.version, session=self.session)
            return EntryResult(200, stored, None, "read")
        if entry.id:
            stored = self.repository.read(self.ctx, entry.type, entry.id, session=self.session)
            return EntryResult(200, stored, None, "read")
        found = self.repository.search(self.ctx, entry.type, entry.query, lenient=self.lenient, session=self.session)
        return EntryResult(200, None, found, "search")

    # ---- references -----------------------------------------------------------------------------------------------------

    def _resolved(self, entry: Entry) -> Resource:
        """The entry's resource with its references pointed at what they mean."""
        resource = entry.resource or {}
        for where, reference in conditional_references(resource):
            self._find(where, reference)
        return point(resource, self.targets.seen_from(entry.full_url))

    def _find(self, where: str, reference: str) -> None:
        """Learn which one resource a conditional reference names. Raises PreconditionFailed."""
        if reference in self.targets.found:
            return
        type, criteria = split_conditional(reference)
        if type not in r4.RESOURCE_TYPES:
            raise BadRequest(f"'{type[:40]}' is not a FHIR R4 resource type.", expression=[where])
        several = self.writing.matches(self.ctx, type, criteria, session=self.session)
        if len(several) != 1:
            amount = "No resource matches" if not several else "Several resources match"
            raise PreconditionFailed(
                f"{amount} the conditional reference; make it name exactly one {type}.",
                code="multiple-matches" if several else "not-found",
                expression=[where],
            )
        self.targets.found[reference] = f"{type}/{several[0]['_id']}"
