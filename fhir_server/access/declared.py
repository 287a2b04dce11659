"""What a patient may write: own statements, labelled as such, which nobody can mistake for a clinic's; and their end.

https://hl7.org/fhir/R4/security-labels.html. The server says where a record comes from, not who sends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..errors import Forbidden
from .guard import DIRECTORY

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """Where a type says who states it, and its state once it is withdrawn."""

    authors: tuple[str, ...]
    state: str
    withdrawn: str


STATEMENTS = {
    "AllergyIntolerance": Statement(("asserter", "recorder"), "verificationStatus", "entered-in-error"),
    "Condition": Statement(("asserter", "recorder"), "verificationStatus", "entered-in-error"),
    "Consent": Statement(("performer",), "status", "inactive"),
    "FamilyMemberHistory": Statement((), "status", "entered-in-error"),
    "Immunization": Statement((), "status", "entered-in-error"),
    "MedicationStatement": Statement(("informationSource",), "status", "entered-in-error"),
    "Observation": Statement(("performer",), "status", "entered-in-error"),
    "Procedure": Statement(("asserter", "recorder"), "status", "entered-in-error"),
    "QuestionnaireResponse": Statement(("author", "source"), "status", "entered-in-error"),
}

ASSERTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "PATAST",
    "display": "patient asserted",
}
SELF_DECLARED = {
    "system": "http://hososuckhoe.example.vn/fhir/CodeSystem/record-source",
    "code": "self-declared",
    "display": "Self-declared",
}

_REFERENCE = re.compile(
    r'"reference":"(?:(https?:[^"]*)/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^"]*)?"'
)


def declared(resource: Resource, patient: str) -> Resource:
    """A patient's statement with the labels that say so in the place of all others. Raises Forbidden.

    Refused is what claims to be confirmed, or to be stated by anybody but the patient.
    """
    type = resource["resourceType"]
    statement = STATEMENTS.get(type)
    for element in statement.authors if statement else ():
        named = resource.get(element, [])
        for each in named if isinstance(named, list) else [named]:
            if each.get("reference", f"Patient/{patient}").rpartition("Patient/")[2] != patient:
                raise Forbidden(f"{type}.{element} can only be the patient who writes this.")
    if _codes(resource.get("verificationStatus")) & {"confirmed", "refuted"}:
        raise Forbidden(f"{type}.verificationStatus: a clinician confirms, or refutes, what a patient states.")
    meta = {name: each for name, each in resource.get("meta", {}).items() if name == "profile"}
    return {**resource, "meta": {**meta, "security": [ASSERTED], "tag": [SELF_DECLARED]}}


def withdraws(before: Resource, after: Resource) -> bool:
    """Whether a version does nothing but withdraw the statement before it."""
    statement = STATEMENTS.get(before["resourceType"])
    if statement is None:
        return False
    state = after.get(statement.state)
    if statement.withdrawn not in (_codes(state) or {state if isinstance(state, str) else ""}):
        return False
    # A statement that was made in error has no clinical status: https://hl7.org/fhir/R4/allergyintolerance.html (ait-2)
    changed = {"meta", "text", statement.state, "clinicalStatus"}
    return {name: each for name, each in before.items() if name not in changed} == {
        name: each for name, each in after.items() if name not in changed
    } and after.get("clinicalStatus") in (None, before.get("clinicalStatus"))


def named_records(text: str, base_url: str) -> dict[str, set[str]]:
    """`type -> ids` of the records of this server that a resource refers to, but for people and places of care."""
    found: dict[str, set[str]] = {}
    for base, kind, id in _REFERENCE.findall(text):
        if base in ("", base_url) and kind not in DIRECTORY:
            found.setdefault(kind, set()).add(id)
    return found


def _codes(concept: Any) -> set[str]:
    if not isinstance(concept, dict):
        return set()
    return {each.get("code", "") for each in concept.get("coding", ())}
