"""Two invented people with records of their own, and cards for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.citizen.cards import issue_card
from fhir_server.resource.exact import parse

if TYPE_CHECKING:
    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
CARD_SYSTEM = "http://fhir.ehealth.gov.vn/core/sid/insurance_number"


@pytest.fixture
def store_resource(repository: Repository) -> Callable[..., str]:
    """Store a resource as the server's operator; the answer is its id."""

    def store(**resource: Any) -> str:
        parsed = parse(json.dumps(resource).encode())
        return repository.create(OPEN, resource["resourceType"], parsed).stored.id

    return store


@pytest.fixture
def person_a(store_resource: Callable[..., str]) -> str:
    return store_resource(
        resourceType="Patient",
        name=[{"use": "official", "text": "Nguyễn Thị Ánh Đào", "family": "Nguyễn", "given": ["Thị", "Ánh", "Đào"]}],
        gender="female",
        birthDate="1985-09-02",
        identifier=[{"system": CARD_SYSTEM, "value": "GD4790000000123"}],
    )


@pytest.fixture
def person_b(store_resource: Callable[..., str]) -> str:
    """Somebody else, with everything a page could show by mistake."""
    patient = store_resource(
        resourceType="Patient",
        name=[{"text": "Trần Văn Đức"}],
        gender="male",
        birthDate="1950-04-30",
        identifier=[{"system": CARD_SYSTEM, "value": "HT3790000000987"}],
    )
    subject = {"reference": f"Patient/{patient}"}
    visit = store_resource(
        resourceType="Encounter",
        status="finished",
        **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}},
        subject=subject,
        period={"start": "2026-01-07", "end": "2026-01-09"},
        serviceProvider={"display": "Bệnh viện của B"},
        reasonCode=[{"text": "Lý do của B"}],
    )
    store_resource(
        resourceType="Condition",
        subject=subject,
        encounter={"reference": f"Encounter/{visit}"},
        code={"text": "Chẩn đoán của B"},
    )
    store_resource(
        resourceType="Observation",
        status="final",
        subject=subject,
        encounter={"reference": f"Encounter/{visit}"},
        effectiveDateTime="2026-01-07",
        code={"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        valueQuantity={"value": 77.7, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    )
    active = {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
    store_resource(
        resourceType="AllergyIntolerance",
        clinicalStatus={"coding": [active]},
        patient=subject,
        code={"text": "Dị nguyên của B"},
    )
    return patient


@pytest.fixture
def token_of(repository: Repository) -> Callable[[str], str]:
    """The token of a new card for a patient."""

    def issue(patient: str) -> str:
        return issue_card(repository, OPEN, patient, public_url="https://so.example.vn").token

    return issue
