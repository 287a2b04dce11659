"""What the walk needs beside the two crossed patients: records of each that lead into the record of the other one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.repository import Repository
from fhir_server.search.entries import extract
from tests.abuse.crossed import ACT, LOINC, OPEN, SECRET, SHARED, fill, lived, records_of

Record = dict[str, Any]

KIN: Record = {
    "resourceType": "Patient",
    "name": [{"text": "Trần Thị Kín", "family": "Trần", "given": ["Thị", "Kín"]}],
    "gender": "female",
    "birthDate": "1971-02-03",
}
"""Somebody else whom a request may describe: without the mark."""
UNOWNED: list[Record] = [
    {**KIN, "id": "b-kin", "address": [{"text": SECRET}]},
    {"resourceType": "Practitioner", "id": "doctor", "name": [{"family": SECRET}], "gender": "female"},
    {"resourceType": "Location", "id": "room", "name": SECRET, "status": "active"},
    {"resourceType": "Medication", "id": "drug", "status": "active", "code": {"text": SECRET}},
    {
        "resourceType": "Provenance",
        "id": "nobodys-provenance",
        "target": [{"reference": "Observation/a-weight-1"}, {"reference": "Encounter/a-encounter"}],
        "recorded": "2026-03-01T00:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/doctor"}}],
    },
]
OWN = frozenset(
    {
        *("Patient/a-patient", "Encounter/a-encounter", "Condition/a-condition", "AllergyIntolerance/a-allergy"),
        *(f"Observation/a-weight-{number}" for number in range(5)),
        *("MedicationRequest/a-prescription", "Observation/moved", "Encounter/a-visit", "Observation/a-linked"),
        *("MedicationRequest/a-order", "Condition/a-cause", "DocumentReference/a-document", "List/a-list"),
        "Provenance/a-signed",
    }
)
"""All that A may be given."""


def _at(*addresses: str) -> list[Record]:
    return [{"reference": each} for each in addresses]


def _leading(who: str, other: str) -> list[Record]:
    """One's own records that refer to the other's, never to the other Patient: so they are one's own all the same."""
    note = SECRET if who == "b" else "mine"
    subject = {"reference": f"Patient/{who}-patient"}
    encounter = {"reference": f"Encounter/{other}-encounter"}
    weight, condition = f"Observation/{other}-weight-1", f"Condition/{other}-condition"
    prescription = f"MedicationRequest/{other}-prescription"
    doctor = {"reference": "Practitioner/doctor"}
    return [
        {
            "resourceType": "Encounter",
            "id": f"{who}-visit",
            "status": "finished",
            "class": {"system": ACT, "code": "AMB"},
            "subject": subject,
            "partOf": encounter,
            "diagnosis": [{"condition": {"reference": condition}}],
            "participant": [{"individual": doctor}],
            "location": [{"location": {"reference": "Location/room"}}],
            "reasonCode": [{"text": note}],
        },
        {
            "resourceType": "Observation",
            "id": f"{who}-linked",
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": "29463-7"}], "text": note},
            "subject": subject,
            "encounter": encounter,
            "focus": _at(f"Observation/{other}-weight-2"),
            "hasMember": _at(weight),
            "derivedFrom": _at(f"Observation/{other}-weight-2"),
            "basedOn": _at(prescription),
            "performer": [doctor],
        },
        {
            "resourceType": "MedicationRequest",
            "id": f"{who}-order",
            "status": "active",
            "intent": "order",
            "subject": subject,
            "encounter": encounter,
            "medicationReference": {"reference": "Medication/drug"},
            "basedOn": _at(prescription),
            "reasonReference": _at(condition),
            "requester": doctor,
            "note": [{"text": note}],
        },
        {
            "resourceType": "Condition",
            "id": f"{who}-cause",
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "I10"}], "text": note},
            "subject": subject,
            "encounter": encounter,
            "evidence": [{"detail": _at(weight)}],
        },
        {
            "resourceType": "DocumentReference",
            "id": f"{who}-document",
            "status": "current",
            "subject": subject,
            "description": note,
            "content": [{"attachment": {"url": "Binary/b-binary"}}],
            "context": {"encounter": [encounter], "related": _at(weight)},
            "relatesTo": [{"code": "replaces", "target": {"reference": f"DocumentReference/{other}-document"}}],
        },
        {
            "resourceType": "List",
            "id": f"{who}-list",
            "status": "current",
            "mode": "working",
            "title": note,
            "subject": subject,
            "entry": [{"item": each} for each in _at(weight, condition, f"Encounter/{other}-encounter")],
        },
        {
            "resourceType": "Provenance",
            "id": f"{who}-signed",
            "target": _at(f"Patient/{who}-patient", weight, f"Encounter/{other}-encounter"),
            "recorded": "2026-03-01T00:00:00Z",
            "agent": [{"who": doctor, "onBehalfOf": {"display": note}}],
        },
    ]


# In B's other life these are not there, so that every count that takes them in is another one.
_UNLIVED = ("b-kin", "b-linked", "b-cause", "b-order", "b-list", "b-signed", "nobodys-provenance")


def _more(life: int) -> list[Record]:
    theirs = [*UNOWNED, *_leading("b", "a")]
    others = [lived(each) for each in theirs if each["id"] not in _UNLIVED] if life else theirs
    return [*others, *_leading("a", "b")]


def fill_tangled(repository: Repository, life: int = 0) -> None:
    """Both records, crossed and tangled, and `Observation/given`, which was A's once and is B's now."""
    fill(repository, life)
    several = _more(life)
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in several
    ]
    repository.transaction(OPEN, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    known = {each["id"]: each for each in (*records_of("a", "b"), *records_of("b", "a", life))}
    for each in ("a-weight-3", "b-weight-3"):
        repository.update(OPEN, "Observation", "given", {**known[each], "id": "given"})


def everything() -> list[Record]:
    """Every record of either life."""
    given = [{"resourceType": "Observation", "id": each} for each in ("moved", "given", "b-gone", "nothing")]
    crossed = [*SHARED, *records_of("a", "b"), *records_of("b", "a"), *records_of("b", "a", 1)]
    return [*crossed, *_more(0), *_more(1), *given]


def tokens(record: Record) -> Iterator[tuple[str, str]]:
    """(key, value) of the index entries of a record, without those that mark it: no request may hold the mark."""
    for token in extract(record["resourceType"], record).tokens:
        separator = "~" if "~" in token and "|" not in token else "|"
        key, _, value = token.partition(separator)
        if value and SECRET not in value and "@" not in key:
            yield key + separator, value
