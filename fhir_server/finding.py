"""Search as the writes and the mappings need it: by many identifiers at once, by the criteria of a condition.

https://hl7.org/fhir/R4/http.html#ccreate. Only the repository calls this; it has checked the type by then.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

from .access import guard
from .access.context import AccessContext
from .errors import BadRequest
from .joining import passing
from .records import Stored, stored_of
from .search.clauses import escape
from .search.filters import Filter
from .search.includes import carries, system_and_code
from .search.likeness import likeness_entry
from .search.query import Pair, parse_query
from .searching import RecordSearch
from .sight import BatchCheck
from .store.merges import MAX_MERGED
from .store.records import Document, Session

LIKENESSES_AT_ONCE = 200


class RecordFinding(RecordSearch):
    """Search in the records of one store, and what conditions and look-ups find in it."""

    def lookup(
        self, ctx: AccessContext, type: str, param: str, values: list[str], *, session: Session = None
    ) -> dict[str, list[Stored]]:
        """`value -> live resources` for many values of one token parameter at once ("system|code" or "code")."""
        found: dict[str, list[Stored]] = {value: [] for value in values}
        sight = self.outlook.of(ctx, "s", session)
        for start in range(0, len(values), 200):
            some = values[start : start + 200]
            codes = sorted({system_and_code(value)[1] for value in some})
            query = parse_query(type, [(param, ",".join(escape(code) for code in codes))])
            run = self._run(sight, type, query, session)
            fields = {"x": 1, "resource.identifier": 1}
            found_now = self.store.currents(type, run.plan().filter, fields=fields, session=session)
            for document in passing(found_now, run.repeats):
                for value in some:
                    if carries(type, param, document, value):
                        found[value].append(stored_of(type, document))
        return found

    def alike(
        self, ctx: AccessContext, keys: Collection[str], *, each: int, without: str = "", session: Session = None
    ) -> dict[str, list[Stored]]:
        """`blocking key (search/likeness.py) -> live Patients`, at most `each`, for those keys that anybody has.

        `without` leaves out who has an identifier of that system, one of TELLING_APART. One that was merged into another
        is among them.
        """
        keys_of = {likeness_entry(key, without): key for key in keys}
        entries = sorted(keys_of)
        found: dict[str, dict[str, Stored]] = {}
        for start in range(0, len(entries), LIKENESSES_AT_ONCE):
            some = entries[start : start + LIKENESSES_AT_ONCE]
            for document in self._alike(ctx, some, each, session):
                for entry in set(some).intersection(document["x"]):
                    several = found.setdefault(keys_of[entry], {})
                    if len(several) < each:
                        several[document["_id"]] = stored_of("Patient", document)
        return {key: list(several.values()) for key, several in found.items()}

    def _alike(self, ctx: AccessContext, entries: list[str], each: int, session: Session) -> list[Document]:
        """The Patients with one of the entries: in one look-up, unless some likeness is that of too many."""
        sight = self.outlook.of(ctx, "s", session)
        bound = each * len(entries)
        wanted: Document = {"x": {"$in": entries}}
        found = self.store.currents(
            "Patient", sight.wanted("Patient", wanted), fields={"x": 1}, limit=bound, session=session
        )
        if len(found) == bound and len(entries) > 1:
            return [document for entry in entries for document in self._alike(ctx, [entry], each, session)]
        return passing(found, sight.checks("Patient"))

    def criteria(self, ctx: AccessContext, type: str, pairs: list[Pair]) -> tuple[Filter, list[BatchCheck]]:
        """What all matches of some search parameters fulfil, for who reads them in an order of their own.

        Raises BadRequest for what does not narrow the search.
        """
        query = self._parse(type, pairs)
        if len(query.clauses) + len(query.others) != len(pairs):
            raise BadRequest("Only search parameters narrow an export, no _sort, _count or _include.", code="invalid")
        run = self._run(self.outlook.of(ctx, "s"), type, query, None)
        return run.plan().filter, [*run.checks, *run.repeats]

    def matches(
        self, ctx: AccessContext, type: str, criteria: str, *, limit: int = 2, session: Session = None
    ) -> list[Document]:
        """At most `limit` live documents that fulfil the criteria of a conditional interaction. Raises BadRequest."""
        pairs = parse_qsl(criteria.lstrip("?"), keep_blank_values=True)
        guard.require_names(ctx, [name for name, _ in pairs])
        if not pairs:
            raise BadRequest(f"The condition '{criteria[:60]}' has no search parameter; write name=value.")
        query = parse_query(type, pairs)
        if (not query.clauses and not query.others) or len(query.clauses) + len(query.others) != len(pairs):
            raise BadRequest("A condition takes search parameters only, no _sort, _count or _include.")
        run = self._run(self.outlook.of(ctx, "s", session), type, query, session)
        if type == "Patient":
            limit += MAX_MERGED  # of whom none may be meant, since others stand for them
        if run.checks or run.repeats:
            found = self._read(run, limit, None)[0]
        else:
            found = self.store.currents(type, run.plan().filter, limit=limit, session=session)
        if type != "Patient" or len(found) < 2:
            return found
        ids = {each["_id"] for each in found}
        away = self.store.merges.standing_for(sorted(ids), session)
        return [each for each in found if away.get(each["_id"]) not in ids][: limit - MAX_MERGED]
