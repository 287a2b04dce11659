"""capabilities: https://hl7.org/fhir/R4/http.html#capabilities"""

import json

import pytest

from fhir_server.r4 import RESOURCE_TYPES, search_parameters
from fhir_server.resource.validation import validate_issues

# What each declared interaction answers to; the test below holds it against the routes the application has.
ADDRESSES = {
    "read": {("GET", "/fhir/<type>/<id>")},
    "vread": {("GET", "/fhir/<type>/<id>/_history/<version>")},
    "update": {("PUT", "/fhir/<type>/<id>"), ("PUT", "/fhir/<type>")},
    "delete": {("DELETE", "/fhir/<type>/<id>"), ("DELETE", "/fhir/<type>")},
    "history-instance": {("GET", "/fhir/<type>/<id>/_history")},
    "create": {("POST", "/fhir/<type>")},
    "search-type": {("GET", "/fhir/<type>"), ("POST", "/fhir/<type>/_search")},
    "history-type": {("GET", "/fhir/<type>/_history")},
    "history-system": {("GET", "/fhir/_history")},
    "batch": {("POST", "/fhir")},
    "transaction": {("POST", "/fhir")},
}


@pytest.fixture
def statement(client):
    response = client.get("/fhir/metadata")
    assert response.status_code == 200
    return json.loads(response.data)


def test_it_is_a_valid_statement_of_this_server(statement):
    assert validate_issues(statement) == []
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["kind"] == "instance"
    assert statement["format"] == ["application/fhir+json", "json"]
    assert statement["software"] == {"name": "fhir-server", "version": "0.1.0"}
    assert statement["implementation"]["url"] == "http://localhost/fhir"
    assert statement["rest"][0]["mode"] == "server"
    assert statement["rest"][0]["security"]["cors"] is True


def test_the_declared_interactions_are_exactly_the_registered_routes(app, statement):
    rest = statement["rest"][0]
    declared = {row["code"] for row in rest["interaction"]}
    for resource in rest["resource"]:
        declared |= {row["code"] for row in resource["interaction"]}
    registered = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/fhir")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert set().union(*(ADDRESSES[code] for code in declared)) == registered - {("GET", "/fhir/metadata")}


def test_every_resource_type_has_the_same_interactions(statement):
    resources = statement["rest"][0]["resource"]
    assert [resource["type"] for resource in resources] == list(RESOURCE_TYPES)
    for resource in resources:
        assert [row["code"] for row in resource["interaction"]] == [
            "read",
            "vread",
            "update",
            "delete",
            "history-instance",
            "create",
            "search-type",
            "history-type",
        ]
        assert resource["versioning"] == "versioned-update"
        assert resource["updateCreate"] is True
        assert resource["conditionalCreate"] is True
        assert resource["conditionalUpdate"] is True
        assert resource["conditionalDelete"] == "single"
        assert resource["conditionalRead"] == "full-support"


def test_search_parameters_are_those_of_r4_with_their_definitions(statement):
    resources = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    patient = {row["name"]: row for row in resources["Patient"]["searchParam"]}
    assert patient["birthdate"] == {
        "name": "birthdate",
        "definition": search_parameters("Patient")["birthdate"].url,
        "type": "date",
    }
    assert {"_id", "_lastUpdated", "_tag", "_profile", "_security"} <= set(patient)
    assert not {"_text", "_content", "_filter", "_has", "_list", "_query"} & set(patient)
    assert "Observation:subject" in resources["Observation"]["searchInclude"]
    assert "Observation:subject" in resources["Patient"]["searchRevInclude"]


def test_every_declared_search_parameter_of_a_type_is_taken(client, statement):
    values = {"date": "2026-01-01", "number": "1", "quantity": "1", "reference": "Patient/1", "uri": "urn:x"}
    for resource in statement["rest"][0]["resource"]:
        if resource["type"] in ("Patient", "Observation", "AllergyIntolerance", "Encounter"):
            for row in resource["searchParam"]:
                response = client.get(f"/fhir/{resource['type']}?{row['name']}={values.get(row['type'], 'x')}")
                assert response.status_code == 200, (resource["type"], row, response.text)


@pytest.mark.parametrize(("mode", "status"), [("full", 200), ("normative", 200), ("terminology", 400)])
def test_the_modes_of_the_statement(client, mode, status):
    assert client.get(f"/fhir/metadata?mode={mode}").status_code == status


def test_health_answers_while_the_store_does(client):
    response = client.get("/health")
    assert (response.status_code, response.text) == (200, "ok\n")
