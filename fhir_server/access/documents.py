"""How this room keeps its administrative documents: mongoengine classes over the store's own connection.

A query set is made on the collection of the database at hand, so there is no second pool and no process-wide alias.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any

from mongoengine import Document
from mongoengine.queryset import QuerySet


def documents(database: Any, kind: type[Document]) -> QuerySet:
    """The stored documents of one class, as a query set; its `meta` names the collection."""
    return QuerySet(kind, database[kind._get_collection_name()])


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def new_secret() -> str:
    """256 random bits for a token, a code or a cookie."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """What is stored of a secret: random bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
