"""Two patients whose records name each other, and everything of the second one marked, so that a leak shows."""

from __future__ import annotations

import json
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
A = AccessContext.for_patient("a-patient", "card:a")
SECRET = "zqsecret"
"""Stands in every record of B, as a word, a code and an identifier, and in no request."""

LOINC, ACT = "http://loinc.org", "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def records_of(who: str, other: str, life: int = 0) -> list[dict[str, Any]]:
    secret = SECRET if who == "b" else "mine"
    mine, theirs = {"reference": f"Patient/{who}-patient"}, {"reference": f"Patient/{other}-patient"}
    code = {"coding": [{"system": LOINC, "code": "29463-7"}], "text": secret}
    identifier = [{"system": "http://example.vn/sid", "value": f"{secret}-1"}]
    encounter = {"reference": f"Encounter/{who}-encounter"}
    records: list[dict[str, Any]] = [
        {
            "resourceType": "Patient",
            "id": f"{who}-patient",
            "identifier": identifier,
            "name": [{"text": f"{secret} Mẫu", "family": secret, "given": ["Mẫu"]}],
            "gender": "female",
            "birthDate": "1990-01-0" + ("1" if who == "a" else "2"),
            "managingOrganization": {"reference": "Organization/ward"},
        },
        {
            "resourceType": "Encounter",
            "id": f"{who}-encounter",
            "status": "finished",
            "class": {"system": ACT, "code": "AMB"},
            "subject": mine,
            "serviceProvider": {"reference": "Organization/ward"},
            "reasonCode": [{"text": secret}],
            "period": {"start": "2026-03-01", "end": "2026-03-02"},
        },
        *(
            {
                "resourceType": "Observation",
                "id": f"{who}-weight-{number}",
                "identifier": identifier,
                "status": "final",
                "code": code,
                "subject": mine,
                "encounter": encounter,
                "effectiveDateTime": f"2026-03-{number + 10}",
                "valueQuantity": {
                    "value": 50 + number + (100 if who == "b" else 0),
                    "unit": "kg",
                    "system": "http://unitsofmeasure.org",
                    "code": "kg",
                },
                "note": [{"text": secret}],
            }
            for number in range(5)
        ),
        {
            "resourceType": "Condition",
            "id": f"{who}-condition",
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "I10"}], "text": secret},
            "subject": mine,
            "encounter": encounter,
        },
        {
            "resourceType": "AllergyIntolerance",
            "id": f"{who}-allergy",
            "patient": mine,
            "code": {"text": secret},
            "clinicalStatus": {
                "coding": [
                    {"code": "active", "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"}
                ]
            },
            "verificationStatus": {
                "coding": [
                    {
                        "code": "unconfirmed",
                        "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
                    }
                ]
            },
        },
        {
            "resourceType": "MedicationRequest",
            "id": f"{who}-prescription",
            "status": "active",
            "intent": "order",
            "subject": mine,
            "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": secret}}],
            "medicationReference": {"reference": "#m"},
            "encounter": encounter,
        },
        # These name both: they belong to nobody, or only to whom they are about if they name nobody else.
        {
            "resourceType": "Observation",
            "id": f"{who}-about-both",
            "status": "final",
            "code": {"text": SECRET},
            "subject": mine,
            "focus": [theirs],
        },
        {
            "resourceType": "FamilyMemberHistory",
            "id": f"{who}-family",
            "status": "completed",
            "patient": mine,
            "relationship": {"text": SECRET},
            "note": [{"authorReference": theirs, "text": SECRET}],
        },
    ]
    return [lived(each) for each in records if each["id"] != "b-weight-4"] if life else records


def lived(record: dict[str, Any]) -> dict[str, Any]:
    """The record as it is in another life: another code, day, amount, state and sex."""
    text = json.dumps(record)
    for one, other in (
        ("29463-7", "8302-2"),
        ("2026-03", "2025-07"),
        ("1990-01", "1951-12"),
        ("female", "male"),
        ("final", "corrected"),
        ("I10", "E11.9"),
        ("finished", "cancelled"),
        ("AMB", "IMP"),
        ('"order"', '"plan"'),
        ('"value": 15', '"value": 17'),
    ):
        text = text.replace(one, other)
    made: dict[str, Any] = json.loads(text)
    return made


SHARED: list[dict[str, Any]] = [
    {"resourceType": "Organization", "id": "ward", "name": "Trạm y tế Mẫu"},
    {
        "resourceType": "List",
        "id": "both",
        "status": "current",
        "mode": "working",
        "title": SECRET,
        "entry": [{"item": {"reference": "Observation/b-weight-1"}}, {"item": {"reference": "Observation/a-weight-1"}}],
    },
    {
        "resourceType": "Group",
        "id": "pair",
        "type": "person",
        "actual": True,
        "name": SECRET,
        "member": [{"entity": {"reference": "Patient/a-patient"}}, {"entity": {"reference": "Patient/b-patient"}}],
    },
    {
        "resourceType": "Provenance",
        "id": "b-provenance",
        "target": [{"reference": "Observation/b-weight-1"}],
        "recorded": "2026-03-01T00:00:00Z",
        "agent": [{"who": {"display": SECRET}}],
    },
    {
        "resourceType": "Binary",
        "id": "b-binary",
        "contentType": "text/plain",
        "data": "enFzZWNyZXQ=",
        "securityContext": {"reference": "Patient/b-patient"},
    },
    {"resourceType": "Binary", "id": "nobodys", "contentType": "text/plain", "data": "enFzZWNyZXQ="},
    {
        "resourceType": "DocumentReference",
        "id": "b-document",
        "status": "current",
        "subject": {"reference": "Patient/b-patient"},
        "description": SECRET,
        "content": [{"attachment": {"url": "Binary/b-binary"}}],
    },
]


def fill(repository: Repository, life: int = 0) -> None:
    """Store both records; a few of B's have earlier versions, one of A's was B's before, one of B's is deleted.

    In another `life` of B everything that is B's is different, and nothing else is.
    """
    resources = [*SHARED, *records_of("a", "b"), *records_of("b", "a", life)]
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    repository.transaction(OPEN, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    known = {(each["resourceType"], each["id"]): each for each in resources}
    changed = {**known["Observation", "b-weight-1"], "status": "amended"}
    repository.update(OPEN, "Observation", "b-weight-1", changed)
    moved = {**known["Observation", "b-weight-2"], "id": "moved"}
    repository.update(OPEN, "Observation", "moved", moved)
    repository.update(OPEN, "Observation", "moved", {**known["Observation", "a-weight-2"], "id": "moved"})
    repository.update(OPEN, "Observation", "b-gone", {**known["Observation", "b-weight-3"], "id": "b-gone"})
    repository.delete(OPEN, "Observation", "b-gone")


def of_b(resource: dict[str, Any]) -> bool:
    """Whether a resource is none that A may be given: B's, both's or nobody's."""
    return str(resource.get("id", "")).startswith("b-") or resource.get("id") in ("both", "pair", "nobodys")
