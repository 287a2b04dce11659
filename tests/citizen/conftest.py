"""Two invented people with records of their own, and cards for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.citizen.cards import issue_card, open_card
from fhir_server.citizen.pins import set_pin
from fhir_server.resource.exact import parse

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
PIN = "739105"
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
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
        token = issue_card(repository, OPEN, patient, public_url="https://so.example.vn").token
        card = open_card(repository, token)
        assert card is not None
        set_pin(repository, card.id, PIN, change=False)
        return token

    return issue


@pytest.fixture
def present(client: FlaskClient) -> Callable[[str], TestResponse]:
    """Open the entry page and send a token or code, as its form does."""

    def send(code: str) -> TestResponse:
        fields = hidden_fields(client.get("/q"))
        return client.post("/q", data=fields | {"code": code})

    return send


@pytest.fixture
def enter(client: FlaskClient, present: Callable[[str], TestResponse]) -> Callable[[str], FlaskClient]:
    """Open a card with its PIN, say "this is me" and agree that what is declared is kept."""

    def open_record(code: str) -> FlaskClient:
        assert present(code).headers["Location"] == "/q/pin"
        pin = client.post("/q/pin", data=hidden_fields(client.get("/q/pin")) | {"pin": PIN})
        assert pin.headers["Location"] == "/q/you"
        me = client.post("/q/you", data=hidden_fields(client.get("/q/you")) | {"me": "yes"})
        assert me.headers["Location"] == "/c/"
        agreed = client.post("/c/consent", data=hidden_fields(client.get("/c/consent")) | {"declare": "yes"})
        assert agreed.status_code == 303
        return client

    return open_record


@pytest.fixture
def opened(person_a: str, token_of: Callable[[str], str], enter: Callable[[str], FlaskClient]) -> FlaskClient:
    """A browser in which A's record was opened."""
    return enter(token_of(person_a))


def hidden_fields(page: TestResponse) -> dict[str, str]:
    """The hidden fields of the forms on a page."""
    return dict(HIDDEN.findall(page.text))


def declare(browser: FlaskClient, **typed: str) -> TestResponse:
    """Fill in the form and send it, and save what is shown for looking over."""
    answer = browser.post("/c/declare", data=hidden_fields(browser.get("/c/declare")) | typed)
    return save(browser) if answer.headers.get("Location") == "/c/review" else answer


def save(browser: FlaskClient, **typed: str) -> TestResponse:
    """Save what is shown for looking over."""
    return browser.post("/c/review", data=hidden_fields(browser.get("/c/review")) | typed)
