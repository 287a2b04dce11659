"""The clinic's JSON: the documented example, idempotent, replaced by a resend, errors by JSON path."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from fhir_server.access import gateway_accounts
from fhir_server.config import Config

PAGE = Path(__file__).parents[2] / "docs" / "mappings" / "clinic-json.md"
CALL = "/clinic/v1/visits"


@pytest.fixture
def example() -> dict[str, Any]:
    """The example of the documentation."""
    found = re.search(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def found(client: Any, query: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(client.get(f"/fhir/{query}").data).get("entry", [])]


def test_the_documented_example_is_stored_and_found(client, example):
    answer = client.post(CALL, json=example)
    assert (answer.status_code, answer.json["outcome"], answer.json["warnings"]) == (201, "created", [])
    (visit,) = found(client, "Encounter?identifier=http://hososuckhoe.example.vn/fhir/sid/visit/79030|2026-000123")
    assert visit["subject"]["reference"] == answer.json["patient"]
    (pressure,) = found(client, "Observation?code=http://loinc.org|85354-9")
    assert [part["valueQuantity"]["value"] for part in pressure["component"]] == [135, 85]
    assert len(found(client, "Condition?code=http://hl7.org/fhir/sid/icd-10|I10")) == 1
    (medicine,) = found(client, f"MedicationRequest?encounter=Encounter/{visit['id']}")
    assert medicine["dispenseRequest"]["quantity"] == {"value": 30, "unit": "viên"}
    assert found(client, "AllergyIntolerance?category=medication")[0]["code"]["text"] == "Penicilin"


def test_a_resend_replaces_and_the_same_again_changes_nothing(client, example):
    client.post(CALL, json=example)
    again = client.post(CALL, json=example)
    assert (again.status_code, again.json["outcome"]) == (200, "unchanged")
    other = copy.deepcopy(example)
    other["vitals"]["pulse"] = 90
    del other["prescriptions"]
    assert client.post(CALL, json=other).json["outcome"] == "updated"
    (pulse,) = found(client, "Observation?code=http://loinc.org|8867-4")
    assert (pulse["valueQuantity"]["value"], pulse["meta"]["versionId"]) == (90, "2")
    assert [it["status"] for it in found(client, "MedicationRequest")] == ["entered-in-error"]
    assert len(found(client, "Encounter")) == len(found(client, "Patient")) == 1


def test_another_visit_of_the_same_person_leaves_the_first_as_it_is(client, example):
    client.post(CALL, json=example)
    assert client.post(CALL, json={**example, "visit": "2026-000124"}).status_code == 201
    assert len(found(client, "Encounter")) == 2
    assert [it["meta"]["versionId"] for it in found(client, "Observation?code=http://loinc.org|8867-4")] == ["1", "1"]


def test_somebody_without_a_number_is_one_person_at_their_facility(client, example):
    del example["person"]["card"], example["person"]["cccd"]
    client.post(CALL, json=example)
    client.post(CALL, json={**example, "visit": "2026-000124"})
    assert len(found(client, "Patient")) == 1


def test_errors_name_the_json_path_in_both_languages(client, example):
    example["vitals"]["pulse"] = 1000
    example["diagnoses"].append({"code": "tim", "name": "x", "colour": "red"})
    del example["person"]["name"]
    answer = client.post(CALL, json=example)
    assert answer.status_code == 400
    assert set(answer.json["errors"]) == {
        "$.vitals.pulse",
        "$.diagnoses[1].code",
        "$.diagnoses[1].colour",
        "$.person.name",
    }
    assert all(" / " in text for texts in answer.json["errors"].values() for text in texts)
    assert found(client, "Patient") == []
    assert client.post(CALL, data="{", content_type="application/json").status_code == 400


def test_the_schema_that_is_served_says_the_same(client, example):
    schema = jsonschema_rs.validator_for(client.get("/clinic/v1/schema").json)
    assert schema.is_valid(example)
    for wrong in ({**example, "visit": ""}, {**example, "colour": 1}, {**example, "vitals": {"pulse": 1000}}):
        assert not schema.is_valid(wrong)


def test_a_facility_sends_with_its_account_and_for_itself_only(client, repository, example):
    gateway_accounts.add_account(repository.store.database, "tram", "mật khẩu dài", unit_code="79001", unit_name="Trạm")
    token = client.post("/api/xac-thuc/token", json={"username": "tram", "password": "mật khẩu dài"})
    headers = {"Authorization": f"Bearer {token.json['data']['access_token']}"}
    refused = client.post(CALL, json=example, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (403, "ORG_MISMATCH")
    assert client.post(CALL, json={**example, "facility": "79001"}, headers=headers).status_code == 201
    assert client.post(CALL, json=example, headers={"Authorization": "Bearer no"}).status_code == 401


@pytest.mark.parametrize("call", [CALL, "/residents/v1/changes"])
def test_a_page_of_another_name_gets_nothing_in_open_access(client, example, call):
    assert Config.from_environment({}).access == "open"
    assert client.post(call, json=example, headers={"Host": "evil.example"}).status_code == 401
