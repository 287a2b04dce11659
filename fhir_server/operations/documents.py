"""A Composition with all it speaks of, as one document Bundle.

https://hl7.org/fhir/R4/documents.html and https://hl7.org/fhir/R4/composition-operation-document.html
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ..access.context import AccessContext
from ..errors import Gone, NotFound, TooLarge, Unprocessable
from ..repository import Repository, Stored
from ..resource import exact
from ..resource.exact import Resource

MAX_PARTS = 1000
_RESTFUL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})$")


def document(entries: list[dict[str, Any]], name: str, at: datetime, *, profile: str = "") -> Resource:
    """The Bundle of type document: `entries` with the Composition first, `name` what the document is made from."""
    made: Resource = {"resourceType": "Bundle"}
    if profile:
        made["meta"] = {"profile": [profile]}
    # Each document is one of its own: what it is made from changes.
    number = uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {exact.instant(at)}")
    made["identifier"] = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{number}"}
    made |= {"type": "document", "timestamp": exact.instant(at), "entry": entries}
    return made


def document_of(repository: Repository, ctx: AccessContext, id: str, base: str, at: datetime) -> Resource:
    """The document of Composition/`id`. Raises NotFound, Gone, and Unprocessable when a part of it cannot be had.

    Whom it is about and what its sections hold must be there; who wrote, attested or keeps it may be missing.
    """
    composition = repository.read(ctx, "Composition", id)
    resource = exact.parse(composition.json or b"{}")
    needed, wanted = _needed(resource), list(_references(resource))
    if len(needed) > MAX_PARTS or len(wanted) > MAX_PARTS:
        raise TooLarge(f"The Composition speaks of more than {MAX_PARTS} resources; make several documents of it.")
    held: dict[str, Stored] = {f"Composition/{id}": composition}
    missing: list[str] = []
    for reference in dict.fromkeys([*needed, *wanted]):
        local = _local(reference, repository.base_url, base)
        if local in held:
            continue
        try:
            kind, _, logical_id = (local or "").partition("/")
            held[local or ""] = repository.read(ctx, kind, logical_id)
        except (NotFound, Gone):
            if reference in needed:
                missing.append(reference)
    if missing:
        raise Unprocessable(
            f"{len(missing)} parts of the document are not on this server or are deleted: {', '.join(missing[:5])}.",
            code="not-found",
        )
    entries = [
        {"fullUrl": f"{base}/{stored.type}/{stored.id}", "resource": exact.parse(stored.json or b"{}")}
        for stored in held.values()
    ]
    return document(entries, f"{base}/Composition/{id}/$document", at)


def _needed(composition: Resource) -> list[str]:
    entries = list(_section_entries(composition.get("section", [])))
    return list(_references([composition.get("subject", {}), *entries]))


def _section_entries(sections: list[dict[str, Any]]) -> Iterator[Any]:
    for section in sections:
        yield from section.get("entry", ())
        yield from _section_entries(section.get("section", []))


def _references(value: Any) -> Iterator[str]:
    """Every literal reference to another resource, in the order it stands; those into `contained` are inside already."""
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and not reference.startswith("#"):
            yield reference
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _local(reference: str, *bases: str) -> str | None:
    """`Type/id` of a reference to this server, None for any other."""
    whole = reference.partition("/_history/")[0]
    if "://" in whole and not any(whole.startswith(f"{base}/") for base in bases):
        return None
    match = _RESTFUL.search(whole)
    return match.group(1) if match else None
