"""Which facilities treat whom, and what patients hide, as the records say at this moment: one question to MongoDB.

Grants `g` and denials `n` stand beside the records that give them (fhir_server/access/care.py), and the end of care or the
withdrawal of a consent counts at once. A change of what is hidden begins another epoch (fhir_server/epochs.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pymongo.client_session import ClientSession
from pymongo.database import Database

from .merges import parts_of

Document = dict[str, Any]

_TREATING = ("Patient", "Encounter", "EpisodeOfCare", "Coverage")
_MILLISECONDS = 30_000
_OWNED = {"o": 1, "n": 1}


class Rules(NamedTuple):
    """`owner -> rules` that open and that hide. `merged` when some of the patients asked for have a part in a merge."""

    grants: dict[str, list[Document]]
    denials: dict[str, list[Document]]
    merged: bool = False


class StoredCare:
    """The care and the consents in one database."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def about(self, owners: Iterable[str], places: list[str], anybody: str, *, care: bool) -> Rules:
        """What hides the records of some patients from a facility of these names; and with `care` what opens them to it.

        As it is now, also for a transaction that began before: one may not ask several collections at once either.
        """
        wanted = sorted(owners)
        among, ruling = {"o": {"$in": wanted}}, _hiding(places, anybody)
        treating = [{"$match": {**among, "g.f": {"$in": places}}}, {"$group": {"_id": "$o"}}]
        merges = [{"$match": parts_of(wanted)}, {"$project": {"into": 1}}]
        stages: list[Document] = [
            {"$match": {**among, "$or": [{"g.f": {"$in": places}}, ruling]} if care else {**among, **ruling}},
            {"$project": {"o": 1, "g": 1, "n": 1}},
            *({"$unionWith": {"coll": each, "pipeline": treating}} for each in (_TREATING if care else ())),
            {"$unionWith": {"coll": "merges", "pipeline": merges}},
        ]
        grants: dict[str, list[Document]] = {}
        denials: dict[str, list[Document]] = {}
        merged = False
        for each in self._database["Consent"].aggregate(stages, maxTimeMS=_MILLISECONDS):
            if "into" in each:
                merged = True
            elif "o" not in each:
                grants.setdefault(each["_id"], []).extend({"f": place} for place in places)
            else:
                if care:
                    grants.setdefault(each["o"], []).extend(each.get("g", ()))
                denials.setdefault(each["o"], []).extend(each.get("n", ()))
        return Rules(grants, denials, merged)

    def is_changed(
        self,
        session: ClientSession,
        creates: dict[str, list[Document]],
        replaces: dict[str, list[Document]],
        deletes: dict[str, list[str]],
    ) -> bool:
        """Whether what a transaction is about to write hides something, or ends what did."""
        changed = replaces.get("Consent", [])
        if hides("Consent", [*creates.get("Consent", ()), *changed]):
            return True
        ids = [*(each["_id"] for each in changed), *deletes.get("Consent", ())]
        wanted = {"_id": {"$in": ids}, "n": {"$exists": True}}
        return bool(ids) and self._database["Consent"].find_one(wanted, {"_id": 1}, session=session) is not None

    def denials(self, places: list[str], anybody: str, limit: int, session: ClientSession | None) -> list[Document]:
        """At most `limit` Consents, `o` and `n`, that hide something from a facility of these names or from anybody."""
        found = self._database["Consent"].find(
            _hiding(places, anybody), _OWNED, session=session, max_time_ms=_MILLISECONDS
        )
        return list(found.limit(limit))


def hides(type: str, documents: Iterable[Document]) -> bool:
    """Whether one of these documents of a type hides something."""
    return type == "Consent" and any("n" in each for each in documents)


def _hiding(places: list[str], anybody: str) -> Document:
    return {"n.f": {"$in": [*places, anybody]}}


def rules_among(denials: Iterable[Document], owners: Iterable[str]) -> Rules:
    """What `about` gives without care, from Consents that are known."""
    wanted = frozenset(owners)
    found: dict[str, list[Document]] = {}
    for each in denials:
        if each["o"] in wanted:
            found.setdefault(each["o"], []).extend(each["n"])
    return Rules({}, found)
