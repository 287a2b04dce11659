"""The one door to records: every read, search and write passes through here with an AccessContext.

Interactions: https://hl7.org/fhir/R4/http.html. A caller bound to a patient sees what that patient owns; for such a
caller everything else does not exist, in every answer, count and error.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from typing import Any

from .access import guard
from .access.context import AccessContext
from .auditing import noted
from .errors import FhirError, Forbidden, Gone, NotFound
from .expansions import Expansions
from .exporting import Exports
from .finding import RecordFinding
from .history import RecordHistory
from .merging import PatientMerging
from .patch import Patch
from .profile_enforcement import Conformance, newest_in
from .records import EntryResult, HistoryPage, SearchPage, Stored, WriteResult, stored_of
from .resource.exact import Resource
from .resource.validation import compile_schema
from .search.parameters import parameters, token_key
from .search.query import DEFAULT_COUNT, MAX_COUNT, Pair
from .searching import Compartment
from .store.audit import AUDITED
from .store.failures import refusal
from .store.records import Session, Store
from .transactions import PerformOperation, carry_out
from .writing import MAX_DELETED, RecordWriting, check_type

__all__ = ["MAX_DELETED", "EntryResult", "HistoryPage", "Repository", "SearchPage", "Stored", "WriteResult"]

COMPARTMENTS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")


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
        self._session: Session = None
        self._searching = RecordFinding(store, self.base_url, default_count, max_count)
        self._history = RecordHistory(store, self._searching.outlook, default_count, max_count)
        self.conformance = Conformance(newest_in(self._searching))
        self._searching.terminology = Expansions(store, self.conformance.definitions)
        self.writing = RecordWriting(store, self._searching, self.conformance, self.base_url)
        self.exports = Exports(store, self._searching)
        self.merging = PatientMerging(self.writing)

    def seal_audit_trail(self) -> None:
        """From now on AuditEvents come from the audit trail alone (audit_shipping.py): everybody else is refused."""
        self.store.sealed = frozenset({AUDITED})

    @property
    def append_only(self) -> frozenset[str]:
        """The types that nobody but the server itself writes."""
        return self.store.sealed

    def refuse_append_only(self, type: str) -> None:
        """Raises MethodNotAllowed for a type of `append_only`, whether there is such a record or not."""
        self.store.refuse_sealed(type)

    def warm_up(self) -> None:
        """Compile the schema now: 0.2 s that the first write would wait for otherwise."""
        compile_schema()

    def within(self, session: Session) -> Repository:
        """The same door, whose reads see what the transaction of a session has written. Nothing is written through it."""
        bound = copy(self)
        bound._session = session
        return bound

    # ---- read -------------------------------------------------------------------------------------------------------

    @noted
    def read(self, ctx: AccessContext, type: str, id: str, *, session: Session = None) -> Stored:
        """The current version. Raises NotFound, or Gone when it was deleted. https://hl7.org/fhir/R4/http.html#read"""
        check_type(type)
        session = session or self._session
        document = self._searching.outlook.of(ctx, "r", session).current(type, id)
        if document is None:
            self.writing.raise_absent(ctx, type, id, session)
        return stored_of(type, document)

    @noted
    def vread(self, ctx: AccessContext, type: str, id: str, version: str, *, session: Session = None) -> Stored:
        """One version. Raises NotFound, or Gone when that version is the deletion."""
        check_type(type)
        session = session or self._session
        absent = NotFound(f"There is no version '{version[:20]}' of {type}/{id}.")
        if not version.isascii() or not version.isdigit() or len(version) > 9:
            raise absent
        sight = self._searching.outlook.of(ctx, "r", session)
        current = sight.current(type, id)
        if current is not None and current["v"] == int(version):
            return stored_of(type, current)
        if current is None and sight.limited(type):
            raise absent
        document = self.store.version(type, id, int(version), session=session)
        if document is None or not sight.sees_version(type, document):
            raise absent
        if document.get("json") is None:
            raise Gone(f"{type}/{id} was deleted in version {version}.")
        return stored_of(type, document)

    # ---- search -----------------------------------------------------------------------------------------------------

    @noted
    def search(
        self,
        ctx: AccessContext,
        type: str,
        query: list[Pair],
        *,
        lenient: bool = False,
        session: Session = None,
        compartment: Compartment | None = None,
    ) -> SearchPage:
        """One page of matches. Raises BadRequest. https://hl7.org/fhir/R4/http.html#search

        `compartment` ("Patient", id) narrows it: https://hl7.org/fhir/R4/http.html#vsearch.
        """
        check_type(type)
        return self._searching.page(
            ctx, type, query, lenient=lenient, session=session or self._session, compartment=_checked(compartment)
        )

    @noted
    def search_system(
        self,
        ctx: AccessContext,
        query: list[Pair],
        *,
        lenient: bool = False,
        session: Session = None,
        compartment: Compartment | None = None,
    ) -> SearchPage:
        """One page of the matches of several types, named by _type. Raises BadRequest."""
        return self._searching.system_page(
            ctx, query, lenient=lenient, session=session or self._session, compartment=_checked(compartment)
        )

    @noted
    def lookup(self, ctx: AccessContext, type: str, param: str, values: list[str]) -> dict[str, list[Stored]]:
        """`value -> live resources` for many values of one token parameter at once ("system|code" or "code")."""
        check_type(type)
        return self._searching.lookup(ctx, type, param, values, session=self._session)

    def may(self, ctx: AccessContext, letter: str, type: str) -> bool:
        """Whether the caller's scopes grant an interaction, a letter of cruds, with some records of a type."""
        return guard.may(ctx, letter, type)

    @noted
    def alike(
        self, ctx: AccessContext, keys: Collection[str], *, each: int = 20, without: str = ""
    ) -> dict[str, list[Stored]]:
        """`key -> live Patients` for many blocking keys (search/likeness.py) at once: whom no number leads to.

        At most `each` under a key; only keys that somebody has. `without`: none who has an identifier of that system.
        """
        return self._searching.alike(ctx, keys, each=each, without=without, session=self._session)

    def merged_into(self, ctx: AccessContext, patients: list[str]) -> list[str]:
        """The ids of the Patients that were merged into any of these, whose records are found by asking for these."""
        if not set(patients) <= {ctx.patient or each for each in patients}:
            return []
        return self.store.merges.behind(patients, self._session)

    def merged_away(self, ctx: AccessContext, patients: list[str]) -> dict[str, str]:
        """`id -> id of the Patient it was merged into`, for those of `patients` that were, and these in turn."""
        return {} if ctx.patient is not None else self.store.merges.standing_for(patients, self._session)

    def denials(self, facility: str | None) -> tuple[dict[str, Any], ...]:
        """What hides something from the clients of a facility, as AccessContext.denials takes it."""
        return self._searching.outlook.denials(facility)

    @staticmethod
    def refusal(error: Exception) -> FhirError | None:
        """What a caller can act on, for an error of the store that was not turned into it; None for any other."""
        return refusal(error)

    def next_number(self, name: str) -> int:
        """The next number of a row of numbers with a name, from 1. Each is given once, to one caller."""
        return self.store.counters.next(name)

    def types(self) -> list[str]:
        """The resource types that have or had records."""
        return self.store.types()

    def codes(self, ctx: AccessContext, type: str, param: str, limit: int) -> list[str]:
        """At most `limit` different codes that records of a type have under a token or uri parameter, ascending.

        Raises Forbidden for a caller bound to a patient: whose they are cannot be told.
        """
        check_type(type)
        guard.require(ctx, "s", type)
        if not guard.unlimited(ctx, "s", type):
            raise Forbidden("What records of all people have in common is not open to this caller.")
        parameter = parameters(type)[param]
        keys = [token_key(source, parameter.type) for source in parameter.sources]
        return sorted({code for key in keys for code in self.store.distinct(type, key, limit)})[:limit]

    def reindex(self, ctx: AccessContext) -> dict[str, Any]:
        """Begin to index the records for the SearchParameter resources. Raises Forbidden, Conflict while that goes on."""
        guard.require_operation(ctx, "reindex", "")
        return self._searching.catalogue.reindex()

    def reindex_state(self, ctx: AccessContext) -> dict[str, Any]:
        """How far the indexing is. Raises Forbidden."""
        guard.require_operation(ctx, "reindex", "")
        return self._searching.catalogue.state()

    def know_parameters(self) -> None:
        """Take up the search parameters that were added lately, by whichever process. Searches do so by themselves."""
        self._searching.catalogue.refresh()

    # ---- history ----------------------------------------------------------------------------------------------------

    @noted
    def history(
        self,
        ctx: AccessContext,
        type: str | None = None,
        id: str | None = None,
        *,
        query: list[Pair],
        session: Session = None,
    ) -> HistoryPage:
        """Versions, newest first, deletions among them. https://hl7.org/fhir/R4/http.html#history"""
        if type is not None:
            check_type(type)
        return self._history.page(ctx, type, id, query, session=session or self._session)

    # ---- write ------------------------------------------------------------------------------------------------------

    @noted
    def create(
        self, ctx: AccessContext, type: str, resource: Resource, *, if_none_exist: str | None = None
    ) -> WriteResult:
        """Store a new resource under an id of the server's choice. https://hl7.org/fhir/R4/http.html#create

        With `if_none_exist` criteria an existing match is returned instead. Raises BadRequest, Forbidden,
        PreconditionFailed.
        """
        return self.writing.create(ctx, type, resource, if_none_exist)

    def checked(self, ctx: AccessContext, type: str, resource: Resource) -> Resource:
        """The resource once it has passed validation and the caller may write its type. Raises BadRequest, Forbidden."""
        return self.writing.checked(ctx, type, resource)

    @noted
    def update(
        self,
        ctx: AccessContext,
        type: str,
        id: str,
        resource: Resource,
        *,
        if_match: int | None = None,
        only_new: bool = False,
    ) -> WriteResult:
        """Store a new version, or the first one under an id of the client's choice.

        https://hl7.org/fhir/R4/http.html#update. `only_new` (If-None-Match: *) refuses to replace anything. Raises
        BadRequest, Forbidden, PreconditionFailed.
        """
        return self.writing.update(ctx, type, id, resource, if_match, only_new)

    @noted
    def update_conditional(
        self,
        ctx: AccessContext,
        type: str,
        resource: Resource,
        criteria: str,
        *,
        if_match: int | None = None,
        only_new: bool = False,
    ) -> WriteResult:
        """Update the one match of the criteria, or create. https://hl7.org/fhir/R4/http.html#cond-update"""
        return self.writing.update_conditional(ctx, type, resource, criteria, if_match, only_new)

    @noted
    def patch(
        self, ctx: AccessContext, type: str, id: str, change: Patch, *, if_match: int | None = None
    ) -> WriteResult:
        """Store what `change` makes of the current version; no difference makes no version.

        https://hl7.org/fhir/R4/http.html#patch. Raises NotFound, Gone, Forbidden, PreconditionFailed, and Unprocessable
        when the change does not fit, touches id, meta.versionId or meta.lastUpdated, or leaves an invalid resource.
        """
        return self.writing.patch(ctx, type, id, change, if_match)

    @noted
    def patch_conditional(
        self, ctx: AccessContext, type: str, criteria: str, change: Patch, *, if_match: int | None = None
    ) -> WriteResult:
        """Patch the one match of the criteria. Raises NotFound without one, PreconditionFailed for several."""
        return self.writing.patch_conditional(ctx, type, criteria, change, if_match)

    @noted
    def delete(self, ctx: AccessContext, type: str, id: str, *, if_match: int | None = None) -> WriteResult | None:
        """Delete a resource; its versions stay readable. None when there is nothing to delete.

        https://hl7.org/fhir/R4/http.html#delete. Raises Forbidden, PreconditionFailed.
        """
        return self.writing.delete(ctx, type, id, if_match)

    @noted
    def delete_conditional(
        self, ctx: AccessContext, type: str, criteria: str, *, bound: int = MAX_DELETED, if_match: int | None = None
    ) -> list[WriteResult]:
        """Delete every match of the criteria, all of them or none. Raises PreconditionFailed for more than `bound`."""
        return self.writing.delete_conditional(ctx, type, criteria, bound, if_match)

    @noted
    def transaction(
        self,
        ctx: AccessContext,
        bundle: Resource,
        *,
        lenient: bool = False,
        base: str | None = None,
        perform: PerformOperation | None = None,
    ) -> list[EntryResult]:
        """Carry out a transaction Bundle, all of it or nothing; results stand in the order of the entries.

        https://hl7.org/fhir/R4/http.html#transaction. `base` is an address the client knows this service by;
        `perform` carries out its operations, which only read, after the writes. Raises with the failing entry in
        `expression`.
        """
        return carry_out(self, ctx, bundle, lenient=lenient, base=base, perform=perform)


def _checked(compartment: Compartment | None) -> Compartment | None:
    if compartment is not None and compartment[0] not in COMPARTMENTS:
        raise NotFound(
            f"There is no compartment of a {compartment[0][:40]}; there is one of {', '.join(COMPARTMENTS)}."
        )
    return compartment
