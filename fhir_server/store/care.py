"""Which facilities treat whom, and what patients hide, as the records say at this moment: one question to MongoDB.

Grants `g` and denials `n` stand beside the records that give them (fhir_server/access/care.py), and the end of care or the
withdrawal of a consent counts at once. A change of what is hidden begins another epoch (fhir_server/epochs.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pymongo.client_session import ClientSession
from pymongo.database import Database

Document = dict[str, Any]

_TREATING = ("Patient", "Encounter", "EpisodeOfCare", "Coverage")
_MILLISECONDS = 30_000
_OWNED = {"o": 1, "n": 1}


class Rules(NamedTuple):
    """`owner -> rules` that open and that hide."""

    grants: dict[str, list[Document]]
    denials: dict[str, list[Document]]


class StoredCare:
    """The care and the consents in one database."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def about(self, owners: Iterable[str], places: list[str], anybody: str, *, care: bool) -> Rules:
        """What hides the records of some patients from a facility of these names; and with `care` what opens them to it.

        As it is now, also for a transaction that began before: one may not ask several collections at once either.
        """
        among = {"o": {"$in": sorted(owners)}}
        if not care:
            found = self._database["Consent"].find(
                {**among, **_hiding(places, anybody)}, _OWNED, max_time_ms=_MILLISECONDS
            )
            return Rules({}, _by_owner(found))
        treating = [{"$match": {**among, "g.f": {"$in": places}}}, {"$group": {"_id": "$o"}}]
        stages: list[Document] = [
            {"$match": {**among, "$or": [{"g.f": {"$in": places}}, {"n.f": {"$in": [*places, anybody]}}]}},
            {"$project": {"o": 1, "g": 1, "n": 1}},
            *({"$unionWith": {"coll": each, "pipeline": treating}} for each in _TREATING),
        ]
        rules = Rules({}, {})
        for each in self._database["Consent"].aggregate(stages, maxTimeMS=_MILLISECONDS):
            if "o" not in each:
                rules.grants.setdefault(each["_id"], []).extend({"f": place} for place in places)
                continue
            rules.grants.setdefault(each["o"], []).extend(each.get("g", ()))
            rules.denials.setdefault(each["o"], []).extend(each.get("n", ()))
        return rules

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


def _by_owner(consents: Iterable[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for each in consents:
        found.setdefault(each["o"], []).extend(each["n"])
    return found


def rules_among(denials: Iterable[Document], owners: Iterable[str]) -> Rules:
    """What `about` gives without care, from Consents that are known."""
    wanted = frozenset(owners)
    return Rules({}, _by_owner(each for each in denials if each.get("o") in wanted))
