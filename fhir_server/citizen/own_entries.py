"""What a citizen declared, to look at and to take back: marked as entered in error, never erased.

https://hl7.org/fhir/R4/observation-definitions.html#Observation.status
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_server.citizen.declaration import RECORD_SOURCE_SYSTEM, SELF_DECLARED
from fhir_server.citizen.record import declared_by_citizen, describe
from fhir_server.citizen.stewardship import as_steward
from fhir_server.citizen.submission import PLACES
from fhir_server.errors import NotFound
from fhir_server.resource import exact

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.repository import Repository

SHOWN = 50  # newest of each type
_TERMS = "http://terminology.hl7.org/CodeSystem"
_VERIFICATION = {
    "AllergyIntolerance": f"{_TERMS}/allergyintolerance-verification",
    "Condition": f"{_TERMS}/condition-ver-status",
}


class OwnEntry(NamedTuple):
    """One entry of the citizen's own."""

    type: str
    id: str
    text: str
    when: str | None


def own_entries(repository: Repository, ctx: AccessContext, language: str) -> list[OwnEntry]:
    """What the citizen declared and has not taken back, the newest of each kind first."""
    label = f"{RECORD_SOURCE_SYSTEM}|{SELF_DECLARED['code']}"
    found = []
    for kind in PLACES:
        query = [
            ("patient", f"Patient/{ctx.patient}"),
            ("_tag", label),
            ("_sort", "-_lastUpdated"),
            ("_count", str(SHOWN)),
        ]
        for _, stored in repository.search(ctx, kind, query).entries:
            resource = exact.parse(stored.json or b"{}")
            if not is_withdrawn(resource):
                found.append(OwnEntry(kind, stored.id, *describe(resource, language)))
    return found


def withdraw(repository: Repository, ctx: AccessContext, type: str, id: str) -> None:
    """Take back one's own entry. Raises NotFound for what is not there, not the citizen's, or a clinic's."""
    if type not in PLACES:
        raise NotFound("There is no such entry of this person.")
    resource = exact.parse(repository.read(ctx, type, id).json or b"{}")
    if not declared_by_citizen(resource):
        raise NotFound("There is no such entry of this person.")
    if not is_withdrawn(resource):
        repository.update(as_steward(ctx, type), type, id, withdrawn(resource))


def is_withdrawn(resource: dict[str, Any]) -> bool:
    """Whether an entry says of itself that it was a mistake."""
    codings = resource.get("verificationStatus", {}).get("coding", [])
    return resource.get("status") == "entered-in-error" or any(
        coding.get("code") == "entered-in-error" for coding in codings
    )


def withdrawn(resource: dict[str, Any]) -> dict[str, Any]:
    """The entry once it was taken back. It keeps its labels, and claims no longer to be what our profiles ask for."""
    meta = {name: value for name, value in resource["meta"].items() if name != "profile"}
    system = _VERIFICATION.get(resource["resourceType"])
    if system is None:
        return {**resource, "meta": meta, "status": "entered-in-error"}
    # Invariants ait-2 and con-5: what was an error has no clinical status.
    left = {name: value for name, value in resource.items() if name != "clinicalStatus"}
    return {**left, "meta": meta, "verificationStatus": {"coding": [{"system": system, "code": "entered-in-error"}]}}
