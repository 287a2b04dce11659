"""Writes of single resources as the door carries them out: each is one MongoDB transaction.

https://hl7.org/fhir/R4/http.html#create, #update, #patch, #delete. Only the repository calls this; bundles of writes
are carried out by fhir_server/transactions.py with the steps at the end of this module.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from . import patch, r4
from .access import guard
from .access.context import AccessContext
from .access.declared import declared
from .access.sensitivity import labelled
from .admission import NOTHING_CHANGED, Admission
from .conditional import check_absent, check_version, claim_key, later_than, one_match, target_id, unchanged
from .errors import BadRequest, Conflict, Forbidden, Gone, NotFound, PreconditionFailed, Unprocessable
from .finding import RecordFinding
from .patch import Patch
from .profile_enforcement import Conformance
from .records import WriteResult, document_of, new_id, now, stored_of
from .resource.exact import Resource, parse
from .resource.summary import refuse_subset
from .resource.validation import validate
from .search.contained import contained_types
from .store.records import Document, Session, Store, deletion, superseded_version

ID_TRIES = 5  # an update that creates, against others that create or delete the same id at the same moment
MAX_DELETED = 1_000
"""Matches that one conditional delete deletes; with more of them nothing is."""

Result = TypeVar("Result")
_TYPES = frozenset(r4.RESOURCE_TYPES)


class RecordWriting:
    """Writes to the records of one store."""

    def __init__(self, store: Store, searching: RecordFinding, conformance: Conformance, base_url: str) -> None:
        self.store = store
        self._searching = searching
        self._conformance = conformance
        self.base_url = base_url
        self.admission = Admission(store, searching.outlook)

    def create(self, ctx: AccessContext, type: str, resource: Resource, if_none_exist: str | None) -> WriteResult:
        """A new resource, or the one that matches. Raises BadRequest, Forbidden, PreconditionFailed."""
        guard.require(ctx, "c", type)
        resource = self.checked(ctx, type, resource)
        id = new_id()
        if if_none_exist is None:
            document = self.document(ctx, type, id, 1, resource, "POST", now())
            self.admission.admit(ctx, "c", {type: [document]})
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
            self.admission.admit(ctx, "c", {type: [document]}, session)
            self.store.write(session, creates={type: [document]}, replaces={}, deletes={}, superseded=[])
            return WriteResult(stored_of(type, document), "created")

        return self.store.transact(work)

    def _existing(self, ctx: AccessContext, type: str, criteria: str, session: Session) -> WriteResult | None:
        document = one_match(type, criteria, self.matches(ctx, type, criteria, session=session))
        return None if document is None else WriteResult(stored_of(type, document), "existing")

    def update(
        self, ctx: AccessContext, type: str, id: str, resource: Resource, if_match: int | None, only_new: bool
    ) -> WriteResult:
        """The next version, or the first one. Raises BadRequest, Forbidden, PreconditionFailed."""
        guard.require(ctx, "u", type)
        resource = self.checked(ctx, type, resource, id)
        self.store.collection(type)

        def work(session: Any) -> WriteResult:
            current = self.admission.current(ctx, "u", type, id, session)
            check_version(type, id, current, if_match)
            if only_new:
                check_absent(type, id, current)
            return self._put(ctx, type, id, resource, current, "PUT", session)

        return again_if_taken(lambda: self.store.transact(work))

    def update_conditional(
        self, ctx: AccessContext, type: str, resource: Resource, criteria: str, if_match: int | None, only_new: bool
    ) -> WriteResult:
        """The next version of the one match, or the first one of a new resource."""
        guard.require(ctx, "u", type)
        resource = self.checked(ctx, type, resource)
        refuse_bound(ctx)
        self.store.collection(type)

        def work(session: Any) -> WriteResult:
            self.store.claim([claim_key(type, criteria)], now(), session)
            match = one_match(type, criteria, self.matches(ctx, type, criteria, session=session))
            id = target_id(type, resource, match)
            current = self.admission.current(ctx, "u", type, id, session)
            check_version(type, id, current, if_match)
            if only_new:
                check_absent(type, id, current)
            return self._put(ctx, type, id, resource, current, "PUT", session)

        return again_if_taken(lambda: self.store.transact(work))

    def _put(
        self,
        ctx: AccessContext,
        type: str,
        id: str,
        resource: Resource,
        current: Document | None,
        method: str,
        session: Any,
    ) -> WriteResult:
        if current is not None and unchanged(current, resource):
            return WriteResult(stored_of(type, current), "unchanged")
        previous = current or self.store.last_version(type, id, session=session)
        document = self.next_version(ctx, type, id, resource, previous, method)
        self.admission.require_withdrawal(ctx, current, document)
        letter = "c" if current is None else "u"
        guard.require(ctx, letter, type)
        self.admission.admit(ctx, letter, {type: [document]}, session)
        if current is None:
            self.store.write(session, creates={type: [document]}, replaces={}, deletes={}, superseded=[])
            return WriteResult(stored_of(type, document), "created")
        superseded = [superseded_version(type, current, document["t"])]
        self.store.write(session, creates={}, replaces={type: [document]}, deletes={}, superseded=superseded)
        return WriteResult(stored_of(type, document), "updated")

    # ---- patch ------------------------------------------------------------------------------------------------------

    def patch(self, ctx: AccessContext, type: str, id: str, change: Patch, if_match: int | None) -> WriteResult:
        """The next version, made of the current one. Raises NotFound, Gone, Unprocessable and what an update raises."""
        check_type(type)
        self.store.collection(type)

        def work(session: Any) -> WriteResult:
            current = self.admission.current(ctx, "u", type, id, session)
            check_version(type, id, current, if_match)
            if current is None:
                self.raise_absent(ctx, type, id, session)
            return self._patch(ctx, type, current, change, session)

        return self.store.transact(work)

    def patch_conditional(
        self, ctx: AccessContext, type: str, criteria: str, change: Patch, if_match: int | None
    ) -> WriteResult:
        """The same for the one match of the criteria. Raises NotFound without a match."""
        _may_change(ctx, "u", type)
        self.store.collection(type)

        def work(session: Any) -> WriteResult:
            match = one_match(type, criteria, self.matches(ctx, type, criteria, session=session))
            if match is None:
                raise NotFound(f"No {type} matches the condition, so there is nothing to patch.")
            self.admission.require_known(ctx, "u", type, match["_id"], match, session)
            check_version(type, match["_id"], match, if_match)
            return self._patch(ctx, type, match, change, session)

        return self.store.transact(work)

    def _patch(self, ctx: AccessContext, type: str, current: Any, change: Patch, session: Any) -> WriteResult:
        resource = self.patched(ctx, type, current, change)
        return self._put(ctx, type, current["_id"], resource, current, "PATCH", session)

    # ---- delete -----------------------------------------------------------------------------------------------------

    def delete(self, ctx: AccessContext, type: str, id: str, if_match: int | None) -> WriteResult | None:
        """The deletion, None when there is nothing to delete. Raises Forbidden, PreconditionFailed."""
        _may_change(ctx, "d", type)
        self.store.collection(type)

        def work(session: Any) -> WriteResult | None:
            current = self.admission.current(ctx, "d", type, id, session)
            check_version(type, id, current, if_match)
            if current is None:
                return None
            return self._delete(type, [current], session)[0]

        return self.store.transact(work)

    def delete_conditional(
        self, ctx: AccessContext, type: str, criteria: str, bound: int, if_match: int | None
    ) -> list[WriteResult]:
        """The deletions of all matches, at most `bound`. Raises PreconditionFailed, and deletes nothing, for more."""
        _may_change(ctx, "d", type)
        self.store.collection(type)

        def work(session: Any) -> list[WriteResult]:
            return self._delete(type, self.to_delete(ctx, type, criteria, bound, if_match, session), session)

        return self.store.transact(work)

    def to_delete(
        self, ctx: AccessContext, type: str, criteria: str, bound: int, if_match: int | None, session: Session
    ) -> list[Document]:
        """The matches that a conditional delete deletes. Raises PreconditionFailed for more than `bound`."""
        bound = min(bound, MAX_DELETED)
        found = self._searching.matches(ctx, type, criteria, limit=bound + 1, session=session)
        if len(found) > bound:
            raise PreconditionFailed(
                f"More than {bound} {type} resources match these criteria, and at most that many are deleted at once: "
                "make them more specific, or allow more with _count.",
                code="multiple-matches",
            )
        if if_match is not None:
            match = one_match(type, criteria, found)
            check_version(type, match["_id"] if match else "", match, if_match)
        for each in found:
            self.admission.require_known(ctx, "d", type, each["_id"], each, session)
        return found

    def _delete(self, type: str, currents: list[Document], session: Any) -> list[WriteResult]:
        gone = [deletion(type, current, later_than(current)) for current in currents]
        if not gone:
            return []
        superseded = [superseded_version(type, each, end["t"]) for each, end in zip(currents, gone, strict=True)]
        ids = [each["_id"] for each in currents]
        self.store.write(session, creates={}, replaces={}, deletes={type: ids}, superseded=[*superseded, *gone])
        return [WriteResult(stored_of(type, each), "deleted") for each in gone]

    # ---- steps that single writes and transactions share -------------------------------------------------------------

    def matches(self, ctx: AccessContext, type: str, criteria: str, *, session: Session = None) -> list[Document]:
        """At most two live documents that fulfil the criteria of a conditional interaction. Raises BadRequest."""
        return self._searching.matches(ctx, type, criteria, session=session)

    def raise_absent(self, ctx: AccessContext, type: str, id: str, session: Session = None) -> NoReturn:
        """Raise Gone for what was deleted, else NotFound; a bound caller is not told the difference."""
        if guard.may(ctx, "r", type) and guard.unlimited(ctx, "r", type):
            last = self.store.last_version(type, id, session=session)
            if last is not None and last.get("json") is None:
                raise Gone(f"{type}/{id} was deleted.")
        raise NotFound(f"There is no {type} with the id '{id}'.")

    def patched(self, ctx: AccessContext, type: str, current: Document, change: Patch) -> Resource:
        """The current version as the patch changes it, once that has passed validation. Raises Unprocessable."""
        resource = patch.apply(change, parse(current["json"]))
        try:
            return self.checked(ctx, type, resource, current["_id"])
        except BadRequest as error:
            raise Unprocessable(error.issues) from None

    def checked(self, ctx: AccessContext, type: str, resource: Resource, id: str | None = None) -> Resource:
        """The resource once it has passed validation and the caller may write its type."""
        check_type(type)
        self._searching.catalogue.refresh()
        if resource.get("resourceType") != type:
            raise BadRequest(
                f"The address is for {type}, and the body is a {str(resource.get('resourceType'))[:40]}.",
                expression=["resourceType"],
            )
        if id is not None and resource.get("id", id) != id:
            raise BadRequest(f"The id in the body must be the one in the address, '{id}'.", expression=[f"{type}.id"])
        if ctx.may_write is not None and type not in ctx.may_write:
            raise Forbidden(f"This caller may not write {type}.")
        refuse_subset(resource)
        _refuse_waiting(resource)
        valid = self._conformance.enforced(validate({**resource, "id": id} if id is not None else resource))
        valid = labelled(valid if ctx.patient is None else declared(valid, ctx.patient))
        if "contained" in valid:
            self.store.contained.prepare(contained_types(valid))
        return valid

    def document(
        self, ctx: AccessContext, type: str, id: str, version: int, resource: Resource, method: str, moment: datetime
    ) -> Document:
        """The document of a version; a caller bound to a patient writes that patient's record only."""
        document = document_of(type, id, version, resource, method, moment, self.base_url)
        if ctx.patient is not None and document.get("o") != ctx.patient:
            raise Forbidden("The resource is not about the patient this caller is bound to, or names another one.")
        if ctx.patient is not None:
            if not self.store.merges.reach(ctx.patient):
                raise Forbidden("This record was joined with another one; ask for the card of that one.")
            document["a"] = ctx.patient
        return document

    def next_version(
        self,
        ctx: AccessContext,
        type: str,
        id: str,
        resource: Resource,
        previous: Document | None,
        method: str = "PUT",
    ) -> Document:
        """The document that follows `previous` (the current one, or the deletion), or the first one."""
        if previous is None:
            return self.document(ctx, type, id, 1, resource, method, now())
        return self.document(ctx, type, id, previous["v"] + 1, resource, method, later_than(previous))


def again_if_taken(write: Callable[[], Result]) -> Result:
    """An id that appears between looking and writing turns a creation into an update: look again."""
    for _ in range(ID_TRIES - 1):
        try:
            return write()
        except Conflict:
            continue
    return write()


def check_type(type: str) -> None:
    """Raises NotFound unless R4 has the type."""
    if type not in _TYPES:
        raise NotFound(f"'{type[:40]}' is not a FHIR R4 resource type.", code="not-supported")


def _refuse_waiting(resource: Resource) -> None:
    """Raises Unprocessable for a Subscription that would wait for messages which never come.

    https://hl7.org/fhir/R4/subscription.html
    """
    if resource["resourceType"] == "Subscription" and resource.get("status") in ("requested", "active"):
        raise Unprocessable(
            "This server delivers no subscriptions: ask by _since or _lastUpdated for what is new, "
            "or keep the Subscription for others with the status off.",
            code="not-supported",
            expression=["Subscription.status"],
        )


def refuse_bound(ctx: AccessContext) -> None:
    """Raises Forbidden for a caller bound to one patient: such a caller adds, and changes nothing."""
    if ctx.patient is not None:
        raise Forbidden(NOTHING_CHANGED)


def _may_change(ctx: AccessContext, letter: str, type: str) -> None:
    check_type(type)
    refuse_bound(ctx)
    guard.require(ctx, letter, type)
