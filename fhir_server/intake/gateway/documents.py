"""What the gateway keeps: requests and their bodies, the state of each visit, and who works for which facility.

mongoengine classes over the store's own connection, whose writes are acknowledged by a majority and journaled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mongoengine import (
    BinaryField,
    BooleanField,
    DateTimeField,
    DictField,
    Document,
    IntField,
    ListField,
    LongField,
    StringField,
)
from mongoengine.queryset import QuerySet

from fhir_server.access.documents import now as now

if TYPE_CHECKING:
    from fhir_server.repository import Repository


class GatewayRequest(Document):
    """One accepted request, the id being its tracking_id. `keys` name what it is about: requests that share one are
    carried out in the order of `number`. `results` has one row for each visit or record once it was processed."""

    id = StringField(primary_key=True)
    number = LongField(required=True)
    kind = StringField(required=True)
    actor = StringField(required=True)
    facility = StringField(required=True)
    keys = ListField(StringField(), required=True)
    content_hash = StringField(required=True)
    request_id = StringField()
    order = DictField()
    subjects = ListField(DictField())
    warnings = ListField(DictField())
    status = StringField(required=True)
    finished = BooleanField(required=True, default=False)
    worker = StringField()
    attempts = IntField(required=True, default=0)
    received = DateTimeField(required=True)
    completed = DateTimeField()
    events = ListField(DictField())
    results = ListField(DictField())

    meta = {"auto_create_index": False}


class GatewayBody(Document):
    """The bytes of a request, compressed. MongoDB removes them some time after they were processed."""

    id = StringField(primary_key=True)
    content = BinaryField(required=True)
    expires = DateTimeField()

    meta = {"auto_create_index": False}


class GatewayVisit(Document):
    """How it stands with one visit; the id is facility|MA_LK. `status` is that of what was sent last, `number` its
    request's; `is_cancelled` is about the visit."""

    id = StringField(primary_key=True)
    facility = StringField(required=True)
    ma_lk = StringField(required=True)
    ho_ten = StringField(default="")
    ma_bn = StringField(default="")
    ngay_vao = StringField(default="")
    status = StringField(required=True)
    is_cancelled = BooleanField(required=True, default=False)
    latest_tracking_id = StringField(required=True)
    number = LongField(required=True)
    received = DateTimeField(required=True)

    meta = {"auto_create_index": False}


class GatewayLane(Document):
    """Who works through the requests of a facility, and until when that holds without another sign of life."""

    id = StringField(primary_key=True)
    worker = StringField(required=True)
    until = DateTimeField(required=True)

    meta = {"auto_create_index": False}


class GatewayCounter(Document):
    """The number that was given to the last request."""

    id = StringField(primary_key=True)
    last = LongField(required=True, default=0)

    meta = {"auto_create_index": False}


COLLECTIONS: dict[type[Document], str] = {
    GatewayRequest: "gateway_requests",
    GatewayBody: "gateway_bodies",
    GatewayVisit: "gateway_visits",
    GatewayLane: "gateway_lanes",
    GatewayCounter: "gateway_counters",
}


def documents(repository: Repository, kind: type[Document]) -> QuerySet:
    """The stored documents of one class, as a query set."""
    return QuerySet(kind, repository.store.database[COLLECTIONS[kind]])


def ensure_indexes(repository: Repository) -> None:
    """Create what the look-ups need, and what keeps a request id from being taken twice."""
    database: Any = repository.store.database
    requests = database[COLLECTIONS[GatewayRequest]]
    requests.create_index([("finished", 1), ("facility", 1), ("number", 1)])
    requests.create_index([("keys", 1), ("number", 1)])
    requests.create_index([("facility", 1), ("kind", 1), ("received", 1), ("number", 1)])
    requests.create_index(
        [("facility", 1), ("kind", 1), ("request_id", 1)],
        unique=True,
        partialFilterExpression={"request_id": {"$exists": True}},
    )
    database[COLLECTIONS[GatewayVisit]].create_index([("facility", 1), ("received", 1), ("number", 1)])
    database[COLLECTIONS[GatewayBody]].create_index("expires", expireAfterSeconds=0)
