"""What is already known: finds stored resources by the identifiers they carry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.repository import Repository, Stored
from fhir_server.resource import exact
from mappings.identity import Key

Resource = dict[str, Any]


def known_people(repository: Repository, ctx: AccessContext, keys: Iterable[Key]) -> dict[Key, list[Resource]]:
    """The live Patients under each (system, value) that any carries; a Patient found twice is the same object."""
    parsed: dict[str, Resource] = {}
    people: dict[Key, list[Resource]] = {}
    for key, found in known_resources(repository, ctx, "Patient", keys).items():
        for stored in found:
            if stored.id not in parsed:
                parsed[stored.id] = resource_of(stored)
        people[key] = [parsed[stored.id] for stored in found]
    return people


def known_resources(
    repository: Repository, ctx: AccessContext, resource_type: str, keys: Iterable[Key]
) -> dict[Key, list[Stored]]:
    """The live resources of a type under each identifier (system, value) that any carries."""
    tokens = {f"{system}|{value}": (system, value) for system, value in keys}
    if not tokens:
        return {}
    found = repository.lookup(ctx, resource_type, "identifier", list(tokens))
    return {tokens[value]: stored for value, stored in found.items() if stored}


def resource_of(stored: Stored) -> Resource:
    """The resource of a live version, decimals exact."""
    if stored.json is None:
        raise ValueError(f"{stored.type}/{stored.id} is deleted")
    return exact.parse(stored.json)
