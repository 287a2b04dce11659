"""The inbox of resident changes: every message is stored before it is answered, and stays.

mongoengine over the store's own connection, whose writes are acknowledged by a majority and journaled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mongoengine import DateTimeField, DictField, Document, ListField, StringField
from mongoengine.errors import NotUniqueError
from mongoengine.queryset import QuerySet

from fhir_server.access.documents import now as now
from mappings.resident_changes import Change, read_change

if TYPE_CHECKING:
    from fhir_server.repository import Repository

COLLECTION = "resident_changes"
RECEIVED, WAITING, APPLIED, REFUSED = "received", "waiting", "applied", "refused"


class ResidentMessage(Document):
    """One message; the id is sender|sequence. `keys` are the numbers it names its person by, `patient` the id of the
    Patient it is about once that is known, `possible` the ids of those it may be about while it waits. `reason` says
    why it waits or was refused. `decided` is who on the staff said whom it is about, or that it is about nobody."""

    id = StringField(primary_key=True)
    sender = StringField(required=True)
    content_hash = StringField(required=True)
    payload = DictField(required=True)
    keys = ListField(StringField())
    status = StringField(required=True)
    patient = StringField()
    possible = ListField(StringField())
    decided = StringField()
    reason = StringField(default="")
    actor = StringField(required=True)
    received = DateTimeField(required=True)
    tried = DateTimeField(required=True)

    meta = {"auto_create_index": False}

    @property
    def change(self) -> Change:
        """The message as it was understood when it was taken in."""
        change, problems = read_change(self.payload)
        assert change is not None, sorted(problems)
        return change


def ensure_indexes(repository: Repository) -> None:
    """Create what the look-ups need."""
    collection: Any = repository.store.database[COLLECTION]
    collection.create_index([("status", 1), ("tried", 1)])
    collection.create_index([("patient", 1)], sparse=True)
    collection.create_index([("keys", 1), ("status", 1)])
    collection.create_index([("status", 1), ("received", 1)])


def messages(repository: Repository) -> QuerySet:
    """The stored messages."""
    return QuerySet(ResidentMessage, repository.store.database[COLLECTION])


def keep(repository: Repository, message: ResidentMessage) -> ResidentMessage | None:
    """Store a new message; the stored one when its sender used the sequence number before."""
    try:
        messages(repository).insert(message, load_bulk=False)
    except NotUniqueError:
        return message_called(repository, message.id)
    return None


def message_called(repository: Repository, name: str) -> ResidentMessage | None:
    """The message with this id."""
    return messages(repository).filter(id=name).first()


def about(repository: Repository, patient: str) -> list[Change]:
    """What is known to be about a Patient."""
    return [message.change for message in messages(repository).filter(patient=patient)]


def claim(repository: Repository, name: str, patient: str) -> None:
    """Say whom a message is about, before it is applied: others then reckon with it."""
    messages(repository).filter(id=name).update_one(set__patient=patient)


def settle(repository: Repository, name: str, status: str, reason: str = "") -> None:
    """Say that a message waits no more, and how it stands."""
    messages(repository).filter(id=name).update_one(
        set__status=status, set__reason=reason, set__possible=[], set__tried=now()
    )


def wait(repository: Repository, name: str) -> None:
    """Say that a message waits for its person; why was said before, or is said by `explain`."""
    still_open = messages(repository).filter(id=name, status__in=[RECEIVED, WAITING])
    still_open.update_one(set__status=WAITING, set__tried=now())


def explain(repository: Repository, message: ResidentMessage, reason: str, possible: list[str]) -> None:
    """Say why a message waits, and which Patients (ids) it may be about, where that was not said already."""
    if (message.reason, message.possible) != (reason, possible):
        waiting = messages(repository).filter(id=message.id, status=WAITING)
        waiting.update_one(set__reason=reason, set__possible=possible)


def decide(repository: Repository, name: str, actor: str, status: str, patient: str, reason: str) -> bool:
    """Note what the staff decided about a message; False when it does not wait any more."""
    waiting = messages(repository).filter(id=name, status=WAITING)
    noted: dict[str, Any] = {
        "status": status,
        "patient": patient or None,
        "reason": reason,
        "decided": actor,
        "possible": [],
    }
    return bool(waiting.update_one(**{f"set__{field}": value for field, value in noted.items()}))


def unfinished(repository: Repository, keys: Iterable[str] | None = None, limit: int = 200) -> list[ResidentMessage]:
    """Messages that wait or were cut short, the one looked at longest ago first; those with any of `keys` if given."""
    open_ones = messages(repository).filter(status__in=[RECEIVED, WAITING])
    if keys is not None:
        open_ones = open_ones.filter(keys__in=list(keys))
    return list(open_ones.order_by("tried").limit(limit))
