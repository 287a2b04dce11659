"""Which Patients were merged into which: what searching by one person follows, and what un-merging needs.

A document of the collection `merges`: `_id` the merged Patient, `into` the one that stands for it, `added` the
identifiers the latter was given, `active` what the former said of itself, and the versions before the merge. Only
$merge writes here: a Patient.link that somebody else writes joins nobody's records.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

Document = dict[str, Any]
MAX_MERGED = 100
"""Patients that may stand behind one, by way of others too."""


def parts_of(ids: list[str]) -> Document:
    """The filter on the merges in which some of these Patients have a part."""
    return {"$or": [{"_id": {"$in": ids}}, {"into": {"$in": ids}}]}


class StoredMerges:
    """The merges of one database."""

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database["merges"]
        self._collection.create_index("into")

    def behind(self, ids: Iterable[str], session: ClientSession | None = None) -> list[str]:
        """The Patients that were merged into any of these, and into those in turn; one look-up a level."""
        found: dict[str, None] = {}
        level = list(ids)
        while level and len(found) <= MAX_MERGED * len(level):
            several = self._collection.find({"into": {"$in": level}}, {"_id": 1}, session=session)
            level = [each["_id"] for each in several if each["_id"] not in found]
            found |= dict.fromkeys(level)
        return list(found)

    def reach(self, patient: str, session: ClientSession | None = None) -> list[str]:
        """Whose records stand under a Patient: its own and `behind`; [] for one that was itself merged into another."""
        wanted = {"$or": [{"_id": patient}, {"into": patient}]}
        ids = [each["_id"] for each in self._collection.find(wanted, {"_id": 1}, session=session)]
        if patient in ids:
            return []
        return [patient, *ids, *(self.behind(ids, session) if ids else ())]

    def standing_for(self, ids: Iterable[str], session: ClientSession | None = None) -> dict[str, str]:
        """`merged Patient -> the one it was merged into`, for those of `ids` that were merged and, in turn, for these."""
        found: dict[str, str] = {}
        level = list(ids)
        while level:
            several = self._collection.find({"_id": {"$in": level}}, {"into": 1}, session=session)
            into = {each["_id"]: each["into"] for each in several}
            level = [each for each in into.values() if each not in found]
            found |= into
        return found

    def together(self, ids: Iterable[str], session: ClientSession | None = None) -> dict[str, list[str]]:
        """`Patient -> all Patients that are the same person, itself too`, for those of `ids` that have a part in a merge."""
        several = sorted(set(ids))
        near = list(self._collection.find(parts_of(several), {"into": 1}, session=session)) if several else []
        part = {each["_id"] for each in near} | {each["into"] for each in near}
        above = self.standing_for([each for each in several if each in part], session)
        found = {}
        for each in several:
            if each in part:
                top = each
                while top in above:
                    top = above[top]
                found[each] = [top, *self.behind([top], session)]
        return found

    def get(self, merged: str, session: ClientSession | None = None) -> Document | None:
        """The merge of a Patient into another one, or None."""
        return self._collection.find_one({"_id": merged}, session=session)

    def into(self, survivor: str, session: ClientSession | None = None) -> list[Document]:
        """The merges into a Patient itself."""
        return list(self._collection.find({"into": survivor}, session=session).sort("_id"))

    def keep(self, merge: Document, session: ClientSession) -> None:
        """Write a merge, or an earlier one anew."""
        self._collection.replace_one({"_id": merge["_id"]}, merge, upsert=True, session=session)

    def forget(self, merged: str, session: ClientSession) -> None:
        """Take a merge back."""
        self._collection.delete_one({"_id": merged}, session=session)
