"""What _include and _revinclude follow: https://hl7.org/fhir/R4/search.html#include"""

from __future__ import annotations

from typing import Any

from .. import r4
from .parameters import parameters, token_key
from .query import Include

Document = dict[str, Any]


def included_ids(include: Include, documents: list[Document]) -> dict[str, list[str]]:
    """`type -> ids` of what the documents (with their tokens) reference through a parameter."""
    found: dict[str, dict[str, None]] = {}
    for source in include.parameter.sources:
        key = token_key(source, "reference")
        for document in documents:
            for token in document["tokens"]:
                if not token.startswith(key):
                    continue
                kind, slash, logical_id = token[len(key) :].partition("/")
                wanted = kind in r4.RESOURCE_TYPES and source.target in ("", kind) and include.target in ("", kind)
                if slash and wanted:
                    found.setdefault(kind, {})[logical_id] = None
    return {kind: list(ids) for kind, ids in sorted(found.items())}


def referring_tokens(include: Include, resource_type: str, documents: list[Document]) -> list[str]:
    """The index entries of whatever references one of the documents through a parameter."""
    if include.target not in ("", resource_type):
        return []
    return [
        f"{token_key(source, 'reference')}{resource_type}/{document['_id']}"
        for source in include.parameter.sources
        if source.target in ("", resource_type)
        for document in documents
    ]


def system_and_code(value: str) -> tuple[str | None, str]:
    """("system", "code") of "system|code", (None, "code") of "code"; a code may hold a bar, a system cannot."""
    system, bar, code = value.partition("|")
    return (system, code) if bar else (None, value)


def carries(resource_type: str, code: str, document: Document, value: str) -> bool:
    """Whether a stored document has the token ("system|code" or "code") under an identifier parameter."""
    system, wanted = system_and_code(value)
    sources = parameters(resource_type)[code].sources
    if not any(token_key(source, "token") + wanted in document["x"] for source in sources):
        return False
    several = document["resource"].get("identifier", [])
    identifiers = several if isinstance(several, list) else [several]
    return system is None or any(each.get("value") == wanted and each.get("system") == system for each in identifiers)
