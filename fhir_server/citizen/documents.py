"""How this room keeps its few administrative documents: mongoengine classes over the store's own connection.

A query set is made on the collection of the store at hand. So there is no second connection pool, no process-wide
mongoengine alias, and one process can serve (or test) several databases from several threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mongoengine import Document
from mongoengine.queryset import QuerySet

from fhir_server.access.documents import now as now

if TYPE_CHECKING:
    from fhir_server.repository import Repository

COLLECTIONS: dict[str, str] = {
    "Card": "cards",
    "CardPin": "card_pins",
    "CitizenSession": "citizen_sessions",
    "Draft": "citizen_drafts",
    "FacilityAsking": "facility_askings",
    "HealthLink": "health_links",
    "WrongCodes": "wrong_codes",
}
# What MongoDB itself removes when the time in this field has come.
REMOVED = {
    "CitizenSession": "forgotten",
    "Draft": "expires",
    "FacilityAsking": "expires",
    "HealthLink": "forgotten",
    "WrongCodes": "expires",
}


def documents(repository: Repository, kind: type[Document]) -> QuerySet:
    """The stored documents of one class, as a query set: filter, insert, modify and delete go through it."""
    return QuerySet(kind, repository.store.database[COLLECTIONS[kind.__name__]])


def ensure_indexes(repository: Repository) -> None:
    """Create what the look-ups need; expired sessions and counters are removed by MongoDB itself."""
    database: Any = repository.store.database
    database[COLLECTIONS["Card"]].create_index("token_hash", unique=True)
    database[COLLECTIONS["Card"]].create_index("patient")
    database[COLLECTIONS["CitizenSession"]].create_index("card")
    database[COLLECTIONS["HealthLink"]].create_index("patient")
    for kind, field in REMOVED.items():
        database[COLLECTIONS[kind]].create_index(field, expireAfterSeconds=0)
