"""patch and conditional patch: https://hl7.org/fhir/R4/http.html#patch"""

import json

import pytest

CRITERIA = "identifier=http://hososuckhoe.example.vn/fhir/sid/bhxh-number%7C7900000123"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
FHIR_JSON = "application/fhir+json"

TO_MALE = '[{"op":"replace","path":"/gender","value":"male"}]'


def parameters(type, path, **value):
    parts = [{"name": "type", "valueCode": type}, {"name": "path", "valueString": path}]
    if value:
        parts.append({"name": "value", **value})
    return json.dumps({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]})


@pytest.fixture
def patch(client):
    def patch(url, body, content_type=JSON_PATCH, **headers):
        named = {"Accept": FHIR_JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
        return client.patch(url, data=body, content_type=content_type, headers=named)

    return patch


@pytest.fixture
def url(created):
    return f"/fhir/Patient/{created['id']}"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TO_MALE, JSON_PATCH),
        (TO_MALE, "application/json-patch+json; charset=utf-8"),
        (TO_MALE, "application/json"),
        ('{"gender":"male"}', MERGE_PATCH),
        (parameters("replace", "Patient.gender", valueCode="male"), FHIR_JSON),
        (
            '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
            '<part><name value="type"/><valueCode value="replace"/></part>'
            '<part><name value="path"/><valueString value="Patient.gender"/></part>'
            '<part><name value="value"/><valueCode value="male"/></part></parameter></Parameters>',
            "application/fhir+xml",
        ),
    ],
    ids=[
        "JSON Patch",
        "with a charset",
        "as plain JSON",
        "JSON Merge Patch",
        "FHIRPath Patch",
        "FHIRPath Patch in XML",
    ],
)
def test_a_patch_makes_the_next_version_and_changes_nothing_else(client, patch, url, created, body, content_type):
    response = patch(url, body, content_type)
    assert response.status_code == 200, response.text
    assert response.headers["ETag"] == 'W/"2"'
    assert response.headers["Location"] == f"http://localhost{url}/_history/2"
    patched = json.loads(response.data)
    assert {**patched, "meta": None} == {**created, "gender": "male", "meta": None}
    assert patched["meta"]["versionId"] == "2"
    assert client.get(url).data == response.data
    assert json.loads(client.get(f"{url}/_history/1").data) == created


def test_a_patch_that_changes_nothing_makes_no_version(client, patch, url, created):
    response = patch(url, '[{"op":"replace","path":"/gender","value":"female"}]')
    assert (response.status_code, response.headers["ETag"]) == (200, 'W/"1"')
    assert json.loads(client.get(url).data) == created


def test_decimals_keep_their_digits(client, send, patch):
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    made = json.loads(send("POST", "/fhir/Observation", observation).data)
    url = f"/fhir/Observation/{made['id']}"
    patch(url, '[{"op":"add","path":"/valueQuantity","value":{"value":58.50}}]')
    assert b'"valueQuantity":{"value":58.50}' in client.get(url).data
    response = patch(url, '{"valueQuantity":{"value":58.5}}', MERGE_PATCH)
    assert response.headers["ETag"] == 'W/"3"'


@pytest.mark.parametrize(
    ("body", "content_type", "expression"),
    [
        ('[{"op":"replace","path":"/gender","value":"nam"}]', JSON_PATCH, "Patient.gender"),
        ('{"birthDate":"2026-13-01"}', MERGE_PATCH, "Patient.birthDate"),
        (parameters("replace", "Patient.name[0].family", valueInteger=3), FHIR_JSON, "Patient.name[0].family"),
        ('[{"op":"replace","path":"/id","value":"x"}]', JSON_PATCH, "Patient.id"),
        ('{"meta":{"versionId":"7"}}', MERGE_PATCH, "Patient.meta.versionId"),
        (parameters("delete", "Patient.meta.lastUpdated"), FHIR_JSON, "Patient.meta.lastUpdated"),
        ('[{"op":"replace","path":"/resourceType","value":"Person"}]', JSON_PATCH, "Patient"),
    ],
)
def test_what_would_be_invalid_or_is_the_servers_is_422_and_changes_nothing(
    client, patch, url, created, issue, body, content_type, expression
):
    response = patch(url, body, content_type)
    assert response.status_code == 422, response.text
    assert issue(response)["expression"] == [expression]
    assert json.loads(client.get(url).data) == created


def test_a_failing_test_operation_is_422_and_changes_nothing(client, patch, url, created, issue):
    body = '[{"op":"replace","path":"/gender","value":"male"},{"op":"test","path":"/active","value":true}]'
    response = patch(url, body)
    assert response.status_code == 422
    issue(response)
    assert json.loads(client.get(url).data) == created


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("[", JSON_PATCH, 400),
        ("{}", JSON_PATCH, 400),
        ("[]", MERGE_PATCH, 400),
        ('{"resourceType":"Patient"}', FHIR_JSON, 400),
        (TO_MALE, "text/plain", 415),
    ],
)
def test_what_is_no_patch_is_refused(client, patch, url, created, body, content_type, status):
    assert patch(url, body, content_type).status_code == status
    assert json.loads(client.get(url).data) == created


def test_if_match_decides(client, patch, url, issue):
    refused = patch(url, TO_MALE, If_Match='W/"2"')
    assert refused.status_code == 412
    assert issue(refused)["code"] == "conflict"
    assert patch(url, TO_MALE, If_Match='W/"1"').status_code == 200
    assert patch(url, TO_MALE, If_Match="x").status_code == 400


def test_patching_nobody_is_404_and_what_was_deleted_410(client, patch, url):
    assert patch("/fhir/Patient/nobody", TO_MALE).status_code == 404
    client.delete(url)
    assert patch(url, TO_MALE).status_code == 410
    assert patch(url, TO_MALE, If_Match='W/"2"').status_code == 412


def test_conditional_patch_patches_the_one_match(client, send, patch, person, url, issue):
    response = patch(f"/fhir/Patient?{CRITERIA}", TO_MALE)
    assert (response.status_code, response.headers["ETag"]) == (200, 'W/"2"')
    assert json.loads(client.get(url).data)["gender"] == "male"
    assert patch(f"/fhir/Patient?{CRITERIA}", TO_MALE, If_Match='W/"1"').status_code == 412
    nobody = patch("/fhir/Patient?identifier=none", TO_MALE)
    assert nobody.status_code == 404
    assert issue(nobody)["code"] == "not-found"
    send("POST", "/fhir/Patient", person())
    several = patch(f"/fhir/Patient?{CRITERIA}", TO_MALE)
    assert several.status_code == 412
    assert issue(several)["code"] == "multiple-matches"
    assert patch("/fhir/Patient", TO_MALE).status_code == 400


def test_the_client_says_with_prefer_what_it_wants_back(patch, url, created):
    minimal = patch(url, TO_MALE, Prefer="return=minimal")
    assert (minimal.status_code, minimal.data, minimal.headers["ETag"]) == (200, b"", 'W/"2"')
    told = patch(url, '{"gender":"other"}', MERGE_PATCH, Prefer="return=OperationOutcome")
    text = json.loads(told.data)["issue"][0]["diagnostics"]
    assert text == f"Patient/{created['id']} was updated to version 3."


def test_a_patched_resource_is_found_by_what_it_says_now(client, patch, url, created):
    patch(url, TO_MALE)
    found = json.loads(client.get("/fhir/Patient?gender=male").data)["entry"]
    assert [entry["resource"]["id"] for entry in found] == [created["id"]]
    assert "entry" not in json.loads(client.get("/fhir/Patient?gender=female").data)
