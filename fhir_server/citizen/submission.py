"""A declaration as it is stored: its resources, the answered form and where all came from, in one transaction.

https://hl7.org/fhir/R4/questionnaireresponse.html and https://hl7.org/fhir/R4/provenance.html. No I/O, no clock.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from fhir_server.citizen.declaration import (
    DECLARATION_SYSTEM,
    PATIENT_ASSERTED,
    SELF_DECLARED,
    Declaration,
    contents,
)
from fhir_server.citizen.declared_history import history_contents
from fhir_server.citizen.questionnaire import CANONICAL, answers
from mappings import profile_names

# Any fixed UUID will do: it makes the ids of this form's entries differ from everybody else's name-based UUIDs.
DECLARATION_NAMESPACE = uuid.UUID("6f1d3a52-0c47-4b0e-9f6b-8a1f5a0e7c31")
_DATA_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


class Places(NamedTuple):
    """Where a type says whose it is, when it was recorded and who says so; "" where it has no such element."""

    subject: str
    recorded: str
    asserter: str
    profile: str


PLACES = {
    "AllergyIntolerance": Places("patient", "recordedDate", "asserter", profile_names.SELF_DECLARED_ALLERGY),
    "Condition": Places("subject", "recordedDate", "asserter", profile_names.SELF_DECLARED_CONDITION),
    "FamilyMemberHistory": Places("patient", "date", "", profile_names.SELF_DECLARED_FAMILY_HISTORY),
    "Observation": Places("subject", "issued", "performer", profile_names.SELF_DECLARED_OBSERVATION),
    "Procedure": Places("subject", "", "asserter", profile_names.SELF_DECLARED_PROCEDURE),
}


def resources(declaration: Declaration, patient: str, *, recorded: datetime, submission: str) -> list[dict[str, Any]]:
    """The FHIR resources of a declaration. `recorded` is aware; `submission` names the form that was filled in once."""
    person, at = {"reference": f"Patient/{patient}"}, recorded.isoformat(timespec="seconds")
    made = [*contents(declaration), *history_contents(declaration.history, recorded.date().isoformat())]
    finished = []
    for kind, resource_type, content in made:
        places = PLACES[resource_type]
        value = _entry_id(patient, submission, kind, content)
        finished.append(
            {
                "resourceType": resource_type,
                "meta": _labels(places.profile),
                "identifier": [{"system": DECLARATION_SYSTEM, "value": value}],
                **content,
                places.subject: person,
                **({places.recorded: at} if places.recorded else {}),
                **(
                    {places.asserter: [person] if places.asserter == "performer" else person} if places.asserter else {}
                ),
            }
        )
    return finished


def transaction(
    declared: list[dict[str, Any]], form: Mapping[str, str], patient: str, *, recorded: datetime, submission: str
) -> dict[str, Any]:
    """A transaction Bundle that stores all of it or nothing, and each entry once however often it is sent."""
    person, at = {"reference": f"Patient/{patient}"}, recorded.isoformat(timespec="seconds")
    entries = [_entry(resource, resource["identifier"][0]) for resource in declared]
    answered = answers(form)
    response: dict[str, Any] = {
        "resourceType": "QuestionnaireResponse",
        "meta": _labels(""),
        "identifier": {
            "system": DECLARATION_SYSTEM,
            "value": _entry_id(patient, submission, "form", {"item": answered}),
        },
        "questionnaire": CANONICAL,
        "status": "completed",
        "subject": person,
        "authored": at,
        "author": person,
        "source": person,
        "item": answered,
    }
    entries.append(_entry(response, response["identifier"]))
    provenance = {
        "resourceType": "Provenance",
        "meta": _labels(""),
        # The person's record is a target too: it is what this belongs to.
        "target": [*({"reference": entry["fullUrl"]} for entry in entries), person],
        "recorded": at,
        "activity": {"coding": [{"system": _DATA_OPERATION, "code": "CREATE", "display": "create"}]},
        "agent": [{"type": {"coding": [{"system": _AGENT, "code": "informant"}]}, "who": person}],
        "entity": [
            {"role": "source", "what": {"reference": entries[-1]["fullUrl"], "identifier": response["identifier"]}}
        ],
    }
    # It has no identifier of its own: the form that it tells of is what there is once.
    once = f"entity:identifier={DECLARATION_SYSTEM}|{response['identifier']['value']}"
    entries.append({"resource": provenance, "request": {"method": "POST", "url": "Provenance", "ifNoneExist": once}})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def already_stored(bundle: Mapping[str, Any]) -> str:
    """The criterion that finds the answered form of a transaction, when the same was stored before."""
    response = next(
        entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "QuestionnaireResponse"
    )
    return f"{DECLARATION_SYSTEM}|{response['identifier']['value']}"


def _labels(profile: str) -> dict[str, Any]:
    labels = {"security": [PATIENT_ASSERTED], "tag": [SELF_DECLARED]}
    return {"profile": [profile], **labels} if profile else labels


def _entry(resource: dict[str, Any], identifier: Mapping[str, str]) -> dict[str, Any]:
    condition = f"identifier={identifier['system']}|{identifier['value']}"
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": condition}
    return {"fullUrl": f"urn:uuid:{identifier['value']}", "resource": resource, "request": request}


def _entry_id(patient: str, submission: str, kind: str, content: Mapping[str, Any]) -> str:
    """The same answer of the same form has the same id; a corrected answer has another, so that it is not dropped."""
    return str(uuid.uuid5(DECLARATION_NAMESPACE, f"{patient}|{submission}|{kind}|{content!r}"))
