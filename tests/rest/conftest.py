"""What the tests of the HTTP interactions share: an invented person, and requests that carry FHIR JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

FHIR_JSON = "application/fhir+json"
CARDS = "http://hososuckhoe.example.vn/fhir/sid/bhxh-number"

Person = Callable[..., dict[str, Any]]
Send = Callable[..., TestResponse]


@pytest.fixture
def person() -> Person:
    """Makes a Patient: an invented person with a card number of a range that cannot be real."""

    def make(number: str = "7900000123", family: str = "Nguyễn", **elements: Any) -> dict[str, Any]:
        return {
            "resourceType": "Patient",
            "identifier": [{"system": CARDS, "value": number}],
            "name": [{"family": family, "given": ["Thị", "Mẫu"]}],
            "gender": "female",
            **elements,
        }

    return make


@pytest.fixture
def send(client: FlaskClient) -> Send:
    """Sends a resource (or text, or bytes) as FHIR JSON: send("POST", "/fhir/Patient", resource, Prefer=...)."""

    def send(method: str, url: str, body: Any = None, **headers: str) -> TestResponse:
        data = body if isinstance(body, str | bytes) or body is None else json.dumps(body, ensure_ascii=False)
        return client.open(
            url,
            method=method,
            data=data,
            content_type=FHIR_JSON if body is not None else None,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    return send


@pytest.fixture
def created(send: Send, person: Person) -> dict[str, Any]:
    """A person the server holds already, as it was answered."""
    response = send("POST", "/fhir/Patient", person())
    assert response.status == "201 CREATED", response.text
    resource: dict[str, Any] = json.loads(response.data)
    return resource


@pytest.fixture
def issue() -> Callable[[TestResponse], dict[str, Any]]:
    """The one issue of a response that is an OperationOutcome."""

    def issue(response: TestResponse) -> dict[str, Any]:
        outcome = json.loads(response.data)
        assert outcome["resourceType"] == "OperationOutcome"
        assert response.content_type == "application/fhir+json; charset=utf-8"
        assert len(outcome["issue"]) == 1, outcome
        only: dict[str, Any] = outcome["issue"][0]
        assert only["severity"] == "error"
        return only

    return issue
