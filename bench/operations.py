"""The MongoDB operations behind each measured interaction, and nothing else: what the twin and the floor do.

Each takes a key that a request carries and gives the texts it would answer with. The documents written are ones that
the server's own write path made, under new ids.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bson.min_key import MinKey
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fhir_server.store.records import Store, superseded_version

SERVED = {"json": 1, "v": 1, "t": 1, "m": 1}
PAGE = 50
ENTRIES = 100


class Operations:
    """One method for each row of the table."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.patients = store.collection("Patient")
        self.observations = store.collection("Observation")
        self.template: dict[str, Any] = self.observations.find_one() or {}
        self.by_name: dict[str, Callable[[str], list[str]]] = {
            "read": self.read,
            "token": self.token,
            "name": self.name,
            "newest": self.newest,
            "create": self.create,
            "update": self.update,
            "transaction": self.transaction,
        }

    def read(self, key: str) -> list[str]:
        document = self.patients.find_one({"_id": key}, {**SERVED, "o": 1})
        assert document is not None
        return [document["json"]]

    def token(self, key: str) -> list[str]:
        system, _, value = key.partition("|")
        wanted = {
            "$and": [
                {"x": f"identifier|{value}"},
                {"resource.identifier": {"$elemMatch": {"value": value, "system": system}}},
            ]
        }
        return [each["json"] for each in self.patients.find(wanted, SERVED).sort([("_id", 1)]).limit(PAGE + 1)]

    def name(self, key: str) -> list[str]:
        token = {"x": {"$elemMatch": {"$gte": f"name~{key}", "$lt": f"name~{key}\U0010ffff"}}}
        begin: Any = [("x", f"name~{key}"), ("_id", MinKey())]
        end: Any = [("x", f"name~{key}\U0010ffff"), ("_id", MinKey())]
        cursor = self.patients.find({}, {**SERVED, **token}, hint=[("x", 1), ("_id", 1)], limit=PAGE + 1)
        return [each["json"] for each in cursor.min(begin).max(end)]

    def newest(self, key: str) -> list[str]:
        cursor = self.observations.find({"k": f"subject|Patient/{key}"}, {**SERVED, "s": 1})
        return [each["json"] for each in cursor.sort([("s", -1), ("_id", -1)]).limit(PAGE + 1)]

    def _fresh(self) -> dict[str, Any]:
        return {**self.template, "_id": str(uuid.uuid4()), "t": datetime.now(UTC)}

    def create(self, key: str) -> list[str]:
        document = self._fresh()
        self.observations.insert_one(document)
        return [document["json"]]

    def update(self, key: str) -> list[str]:
        def work(session: Any) -> list[str]:
            wanted = {"_id": key}
            current = self.patients.find_one(wanted, {**SERVED, "o": 1}, session=session)
            whole = self.updated[key]
            assert current is not None
            moment = datetime.now(UTC)
            superseded = superseded_version("Patient", current, moment)
            self.store.history.insert_many([superseded], session=session, ordered=False)
            replacement = {**whole, "v": current["v"] + 1, "t": moment}
            self.patients.replace_one(wanted, replacement, session=session)
            return [current["json"]]

        return self._transact(work)

    @property
    def updated(self) -> dict[str, dict[str, Any]]:
        """Whole Patient documents by id, read once: the twin writes them back as they are."""
        if not hasattr(self, "_updated"):
            self._updated = {document["_id"]: document for document in self.patients.find()}
        return self._updated

    def transaction(self, key: str) -> list[str]:
        documents = [self._fresh() for _ in range(ENTRIES)]

        def work(session: Any) -> list[str]:
            self.observations.insert_many(documents, session=session, ordered=False)
            return []

        return self._transact(work)

    def _transact(self, work: Callable[[Any], list[str]]) -> list[str]:
        with self.store.client.start_session() as session:
            return session.with_transaction(
                work, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority", j=True)
            )
