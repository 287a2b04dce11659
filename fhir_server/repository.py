"""The one door to records: every read, search and write passes through here with an AccessContext.

Interactions: https://hl7.org/fhir/R4/http.html. A caller bound to a patient sees what that patient owns; for such a
caller everything else does not exist, in every answer, count and error.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from . import r4
from .access.context import AccessContext
from .conditional import check_version, claim_key, later_than, one_match, target_id, unchanged
from .errors import BadRequest, Conflict, Forbidden, Gone, NotFound
from .history import parse_history_query
from .records import EntryResult, HistoryPage, SearchPage, Stored, WriteResult, document_of, new_id, now, stored_of
from .resource.exact import Resource
from .resource.validation import compile_schema, validate
from .search.paging import decode_cursor, encode_cursor
from .search.query import DEFAULT_COUNT, MAX_COUNT, Pair
from .searching import RecordSearch
from .store.records import Document, Session, Store, deletion, superseded_version
from .transactions import carry_out

__all__ = ["EntryResult", "HistoryPage", "Repository", "SearchPage", "Stored", "WriteResult"]

_TYPES = frozenset(r4.RESOURCE_TYPES)
ID_TRIES = 5  # an update that creates, against others that create or delete the same id at the same moment


class Repository:
    """The records of one store. Thread-safe."""

    def __init__(
        self,
        store: Store,
        *,
        base_url: str = "http://127.0.0.1:8080/fhir",
        default_count: int = DEFAULT_COUNT,
        max_count: int = MAX_COUNT,
    ) -> None:
        self.store = store
        self.base_url = base_url.rstrip("/")
        self._default_count = default_count
        self._max_count = max_count
        self._searching = RecordSearch(store, self.base_url, default_count, max_count)

    def warm_up(self) -> None:
        """Compile the schema now: 0.2 s that the first write would wait for otherwise."""
        compile_schema()

    # ---- read -------------------------------------------------------------------------------------------------------

    def read(self, ctx: AccessContext, type: str, id: str, *, session: Session = None) -> Stored:
        """The current version. Raises NotFound, or Gone when it was deleted. https://hl7.org/fhir/R4/http.html#read"""
        _check_type(type)
        document = self.store.current(type, id, owner=ctx.patient, session=session)
        if document is None:
            self._raise_absent(ctx, type, id, session)
        return stored_of(type, document)

    def vread(self, ctx: AccessContext, type: str, id: str, version: str) -> Stored:
        """One version. Raises NotFound, or Gone when that version is the deletion."""
        _check_type(type)
        absent = NotFound(f"There is no version '{version[:20]}' of {type}/{id}.")
        if not version.isascii() or not version.isdigit() or len(version) > 9:
            raise absent
        current = self.store.current(type, id, owner=ctx.patient)
        if current is not None and current["v"] == int(version):
            return stored_of(type, current)
        if ctx.patient is not None and current is None:
            raise absent
        document = self.store.version(type, id, int(version))
        if document is None or (ctx.patient is not None and document.get("o") != ctx.patient):
            raise absent
        if document.get("json") is None:
            raise Gone(f"{type}/{id} was deleted in version {version}.")
        return stored_of(type, document)

    def _raise_absent(self, ctx: AccessContext, type: str, id: str, session: Session = None) -> None:
        if ctx.patient is None:
            last = self.store.last_version(type, id, session=session)
            if last is not None and last.get("json") is None:
                raise Gone(f"{type}/{id} was deleted.")
        raise NotFound(f"There is no {type} with the id '{id}'.")

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(
        self, ctx: AccessContext, type: str, query: list[Pair], *, lenient: bool = False, session: Session = None
    ) -> SearchPage:
        """One page of matches. Raises BadRequest. https://hl7.org/fhir/R4/http.html#search"""
        _check_type(type)
        return self._searching.page(ctx, type, query, lenient=lenient, session=session)

    def lookup(self, ctx: AccessContext, type: str, param: str, values: list[str]) -> dict[str, list[Stored]]:
        """`value -> live resources` for many values of one token parameter at once ("system|code" or "code")."""
        _check_type(type)
        return self._searching.lookup(ctx, type, param, values)

    def matches(self, ctx: AccessContext, type: str, criteria: str, *, session: Session = None) -> list[Document]:
        """At most two live documents that fulfil the criteria of a conditional interaction. Raises BadRequest."""
        return self._searching.matches(ctx, type, criteria, session=session)

    # ---- history ----------------------------------------------------------------------------------------------------

    def history(
        self, ctx: AccessContext, type: str | None = None, id: str | None = None, *, query: list[Pair]
    ) -> HistoryPage:
        """Versions, newest first, deletions among them. https://hl7.org/fhir/R4/http.html#history"""
        asked = parse_history_query(query, self._default_count, self._max_count)
        if type is not None:
            _check_type(type)
        if id is not None and type is not None:
            return self._instance_history(ctx, type, id, asked.wanted, asked.cursor, asked.count, asked.kept)
        if ctx.patient is not None:
            raise Forbidden("The history of all records is not open to this caller.")
        position = None
        if asked.cursor:
            moment, at_type, at_id = decode_cursor(asked.cursor, 3)
            if not isinstance(moment, datetime) or not isinstance(at_type, str) or not isinstance(at_id, str):
                raise BadRequest("The paging link is not one this server made; start again.")
            position = (moment, at_type, at_id)
        types = [type] if type else self.store.types()
        found = self.store.history_page(types, asked.wanted, position, asked.count + 1)
        following = None
        if len(found) > asked.count:
            last = found[asked.count - 1]
            following = [*asked.kept, ("_cursor", encode_cursor([last["t"], last["type"], last["id"]]))]
        return HistoryPage([stored_of(each["type"], each) for each in found[: asked.count]], None, following)

    def _instance_history(
        self, ctx: AccessContext, type: str, id: str, wanted: Document, cursor: str, count: int, kept: list[Pair]
    ) -> HistoryPage:
        current = self.store.current(type, id, owner=ctx.patient)
        if ctx.patient is not None:
            if current is None:
                raise NotFound(f"There is no {type} with the id '{id}'.")
            wanted = {"$and": [{"o": ctx.patient}, wanted]} if wanted else {"o": ctx.patient}
        elif current is None and self.store.last_version(type, id) is None:
            raise NotFound(f"There is no {type} with the id '{id}'.")
        below = decode_cursor(cursor, 1)[0] if cursor else None
        if below is not None and not isinstance(below, int):
            raise BadRequest("The paging link is not one this server made; start again.")
        versions = self.store.versions(type, id, wanted, below, count + 1)
        since = wanted.get("t", {}).get("$gte") if below is None else None
        if current is not None and below is None and (since is None or current["t"] >= since):
            versions.insert(0, current)
        following = [*kept, ("_cursor", encode_cursor([versions[count - 1]["v"]]))] if len(versions) > count else None
        return HistoryPage([stored_of(type, each) for each in versions[:count]], None, following)

    # ---- write ------------------------------------------------------------------------------------------------------

    def create(
        self, ctx: AccessContext, type: str, resource: Resource, *, if_none_exist: str | None = None
    ) -> WriteResult:
        """Store a new resource under an id of the server's choice. https://hl7.org/fhir/R4/http.html#create

        With `if_none_exist` criteria an existing match is returned instead. Raises BadRequest, Forbidden,
        PreconditionFailed.
        """
        resource = self.checked(ctx, type, resource)
        id = new_id()
        if if_none_exist is None:
            document = self.document(ctx, type, id, 1, resource, "POST", now())
            self.store.insert(type, document)
            return WriteResult(stored_of(type, document), "created")
        existing = self._existing(ctx, type, if_none_exist, None)
        if existing is not None:
            return existing
        self.store.collection(type)

        def work(session: Any) -> WriteResult:
            self.store.claim([claim_key(type, if_none_exist)], now(), session)
            existing = self._existing(ctx, type, if_none_exist, session)
            if existing is not None:
                return existing
            document = self.document(ctx, type, id, 1, resource, "POST", now())
            self.store.write(session, creates={type: [document]}, replaces={}, deletes={}, superseded=[])
            return WriteResult(stored_of(type, document), "created")

        return self.store.transact(work)

    def _existing(self, ctx: AccessContext, type: str, criteria: str, session: Session) -> WriteResult | None:
        document = one_match(type, criteria, self.matches(ctx, type, criteria, session=session))
        return None if document is None else WriteResult(stored_of(type, document), "existing")

    def update(
        self, ctx: AccessContext, type: str, id: str, resource: Resource, *, if_match: int | None = None
    ) -> WriteResult:
        """Store a new version, or the first one under an id of the client's choice.

        https://hl7.org/fhir/R4/http.html#update. Raises BadRequest, Forbidden, PreconditionFailed.
        """
        resource = self.checked(ctx, type, resource, id)
        _refuse_bound(ctx)
        self.store.collection(type)

        def work(session: Any) -> WriteResult:
            return self._put(ctx, type, id, resource, if_match, session)

        return self._again_if_taken(work)

    def update_conditional(
        self, ctx: AccessContext, type: str, resource: Resource, criteria: str, *, if_match: int | None = None
    ) -> WriteResult:
        """Update the one match of the criteria, or create. https://hl7.org/fhir/R4/http.html#cond-update"""
        resource = self.checked(ctx, type, resource)
        _refuse_bound(ctx)
        self.store.collection(type)

        def work(session: Any) -> WriteResult:
            self.store.claim([claim_key(type, criteria)], now(), session)
            match = one_match(type, criteria, self.matches(ctx, type, criteria, session=session))
            id = target_id(type, resource, match)
            return self._put(ctx, type, id, resource, if_match, session)

        return self._again_if_taken(work)

    def _again_if_taken(self, work: Callable[[Any], WriteResult]) -> WriteResult:
        """An id that appears between looking and writing turns a creation into an update: look again."""
        for _ in range(ID_TRIES - 1):
            try:
                return self.store.transact(work)
            except Conflict:
                continue
        return self.store.transact(work)

    def _put(
        self, ctx: AccessContext, type: str, id: str, resource: Resource, if_match: int | None, session: Any
    ) -> WriteResult:
        current = self.store.current(type, id, session=session)
        check_version(type, id, current, if_match)
        if current is not None and unchanged(current, resource):
            return WriteResult(stored_of(type, current), "unchanged")
        previous = current or self.store.last_version(type, id, session=session)
        document = self.next_version(ctx, type, id, resource, previous)
        if current is None:
            self.store.write(session, creates={type: [document]}, replaces={}, deletes={}, superseded=[])
            return WriteResult(stored_of(type, document), "created")
        superseded = [superseded_version(type, current)]
        self.store.write(session, creates={}, replaces={type: [document]}, deletes={}, superseded=superseded)
        return WriteResult(stored_of(type, document), "updated")

    def delete(self, ctx: AccessContext, type: str, id: str, *, if_match: int | None = None) -> WriteResult | None:
        """Delete a resource; its versions stay readable. None when there is nothing to delete.

        https://hl7.org/fhir/R4/http.html#delete. Raises Forbidden, PreconditionFailed.
        """
        _check_type(type)
        _refuse_bound(ctx)
        self.store.collection(type)

        def work(session: Any) -> WriteResult | None:
            current = self.store.current(type, id, session=session)
            if current is None and if_match is None:
                return None
            check_version(type, id, current, if_match)
            gone = deletion(type, current, later_than(current))
            superseded = [superseded_version(type, current), gone]
            self.store.write(session, creates={}, replaces={}, deletes={type: [id]}, superseded=superseded)
            return WriteResult(stored_of(type, gone), "deleted")

        return self.store.transact(work)

    def transaction(self, ctx: AccessContext, bundle: Resource, *, lenient: bool = False) -> list[EntryResult]:
        """Carry out a transaction Bundle, all of it or nothing; results stand in the order of the entries.

        https://hl7.org/fhir/R4/http.html#transaction. Raises with the failing entry in `expression`.
        """
        return carry_out(self, ctx, bundle, lenient=lenient)

    # ---- steps that single writes and transactions share -------------------------------------------------------------

    def checked(self, ctx: AccessContext, type: str, resource: Resource, id: str | None = None) -> Resource:
        """The resource once it has passed validation and the caller may write its type."""
        _check_type(type)
        if resource.get("resourceType") != type:
            raise BadRequest(
                f"The address is for {type}, and the body is a {str(resource.get('resourceType'))[:40]}.",
                expression=["resourceType"],
            )
        if id is not None and resource.get("id", id) != id:
            raise BadRequest(f"The id in the body must be the one in the address, '{id}'.", expression=[f"{type}.id"])
        if ctx.may_write is not None and type not in ctx.may_write:
            raise Forbidden(f"This caller may not write {type}.")
        return validate({**resource, "id": id} if id is not None else resource)

    def document(
        self, ctx: AccessContext, type: str, id: str, version: int, resource: Resource, method: str, moment: datetime
    ) -> Document:
        """The document of a version; a caller bound to a patient writes that patient's record only."""
        document = document_of(type, id, version, resource, method, moment, self.base_url)
        if ctx.patient is not None and document.get("o") != ctx.patient:
            raise Forbidden("The resource is not about the patient this caller is bound to, or names another one.")
        return document

    def next_version(
        self, ctx: AccessContext, type: str, id: str, resource: Resource, previous: Document | None
    ) -> Document:
        """The document that follows `previous` (the current one, or the deletion), or the first one."""
        if previous is None:
            return self.document(ctx, type, id, 1, resource, "PUT", now())
        return self.document(ctx, type, id, previous["v"] + 1, resource, "PUT", later_than(previous))


def _check_type(type: str) -> None:
    if type not in _TYPES:
        raise NotFound(f"'{type[:40]}' is not a FHIR R4 resource type.", code="not-supported")


def _refuse_bound(ctx: AccessContext) -> None:
    if ctx.patient is not None:
        raise Forbidden("This caller may add records, and not change or delete any.")
