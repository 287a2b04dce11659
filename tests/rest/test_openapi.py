"""The OpenAPI document: https://spec.openapis.org/oas/v3.1.0"""

import json
import re

import pytest
from openapi_spec_validator import validate

from fhir_server.app import create_app
from fhir_server.config import Config
from fhir_server.r4 import RESOURCE_TYPES
from fhir_server.rest.capabilities import searchable
from fhir_server.rest.operations.registry import OPERATIONS


@pytest.fixture
def document(client):
    response = client.get("/openapi.json")
    assert (response.status_code, response.content_type) == (200, "application/json")
    return json.loads(response.data)


def test_it_is_a_valid_document_of_this_version(document):
    validate(document)
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "0.1.0"
    assert document["servers"] == [{"url": "/fhir"}]


def test_it_stands_beside_the_fhir_service_too(client, document):
    assert json.loads(client.get("/fhir/openapi.json").data) == document


def test_it_names_the_configured_address(repository):
    config = Config.from_environment({"FHIR_BASE_URL": "https://fhir.example.vn/fhir"})
    response = create_app(repository, config=config).test_client().get("/openapi.json")
    assert json.loads(response.data)["servers"] == [{"url": "https://fhir.example.vn/fhir"}]


def test_its_addresses_are_exactly_those_of_the_application(app, document):
    registered = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule.removeprefix("/fhir")) or "/")
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/fhir") and "$" not in rule.rule and rule.rule != "/fhir/openapi.json"
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    written = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        if "$" not in path and not path.startswith(("/Patient", "/Observation", "/AllergyIntolerance", "/Encounter"))
        for method in methods
    }
    assert written == registered


def test_every_operation_is_in_it(document):
    assert {path.rpartition("$")[2] for path in document["paths"] if "$" in path} == {each.name for each in OPERATIONS}
    for operation in OPERATIONS:
        methods = {m for path, all_ in document["paths"].items() if path.endswith(f"/${operation.name}") for m in all_}
        assert methods == ({"post"} if operation.affects_state else {"get", "post"})


def test_every_type_may_stand_in_an_address(document):
    assert document["components"]["parameters"]["type"]["schema"]["enum"] == list(RESOURCE_TYPES)


@pytest.mark.parametrize("name", ["Patient", "Observation", "AllergyIntolerance", "Encounter"])
def test_the_types_at_the_heart_have_their_search_parameters(document, name):
    parameters = document["paths"][f"/{name}"]["get"]["parameters"]
    assert {each["name"] for each in parameters if each.get("in") == "query"} == set(searchable(name))
    assert {"get", "post"} <= set(document["paths"][f"/{name}"])


def test_operation_ids_are_unique(document):
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


def test_pages_of_allowed_origins_may_read_it(repository):
    config = Config.from_environment({"FHIR_CORS_ORIGINS": "https://app.example.vn"})
    client = create_app(repository, config=config).test_client()
    response = client.get("/openapi.json", headers={"Origin": "https://app.example.vn"})
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example.vn"
    assert "Access-Control-Allow-Origin" not in client.get("/openapi.json").headers
