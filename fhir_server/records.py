"""What is stored of a resource: its text with id and meta stamped, the native copy, the search fields, the owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import uuid_utils

from .access.care import care_fields
from .access.owner import owner_of
from .access.sensitivity import restricted
from .errors import Issue
from .resource.exact import Resource, dump, stamp
from .search.contained import contained_documents
from .search.entries import document_fields
from .search.query import Pair

Document = dict[str, Any]


class Stored(NamedTuple):
    """One version of a resource. `json` is its exact text, None for a deletion."""

    type: str
    id: str
    version: int
    updated: datetime
    json: bytes | None
    method: str
    """POST, PUT, PATCH or DELETE: what made this version."""
    container: str = ""
    """Type/id of what contains it; `id` is only known there."""
    owner: str = ""
    """The patient whose record it is part of."""

    @property
    def address(self) -> str:
        """Type/id, or Type/id#local for what is contained in that resource."""
        return f"{self.container}#{self.id}" if self.container else f"{self.type}/{self.id}"


Outcome = Literal["created", "updated", "unchanged", "existing", "deleted"]


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did, and the version that stands after it."""

    stored: Stored
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of a search: `entries` are ("match" | "include", version); `next` the pairs of the next page's link."""

    entries: list[tuple[str, Stored]]
    issues: list[Issue] = field(default_factory=list)
    total: int | None = None
    applied: list[Pair] = field(default_factory=list)
    next: list[Pair] | None = None
    previous: list[Pair] | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of a history, newest first."""

    entries: list[Stored]
    total: int | None = None
    next: list[Pair] | None = None


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What one entry of a transaction did."""

    status: int
    stored: Stored | None = None
    page: SearchPage | HistoryPage | None = None
    outcome: str = ""
    deleted: int = 0
    """How many resources a deletion deleted."""


def new_id() -> str:
    """A logical id: opaque, unique, and ascending with time so that new records stand together in the indexes."""
    return str(uuid_utils.uuid7())


def now() -> datetime:
    """The present moment in UTC, to the millisecond that lastUpdated is kept to."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def document_of(
    resource_type: str, logical_id: str, version: int, resource: Resource, method: str, moment: datetime, base_url: str
) -> Document:
    """The document to store for a version of a resource that has passed validation.

    Under `contained`, where it has such, the documents of its contained resources, which are stored apart.
    """
    stamped = stamp(resource, resource_type, logical_id, version, moment)
    text = dump(stamped)
    fields = document_fields(resource_type, stamped, base_url)
    document: Document = {"_id": logical_id, "v": version, "t": moment, "m": method}
    context = stamped.get("securityContext", {}).get("reference", "").removeprefix(f"{base_url}/")
    owner = owner_of(resource_type, logical_id, text, fields["x"], context)
    if owner is not None:
        document["o"] = owner
    if labels := restricted(stamped):
        document["l"] = labels
    document.update(care_fields(stamped, base_url))
    document["json"] = text.decode()
    document["resource"] = stamped
    document.update(fields)
    if stamped.get("contained"):
        document["contained"] = contained_documents(document, resource_type, base_url)
    return document


def stored_of(resource_type: str, document: Document) -> Stored:
    """The version in a document of a record collection, of `history`, or of a contained resource."""
    text = document.get("json")
    container = document.get("c", "")
    logical_id = document.get("id") or document["_id"]
    return Stored(
        resource_type,
        logical_id.rpartition("#")[2] if container else logical_id,
        document["v"],
        document["t"],
        None if text is None else text.encode(),
        document["m"],
        container,
        document.get("o", ""),
    )
