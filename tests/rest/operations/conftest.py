"""What the tests of the operations share: records of invented people, put in under ids the test chooses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.access.context import AccessContext

OPEN = AccessContext.unrestricted("test")

Put = Callable[..., dict[str, Any]]


@pytest.fixture
def put(repository) -> Put:
    """put("Patient/a", gender="male"): the resource as it is stored then."""

    def put(address: str, **elements: Any) -> dict[str, Any]:
        type, _, id = address.partition("/")
        result = repository.update(OPEN, type, id, {"resourceType": type, "id": id, **elements})
        stored: dict[str, Any] = json.loads(result.stored.json)
        return stored

    return put


@pytest.fixture
def observe(put) -> Callable[..., dict[str, Any]]:
    """observe("o1", "a", "718-7", 13, "2026-01-02"): a final Observation of Patient/a."""

    def observe(id: str, patient: str, code: str, value: Any, date: str | None, **elements: Any) -> dict[str, Any]:
        made: dict[str, Any] = {
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": f"Patient/{patient}"},
            "valueQuantity": {"value": value, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
        }
        if date:
            made["effectiveDateTime"] = date
        return put(f"Observation/{id}", **made | elements)

    return observe


@pytest.fixture
def get(client) -> Callable[[str], dict[str, Any]]:
    """The resource a GET is answered with; the address is relative to the base."""

    def get(address: str) -> dict[str, Any]:
        response = client.get(f"/fhir/{address}")
        assert response.status_code == 200, response.text
        answered: dict[str, Any] = json.loads(response.data)
        return answered

    return get


def addresses(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    """`Type/id` of the entries of a searchset that have this mode."""
    return [
        f"{entry['resource']['resourceType']}/{entry['resource'].get('id')}"
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] == mode
    ]


def link(bundle: dict[str, Any], relation: str) -> str | None:
    """The address of a link of a bundle, relative to the base; None when there is none."""
    urls = [each["url"] for each in bundle["link"] if each["relation"] == relation]
    return urls[0].partition("/fhir/")[2] if urls else None


def coded(system: str, code: str) -> dict[str, Any]:
    """A CodeableConcept from one of HL7's terminology systems."""
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}
