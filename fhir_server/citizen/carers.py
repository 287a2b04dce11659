"""Members of the family whose record a citizen may open: those for whom staff have seen the proof.

https://hl7.org/fhir/R4/relatedperson.html. The RelatedPerson belongs to the person who is cared for; its identifier in
CARER_SYSTEM is the id of the carer's own Patient, so that it names one patient and stays in that one's record.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from fhir_server.access.context import PATIENT_REQUEST, AccessContext
from fhir_server.citizen.declaration import OWN
from fhir_server.citizen.person import Person, person_of
from fhir_server.errors import Gone, NotFound
from fhir_server.resource import exact

if TYPE_CHECKING:
    from fhir_server.repository import Repository

CARER_SYSTEM = f"{OWN}/sid/carer"
MEMBERS_SHOWN = 20


class Member(NamedTuple):
    """Somebody that the holder of a card cares for."""

    patient: str
    person: Person


def entrust(repository: Repository, ctx: AccessContext, patient: str, carer: str, *, until: date | None) -> str:
    """Let a carer open a patient's record, until a day or until it is taken back; the answer is the RelatedPerson's id.

    Called for staff who have seen the proof. Raises NotFound when either is not known.
    """
    name = person_of(exact.parse(repository.read(ctx, "Patient", carer).json or b"{}")).name
    repository.read(ctx, "Patient", patient)
    related = {
        "resourceType": "RelatedPerson",
        "active": True,
        "identifier": [{"system": CARER_SYSTEM, "value": carer}],
        "patient": {"reference": f"Patient/{patient}"},
        "name": [{"text": name}],
        **({"period": {"end": until.isoformat()}} if until else {}),
    }
    return repository.create(ctx, "RelatedPerson", related).stored.id


def members(repository: Repository, carer: str, actor: str, today: date) -> list[Member]:
    """Whose records a citizen may open beside their own, today."""
    finder = AccessContext(actor=actor, purpose=PATIENT_REQUEST, may_write=frozenset())
    query = [("identifier", f"{CARER_SYSTEM}|{carer}"), ("active", "true"), ("_count", str(MEMBERS_SHOWN))]
    found = []
    for _, stored in repository.search(finder, "RelatedPerson", query).entries:
        related = exact.parse(stored.json or b"{}")
        patient = related["patient"].get("reference", "").removeprefix("Patient/")
        if related.get("period", {}).get("end", "9999") < today.isoformat():
            continue
        try:
            found.append(
                Member(patient, person_of(exact.parse(repository.read(finder, "Patient", patient).json or b"{}")))
            )
        except (NotFound, Gone):
            continue
    return found
