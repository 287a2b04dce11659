"""Members of the family whose record a citizen may open: those for whom staff have seen the proof.

https://hl7.org/fhir/R4/relatedperson.html. The RelatedPerson belongs to the person who is cared for; its identifier in
CARER_SYSTEM is the id of the carer's own Patient, so that it names one patient and stays in that one's record.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from fhir_server.access.context import PATIENT_REQUEST, AccessContext
from fhir_server.citizen.person import Person, person_of
from fhir_server.errors import Gone, NotFound
from fhir_server.resource import exact
from mappings import profile_names
from mappings.systems import CARER as CARER_SYSTEM
from mappings.systems import CARER_PROOF as PROOF

if TYPE_CHECKING:
    from fhir_server.repository import Repository

# What staff accept as the proof that somebody may open another person's record.
PROOFS = ("birth-certificate", "guardianship-decision", "marriage-certificate", "residence", "power-of-attorney")
MEMBERS_SHOWN = 20


class Member(NamedTuple):
    """Somebody that the holder of a card cares for."""

    patient: str
    person: Person


class Trust(NamedTuple):
    """That a carer may open a patient's record: the RelatedPerson, the carer's Patient, the last day, the proof seen."""

    id: str
    carer: str
    name: str
    until: str
    proof: str


def entrust(
    repository: Repository, ctx: AccessContext, patient: str, carer: str, *, until: date | None, proof: str = ""
) -> str:
    """Let a carer open a patient's record, until a day or until it is taken back; the answer is the RelatedPerson's id.

    Called for staff who have seen the proof, one of PROOFS. Raises NotFound when either is not known.
    """
    name = person_of(exact.parse(repository.read(ctx, "Patient", carer).json or b"{}")).name
    repository.read(ctx, "Patient", patient)
    related = {
        "resourceType": "RelatedPerson",
        "meta": {"profile": [profile_names.RELATED_PERSON]},
        "active": True,
        "identifier": [{"system": CARER_SYSTEM, "value": carer}],
        "patient": {"reference": f"Patient/{patient}"},
        "name": [{"text": name}],
        **({"period": {"end": until.isoformat()}} if until else {}),
        **({"extension": [{"url": PROOF, "valueCode": proof}]} if proof else {}),
    }
    return repository.create(ctx, "RelatedPerson", related).stored.id


def trusts(repository: Repository, ctx: AccessContext, patient: str) -> list[Trust]:
    """Who may open a patient's record, as staff see it; those whose last day is over are there until taken back."""
    query = [("patient", f"Patient/{patient}"), ("identifier", f"{CARER_SYSTEM}|"), ("active", "true")]
    found = []
    for _, stored in repository.search(ctx, "RelatedPerson", [*query, ("_count", str(MEMBERS_SHOWN))]).entries:
        related = exact.parse(stored.json or b"{}")
        ids = [each.get("value", "") for each in related["identifier"] if each.get("system") == CARER_SYSTEM]
        names = [each.get("text", "") for each in related.get("name", ())]
        proofs = [each.get("valueCode", "") for each in related.get("extension", ()) if each.get("url") == PROOF]
        until = related.get("period", {}).get("end", "")
        found.append(Trust(stored.id, ids[0], next(iter(names), ""), until, next(iter(proofs), "")))
    return found


def take_back(repository: Repository, ctx: AccessContext, trust: str) -> None:
    """End what `entrust` began: at the next request the carer is back in their own record. Raises NotFound."""
    stored = repository.read(ctx, "RelatedPerson", trust)
    related = exact.parse(stored.json or b"{}")
    repository.update(ctx, "RelatedPerson", trust, {**related, "active": False}, if_match=stored.version)


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
