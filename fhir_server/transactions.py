"""Transaction bundles: resolve what the entries say of each other, then write all of them in one MongoDB transaction.

https://hl7.org/fhir/R4/http.html#transaction. Entries are processed as deletes, creates, updates, reads; references
between entries (urn:uuid, conditional) are pointed at the ids that result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from . import r4
from .access.context import AccessContext
from .conditional import check_version, claim_key, later_than, one_match, target_id, unchanged
from .errors import BadRequest, FhirError, Forbidden, Issue, PreconditionFailed, TooLarge
from .records import EntryResult, new_id, now, stored_of
from .resource.exact import Resource
from .resource.references import conditional_references, point, relative_of, split_conditional
from .store.records import Document, deletion, superseded_version

if TYPE_CHECKING:
    from .repository import Repository

MAX_ENTRIES = 10_000
LARGE = 200  # entries from which a transaction waits for its turn among the large ones
METHODS = ("DELETE", "POST", "PUT", "GET")


@dataclass(slots=True)
class Entry:
    """One entry of the bundle, as asked and as it turns out."""

    number: int
    method: str
    type: str
    id: str
    criteria: str
    full_url: str
    resource: Resource | None
    if_match: int | None
    query: list[tuple[str, str]]
    # Set anew on every try of the transaction:
    target: str = ""
    current: Document | None = None
    result: EntryResult | None = None


def carry_out(repository: Repository, ctx: AccessContext, bundle: Resource, *, lenient: bool) -> list[EntryResult]:
    """The result of each entry, in the order of the bundle. Raises FhirError; nothing is written then."""
    entries = [_entry(number, raw) for number, raw in enumerate(_raw_entries(bundle))]
    for entry in entries:
        with _naming(entry.number):
            _check(repository, ctx, entry)
    _refuse_doubles(entries)
    for type in {entry.type for entry in entries if entry.type}:
        repository.store.collection(type)

    def work(session: Any) -> list[EntryResult]:
        return _Transaction(repository, ctx, entries, session, lenient).run()

    return repository.store.transact(work, large=len(entries) >= LARGE)


def _raw_entries(bundle: Resource) -> list[Any]:
    raw = bundle.get("entry", [])
    if not isinstance(raw, list):
        raise BadRequest("Bundle.entry must be a list.", expression=["Bundle.entry"])
    if len(raw) > MAX_ENTRIES:
        raise TooLarge(f"A transaction takes at most {MAX_ENTRIES} entries; this one has {len(raw)}. Split it.")
    return raw


@contextmanager
def _naming(number: int) -> Iterator[None]:
    """Put the failing entry in front of the expressions of what is raised."""
    where = f"Bundle.entry[{number}]"

    def inside(expression: str) -> str:
        return f"{where}.resource.{expression.partition('.')[2]}".rstrip(".")

    try:
        yield
    except FhirError as error:
        error.issues = [
            Issue(
                issue.diagnostics,
                issue.code,
                issue.severity,
                tuple(inside(each) for each in issue.expression) or (where,),
            )
            for issue in error.issues
        ]
        raise


def _entry(number: int, raw: Any) -> Entry:
    with _naming(number):
        request = raw.get("request") if isinstance(raw, dict) else None
        if not isinstance(request, dict) or not isinstance(request.get("url"), str):
            raise BadRequest("The entry needs a request with a method and a url.", code="required")
        method = request.get("method")
        if method not in METHODS:
            raise BadRequest(f"The method '{str(method)[:20]}' is not supported here; use {', '.join(METHODS)}.")
        path, _, criteria = request["url"].partition("?")
        segments = [unquote(segment) for segment in path.strip("/").split("/")]
        if segments[0] not in r4.RESOURCE_TYPES or len(segments) > 2:
            raise BadRequest(f"The url '{path[:80]}' is not Type or Type/id of a FHIR R4 resource.")
        resource = raw.get("resource")
        if method in ("POST", "PUT") and not isinstance(resource, dict):
            raise BadRequest(f"{method} needs a resource.", code="required")
        return Entry(
            number=number,
            method=method,
            type=segments[0],
            id=segments[1] if len(segments) == 2 else "",
            criteria=request.get("ifNoneExist", "") if method == "POST" else criteria,
            full_url=raw.get("fullUrl") or "",
            resource=resource,
            if_match=_version(request.get("ifMatch")),
            query=parse_qsl(criteria, keep_blank_values=True),
        )


def _version(if_match: Any) -> int | None:
    if if_match is None:
        return None
    text = str(if_match).strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit():
        raise BadRequest('ifMatch takes a version such as W/"3".')
    return int(text[:9])


def _check(repository: Repository, ctx: AccessContext, entry: Entry) -> None:
    """What can be refused without looking at the database."""
    if ctx.patient is not None and entry.method in ("PUT", "DELETE"):
        raise Forbidden("This caller may add records, and not change or delete any.")
    if entry.method == "POST" and entry.id:
        raise BadRequest("POST takes the type alone as its url; use PUT for an id of your choice.")
    if entry.method in ("PUT", "DELETE") and not entry.id and not entry.criteria:
        raise BadRequest(f"{entry.method} needs Type/id or Type?criteria as its url.")
    if entry.resource is not None and entry.method in ("POST", "PUT"):
        entry.resource = repository.checked(ctx, entry.type, entry.resource, entry.id or None)


def _refuse_doubles(entries: list[Entry]) -> None:
    """https://hl7.org/fhir/R4/http.html#trules: a resource may be written once, a fullUrl may stand once."""
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.method == "GET":
            continue
        named = {f"{entry.type}/{entry.id}" if entry.id else "", entry.full_url} - {""}
        for name in named:
            if name in seen:
                raise BadRequest(
                    f"The entries {seen[name]} and {entry.number} are about the same resource; a transaction may write "
                    "it once.",
                    code="duplicate",
                    expression=[f"Bundle.entry[{entry.number}]"],
                )
            seen[name] = entry.number


class _Transaction:
    """One try at the entries inside a session."""

    def __init__(
        self, repository: Repository, ctx: AccessContext, entries: list[Entry], session: Any, lenient: bool
    ) -> None:
        self.repository = repository
        self.store = repository.store
        self.ctx = ctx
        self.entries = entries
        self.session = session
        self.lenient = lenient
        self.targets: dict[str, str] = {}
        self.found: dict[str, str] = {}
        self.creates: dict[str, list[Document]] = {}
        self.replaces: dict[str, list[Document]] = {}
        self.deletes: dict[str, list[str]] = {}
        self.superseded: list[Document] = []

    def run(self) -> list[EntryResult]:
        self._claim()
        for entry in self.entries:
            with _naming(entry.number):
                self._locate(entry)
        self._refuse_shared_targets()
        self._read_currents()
        steps: dict[str, Callable[[Entry], EntryResult]] = {
            "DELETE": self._delete,
            "POST": self._post,
            "PUT": self._put,
        }
        for method, step in steps.items():
            for entry in self.entries:
                if entry.method == method:
                    with _naming(entry.number):
                        entry.result = step(entry)
        self.store.write(
            self.session,
            creates=self.creates,
            replaces=self.replaces,
            deletes=self.deletes,
            superseded=self.superseded,
        )
        for entry in self.entries:
            if entry.method == "GET":
                with _naming(entry.number):
                    entry.result = self._get(entry)
        return [entry.result for entry in self.entries if entry.result is not None]

    def _claim(self) -> None:
        conditional = [entry for entry in self.entries if entry.criteria and entry.method in ("POST", "PUT")]
        if conditional:
            keys = [claim_key(entry.type, entry.criteria) for entry in conditional]
            self.store.claim(keys, now(), self.session)

    def _locate(self, entry: Entry) -> None:
        """Which id the entry is about, and what references to its fullUrl become."""
        entry.current, entry.result, entry.target = None, None, entry.id
        if entry.method == "GET":
            return
        if entry.criteria:
            found = self.repository.matches(self.ctx, entry.type, entry.criteria, session=self.session)
            match = one_match(entry.type, entry.criteria, found)
            if entry.method == "PUT":
                entry.target = target_id(entry.type, entry.resource or {}, match)
            elif match is not None:
                entry.target = match["_id"]
            if entry.method == "POST" and match is not None:
                entry.current = match
        if not entry.target and entry.method == "POST":
            entry.target = new_id()
        if entry.full_url and entry.method != "DELETE":
            self._point_to(entry.full_url, f"{entry.type}/{entry.target}")

    def _point_to(self, full_url: str, target: str) -> None:
        relative = relative_of(full_url)
        if relative != target:
            self.targets[full_url] = target
            if relative is not None and not full_url.startswith("urn:"):
                self.targets.setdefault(relative, target)

    def _refuse_shared_targets(self) -> None:
        seen: dict[tuple[str, str], int] = {}
        for entry in self.entries:
            writes = entry.method in ("PUT", "DELETE") and entry.target
            if writes and seen.setdefault((entry.type, entry.target), entry.number) != entry.number:
                raise BadRequest(
                    f"The entry {entry.number} writes the same resource as entry {seen[entry.type, entry.target]}.",
                    code="duplicate",
                    expression=[f"Bundle.entry[{entry.number}]"],
                )

    def _read_currents(self) -> None:
        """The current versions of everything that is replaced or deleted: one read for each type."""
        by_type: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.method in ("PUT", "DELETE") and entry.target:
                by_type.setdefault(entry.type, []).append(entry)
        for type, several in by_type.items():
            wanted = {"_id": {"$in": [entry.target for entry in several]}}
            found = self.store.currents(type, wanted, fields={"o": 1}, session=self.session)
            known = {document["_id"]: document for document in found}
            for entry in several:
                entry.current = known.get(entry.target)

    def _delete(self, entry: Entry) -> EntryResult:
        if entry.if_match is not None:
            check_version(entry.type, entry.target, entry.current, entry.if_match)
        if entry.current is None:
            return EntryResult(204, None, None, "unchanged")
        gone = deletion(entry.type, entry.current, later_than(entry.current))
        self.superseded += [superseded_version(entry.type, entry.current), gone]
        self.deletes.setdefault(entry.type, []).append(entry.target)
        return EntryResult(204, stored_of(entry.type, gone), None, "deleted")

    def _post(self, entry: Entry) -> EntryResult:
        if entry.current is not None:
            return EntryResult(200, stored_of(entry.type, entry.current), None, "existing")
        resource = self._resolved(entry)
        document = self.repository.document(self.ctx, entry.type, entry.target, 1, resource, "POST", now())
        self.creates.setdefault(entry.type, []).append(document)
        return EntryResult(201, stored_of(entry.type, document), None, "created")

    def _put(self, entry: Entry) -> EntryResult:
        check_version(entry.type, entry.target, entry.current, entry.if_match)
        resource = self._resolved(entry)
        if entry.current is not None and unchanged(entry.current, resource):
            return EntryResult(200, stored_of(entry.type, entry.current), None, "unchanged")
        previous = entry.current or self.store.last_version(entry.type, entry.target, session=self.session)
        document = self.repository.next_version(self.ctx, entry.type, entry.target, resource, previous)
        stored = stored_of(entry.type, document)
        if entry.current is None:
            self.creates.setdefault(entry.type, []).append(document)
            return EntryResult(201, stored, None, "created")
        self.superseded.append(superseded_version(entry.type, entry.current))
        self.replaces.setdefault(entry.type, []).append(document)
        return EntryResult(200, stored, None, "updated")

    def _get(self, entry: Entry) -> EntryResult:
        if entry.id:
            stored = self.repository.read(self.ctx, entry.type, entry.id, session=self.session)
            return EntryResult(200, stored, None, "read")
        page = self.repository.search(self.ctx, entry.type, entry.query, lenient=self.lenient, session=self.session)
        return EntryResult(200, None, page, "search")

    def _resolved(self, entry: Entry) -> Resource:
        """The entry's resource with its references pointed at what they mean."""
        resource = entry.resource or {}
        targets = self.targets
        conditional = conditional_references(resource)
        if conditional:
            targets = targets | {reference: self._referenced(where, reference) for where, reference in conditional}
        return point(resource, targets)

    def _referenced(self, where: str, reference: str) -> str:
        """The one resource that a conditional reference names. Raises PreconditionFailed."""
        if reference not in self.found:
            type, criteria = split_conditional(reference)
            if type not in r4.RESOURCE_TYPES:
                raise BadRequest(f"'{type[:40]}' is not a FHIR R4 resource type.", expression=[where])
            several = self.repository.matches(self.ctx, type, criteria, session=self.session)
            if len(several) != 1:
                amount = "No resource matches" if not several else "Several resources match"
                raise PreconditionFailed(
                    f"{amount} the conditional reference; make it name exactly one {type}.",
                    code="multiple-matches" if several else "not-found",
                    expression=[where],
                )
            self.found[reference] = f"{type}/{several[0]['_id']}"
        return self.found[reference]
