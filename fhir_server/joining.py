"""Filters that no single index answers: chains, _has, lists, composites, words; as MongoDB filters where the other side
is small, else as checks on a batch of documents.

https://hl7.org/fhir/R4/search.html#chaining and #has. Never more than a bounded number of ids is held: the side that is
searched for is read first when it has few matches, and otherwise asked batch by batch about the documents at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .errors import BadRequest, Unprocessable
from .resource.exact import parse
from .search import checks
from .search.clauses import AnyClause, Chain, Clause, Composite, Either, Has, Listed, Near, Words
from .search.conditions import conditions
from .search.filters import NOTHING, Filter, Reading, all_of, any_of
from .search.parameters import token_key
from .sight import BatchCheck, Sight
from .store.records import Document, Session, Store

FEW = 1000  # ids that one side of a join may be turned into
READ = 2000  # documents that are read to find them
LISTED = 5000  # entries of a List

BESIDE: Document = {"tokens": "$x", "o": 1, "l": 1}  # what a batch check reads beside the text


@dataclass(frozen=True, slots=True)
class Parts:
    """What a clause becomes: a filter that all its matches fulfil, and checks that leave nothing but them."""

    filter: Filter
    checks: tuple[BatchCheck, ...] = ()


class Joining:
    """The joins of one search, in the name of one caller."""

    def __init__(self, store: Store, reading: Reading, sight: Sight, session: Session) -> None:
        self.store = store
        self.reading = reading
        self.sight = sight
        self.session = session
        self._known: dict[tuple[str, int], Parts] = {}

    def parts(self, type: str, clause: AnyClause) -> Parts:
        """What a clause on a type becomes. Raises FhirError."""
        key = (type, id(clause))
        if key not in self._known:
            self._known[key] = self._parts(type, clause)
        return self._known[key]

    def _parts(self, type: str, clause: AnyClause) -> Parts:
        match clause:
            case Clause():
                filter = all_of([each for each in conditions([clause], self.reading) if each])
                return Parts(filter, (_each(checks.texts(clause)),) if clause.modifier == "text" else ())
            case Composite():
                filter, check = checks.composite(type, clause, self.reading, self.reading.base_url)
                return Parts(filter, (_each(check),) if check else ())
            case Words():
                return Parts({}, (_each(checks.words(clause)),))
            case Near():
                return Parts({"resource.position": {"$exists": True}}, (_each(checks.near(clause)),))
            case Listed():
                return Parts(self._listed(type, clause))
            case Either():
                return self._either(type, clause)
            case Chain():
                return self._chain(clause)
            case Has():
                return self._has(type, clause)

    def _either(self, type: str, clause: Either) -> Parts:
        parts = [self.parts(type, each) for each in clause.parts]
        if clause.operator == "and":
            return Parts(
                all_of([each.filter for each in parts if each.filter]), tuple(c for p in parts for c in p.checks)
            )
        if any(part.checks for part in parts):
            raise BadRequest(
                f"This _filter has under '{clause.operator}' what can only be combined by 'and'.", code="not-supported"
            )
        filters = [part.filter for part in parts]
        return Parts(any_of(filters) if clause.operator == "or" else {"$nor": filters})

    # ---- chains: what a reference points to ----------------------------------------------------------------------

    def _chain(self, chain: Chain) -> Parts:
        found: list[str] = []
        for target, inner in self._open(chain).items():
            ids = self._ids(target, inner)
            if ids is None:
                return Parts({}, (self._chain_check(chain),))
            if target == "Patient":
                ids += self.reading.merged(ids)
            found += [f"{key}{target}/{each}" for key in _keys(chain, target) for each in ids]
        return Parts({"x": {"$in": found}} if found else NOTHING)

    def _open(self, chain: Chain) -> dict[str, AnyClause]:
        """What a chain asks of the types that the caller may search: what others hold does not count."""
        return {target: inner for target, inner in chain.inner.items() if self.sight.may(target)}

    def _ids(self, type: str, clause: AnyClause) -> list[str] | None:
        """The ids of a clause's matches; None when there are more than a few."""
        parts = self._seen(type, clause)
        if not parts.checks:
            found = self._find(type, parts.filter, FEW + 1)
            return None if len(found) > FEW else [each["_id"] for each in found]
        found = self._find(type, parts.filter, READ + 1, BESIDE, texts=True)
        if len(found) > READ:
            return None
        passed = passing(found, parts.checks)
        return None if len(passed) > FEW else [each["_id"] for each in passed]

    def _chain_check(self, chain: Chain) -> BatchCheck:
        def check(documents: list[Document]) -> list[Document]:
            allowed: set[str] = set()
            for target, inner in self._open(chain).items():
                beginnings = tuple(f"{key}{target}/" for key in _keys(chain, target))
                tokens = {token for each in documents for token in each["tokens"] if token.startswith(beginnings)}
                ids = {token.rpartition("/")[2] for token in tokens}
                into = self.store.merges.standing_for(sorted(ids), self.session) if target == "Patient" else {}
                passing = self._among(target, inner, sorted(ids | set(into.values())))
                allowed |= {token for token in tokens if passing & _standing(token.rpartition("/")[2], into)}
            return [each for each in documents if not allowed.isdisjoint(each["tokens"])]

        return check

    def _among(self, type: str, clause: AnyClause, ids: list[str]) -> set[str]:
        """Which of some resources fulfil a clause."""
        if not ids:
            return set()
        parts = self._seen(type, clause)
        wanted = all_of([{"_id": {"$in": ids}}, *([parts.filter] if parts.filter else [])])
        found = self._find(type, wanted, 0, BESIDE if parts.checks else {}, texts=bool(parts.checks))
        return {each["_id"] for each in passing(found, parts.checks)}

    # ---- _has: what refers to a resource -------------------------------------------------------------------------

    def _has(self, type: str, has: Has) -> Parts:
        beginnings = tuple(f"{key}{type}/" for key in _keys(has, type))
        parts = self._seen(has.source, has.inner)
        found = self._find(has.source, parts.filter, READ + 1, BESIDE, texts=bool(parts.checks))
        if len(found) <= READ:
            referring = passing(found, parts.checks)
            tokens = {token for each in referring for token in each["tokens"] if token.startswith(beginnings)}
            ids = {token.rpartition("/")[2] for token in tokens}
            if len(ids) <= FEW:
                if type == "Patient":  # what refers to who was merged refers to who stands for them
                    ids.update(self.store.merges.standing_for(sorted(ids), self.session).values())
                return Parts({"_id": {"$in": sorted(ids)}})
        return Parts({}, (self._has_check(type, has),))

    def _has_check(self, type: str, has: Has) -> BatchCheck:
        keys = _keys(has, type)
        parts = self._seen(has.source, has.inner)

        def check(documents: list[Document]) -> list[Document]:
            meant = self._meant(type, [each["_id"] for each in documents])
            by_token = {f"{key}{type}/{id}": standing for key in keys for id, standing in meant.items()}
            tokens = list(by_token)
            wanted = all_of([{"x": {"$in": tokens}}, *([parts.filter] if parts.filter else [])])
            if parts.checks:
                found = self._find(has.source, wanted, 2 * READ + 1, BESIDE, texts=True)
                if len(found) > 2 * READ:
                    raise Unprocessable("This _has reads too much; narrow the search.", code="too-costly")
                held = {token for each in passing(found, parts.checks) for token in each["tokens"]}
            else:
                held = self.store.referring_tokens(has.source, wanted, tokens, session=self.session)
            kept = {id for token in tokens if token in held for id in by_token[token]}
            return [each for each in documents if each["_id"] in kept]

        return check

    def _meant(self, type: str, ids: list[str]) -> dict[str, set[str]]:
        """`id -> who is meant by it`, for resources and, of Patients, for those that were merged into them."""
        behind = self.reading.merged(ids) if type == "Patient" else []
        into = self.store.merges.standing_for(behind, self.session) if behind else {}
        return {id: {id} for id in ids} | {id: _standing(id, into) for id in behind}

    # ---- lists ----------------------------------------------------------------------------------------------------

    def _listed(self, type: str, listed: Listed) -> Filter:
        """https://hl7.org/fhir/R4/search.html#list: functional lists ($current-...) are not kept by this server."""
        if listed.list_id.startswith("$"):
            raise BadRequest("Functional lists such as $current-problems are not supported.", code="not-supported")
        wanted = self.sight.wanted("List", {"_id": listed.list_id})
        found = passing(self._find("List", wanted, 1, BESIDE), self.sight.checks("List"))
        beginning = f"entry.item|{type}/"
        tokens = [token for each in found for token in each["tokens"] if token.startswith(beginning)]
        if len(tokens) > LISTED:
            raise Unprocessable(f"The List has more than {LISTED} entries.", code="too-costly")
        return {"_id": {"$in": [token.rpartition("/")[2] for token in tokens]}}

    def _seen(self, type: str, clause: AnyClause) -> Parts:
        """What a clause becomes among the records of another type that the caller may see. Raises Forbidden."""
        parts = self.parts(type, clause)
        return Parts(self.sight.wanted(type, parts.filter), (*parts.checks, *self.sight.checks(type)))

    def _find(
        self, type: str, wanted: Filter, limit: int, fields: Document | None = None, *, texts: bool = False
    ) -> list[Document]:
        """The documents that fulfil a filter; with their texts only where checks will read them."""
        read = self.store.currents if texts else self.store.bare
        return read(type, wanted, fields=fields or {}, limit=limit, session=self.session)


def _standing(id: str, into: dict[str, str]) -> set[str]:
    """A Patient and those who stand for it since it was merged."""
    found = {id}
    while id in into:
        id = into[id]
        found.add(id)
    return found


def _keys(join: Chain | Has, target: str) -> list[str]:
    """The beginnings of the tokens by which a parameter refers to a type."""
    sources = join.parameter.sources
    return [token_key(source, "reference") for source in sources if source.target in ("", target)]


def _each(check: checks.Check) -> BatchCheck:
    def batch(documents: list[Document]) -> list[Document]:
        return [document for document in documents if check(parse(document["json"]))]

    return batch


def passing(documents: list[Document], several: Iterable[BatchCheck]) -> list[Document]:
    """The documents that pass all checks."""
    for check in several:
        if documents:
            documents = check(documents)
    return documents
