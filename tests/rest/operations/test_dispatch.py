"""Which operation an address means, and what is said when there is none."""

from __future__ import annotations

import json

import pytest


def test_versions_names_r4_as_the_one_version_and_the_default(client) -> None:
    expected = {
        "resourceType": "Parameters",
        "parameter": [{"name": "version", "valueCode": "4.0"}, {"name": "default", "valueCode": "4.0"}],
    }
    assert json.loads(client.get("/fhir/$versions").data) == expected
    assert json.loads(client.post("/fhir/$versions").data) == expected


def test_an_operation_is_carried_out_as_an_entry_of_a_batch(send) -> None:
    entries = [
        {"request": {"method": "GET", "url": "$versions"}},
        {"request": {"method": "POST", "url": "$versions"}, "resource": {"resourceType": "Parameters"}},
        {"request": {"method": "GET", "url": "Patient/$nothing"}},
    ]
    response = send("POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    answered = json.loads(response.data)["entry"]
    assert [each["response"]["status"] for each in answered] == ["200 OK", "200 OK", "404 Not Found"]
    assert answered[0]["resource"] == answered[1]["resource"]
    assert answered[0]["resource"]["parameter"][0] == {"name": "version", "valueCode": "4.0"}


def test_an_unknown_operation_is_answered_with_those_that_exist_there(client, issue) -> None:
    response = client.get("/fhir/$nothing")
    assert response.status_code == 404
    found = issue(response)
    assert found["code"] == "not-supported"
    assert found["diagnostics"].startswith("There is no operation '$nothing' on the whole system; there are: $")
    assert "$versions" in found["diagnostics"]
    assert "$versions" not in issue(client.get("/fhir/Patient/$nothing"))["diagnostics"]


def test_an_operation_of_no_resource_type_is_refused(client, issue) -> None:
    response = client.get("/fhir/Nobody/$versions")
    assert response.status_code == 404
    assert issue(response)["diagnostics"] == "'Nobody' is not a FHIR R4 resource type."


def test_an_unknown_parameter_is_named_unless_the_client_is_lenient(client, issue) -> None:
    response = client.get("/fhir/$versions?wanted=4")
    assert response.status_code == 400
    assert issue(response)["diagnostics"].startswith("$versions has no parameter 'wanted'; it has: none.")
    assert client.get("/fhir/$versions?wanted=4", headers={"Prefer": "handling=lenient"}).status_code == 200


def test_a_body_that_is_no_parameters_resource_is_refused(send, issue) -> None:
    response = send("POST", "/fhir/$versions", {"resourceType": "Patient"})
    assert response.status_code == 400
    assert issue(response)["diagnostics"] == "The body of this operation is a Parameters resource; a Patient was sent."


def test_a_parameter_without_a_value_is_named_by_its_place(send, issue) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "a", "valueString": "b"}, {"name": "c"}]}
    response = send("POST", "/fhir/$versions", body)
    assert response.status_code == 400
    assert issue(response)["expression"] == ["Parameters.parameter[1]"]


def test_a_read_of_an_id_that_begins_with_a_dollar_is_no_read(client, issue) -> None:
    response = client.get("/fhir/Patient/$nothing")
    assert "There is no operation" in issue(response)["diagnostics"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("resource", "x"),
        ("resource", []),
        ("part", {}),
        ("valueString", 1),
        ("valueInteger", True),
        ("valueCoding", "x"),
    ],
)
def test_a_parameter_of_the_wrong_shape_is_named_by_its_place(send, issue, kind, value) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", kind: value}]}
    response = send("POST", "/fhir/Patient/$validate", body)
    assert response.status_code == 400
    assert issue(response)["expression"] == [f"Parameters.parameter[0].{kind}"]
