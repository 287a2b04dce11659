"""capabilities: https://hl7.org/fhir/R4/http.html#capabilities"""

import json
import time
from datetime import date
from typing import Any

import pytest

from fhir_server import __released__, __version__, catalogue
from fhir_server.app import create_app
from fhir_server.config import Config
from fhir_server.r4 import RESOURCE_TYPES, search_parameter_by_url, search_parameters
from fhir_server.resource import exact, xml
from fhir_server.resource.validation import validate_issues
from fhir_server.rest.operations.registry import OPERATIONS

# What each declared interaction answers to; the test below holds it against the routes the application has.
ADDRESSES = {
    "read": {("GET", "/fhir/<type>/<id>")},
    "vread": {("GET", "/fhir/<type>/<id>/_history/<version>")},
    "update": {("PUT", "/fhir/<type>/<id>"), ("PUT", "/fhir/<type>")},
    "patch": {("PATCH", "/fhir/<type>/<id>"), ("PATCH", "/fhir/<type>")},
    "delete": {("DELETE", "/fhir/<type>/<id>"), ("DELETE", "/fhir/<type>")},
    "history-instance": {("GET", "/fhir/<type>/<id>/_history")},
    "create": {("POST", "/fhir/<type>")},
    "search-type": {("GET", "/fhir/<type>"), ("POST", "/fhir/<type>/_search")},
    "history-type": {("GET", "/fhir/<type>/_history")},
    "search-system": {("GET", "/fhir"), ("POST", "/fhir/_search")},
    "history-system": {("GET", "/fhir/_history")},
    "batch": {("POST", "/fhir")},
    "transaction": {("POST", "/fhir")},
}


FHIRPATH_PATCH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "add"},
                {"name": "path", "valueString": "Patient"},
                {"name": "name", "valueString": "gender"},
                {"name": "value", "valueCode": "other"},
            ],
        }
    ],
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
    assert statement["format"] == ["application/fhir+json", "json", "application/fhir+xml", "xml"]
    assert statement["patchFormat"] == [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/json",
        "application/fhir+json",
        "application/fhir+xml",
    ]
    assert statement["software"] == {
        "name": "fhir-server",
        "version": __version__,
        "releaseDate": __released__,
    }
    assert date.fromisoformat(__released__) <= date.today()
    assert statement["implementation"]["url"] == "http://localhost/fhir"
    assert statement["rest"][0]["mode"] == "server"
    assert statement["rest"][0]["security"]["cors"] is False


def test_it_tells_of_cross_origin_requests_when_some_origin_may_make_them(repository):
    config = Config.from_environment({"FHIR_CORS_ORIGINS": "https://app.example.vn"})
    response = create_app(repository, config=config).test_client().get("/fhir/metadata")
    assert json.loads(response.data)["rest"][0]["security"]["cors"] is True


def test_the_declared_interactions_are_exactly_the_registered_routes(app, statement):
    rest = statement["rest"][0]
    declared = {row["code"] for row in rest["interaction"]}
    for resource in rest["resource"]:
        declared |= {row["code"] for row in resource["interaction"]}
    registered = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/fhir") and rule.rule != "/fhir/openapi.json"
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert set().union(*(ADDRESSES[code] for code in declared)) == {
        each
        for each in registered
        if each != ("GET", "/fhir/metadata") and "$" not in each[1] and "<compartment>" not in each[1]
    }


def test_every_resource_type_has_the_same_interactions(statement):
    resources = statement["rest"][0]["resource"]
    assert [resource["type"] for resource in resources] == list(RESOURCE_TYPES)
    for resource in resources:
        assert [row["code"] for row in resource["interaction"]] == [
            "read",
            "vread",
            "update",
            "patch",
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
        assert resource["conditionalDelete"] == "multiple"
        assert resource["conditionalRead"] == "full-support"


# How each interaction is asked for on a Patient that is there, and what it answers.
PERSON = {"resourceType": "Patient", "id": "known"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
BUNDLE = {"resourceType": "Bundle", "entry": [{"request": {"method": "GET", "url": "Patient/known"}}]}
CALLS: dict[str, list[tuple[str, str, Any, dict[str, str], int]]] = {
    "read": [("GET", "/Patient/known", None, {}, 200)],
    "vread": [("GET", "/Patient/known/_history/1", None, {}, 200)],
    "update": [
        ("PUT", "/Patient/known", PERSON, {}, 200),
        ("PUT", "/Patient/new", {**PERSON, "id": "new"}, {}, 201),
        ("PUT", "/Patient?_id=known", PERSON, {}, 200),
    ],
    "patch": [
        ("PATCH", "/Patient/known", [{"op": "add", "path": "/active", "value": True}], JSON_PATCH, 200),
        ("PATCH", "/Patient?_id=known", [{"op": "add", "path": "/active", "value": True}], JSON_PATCH, 200),
    ],
    "delete": [("DELETE", "/Patient/known", None, {}, 204), ("DELETE", "/Patient?_id=known", None, {}, 204)],
    "history-instance": [("GET", "/Patient/known/_history", None, {}, 200)],
    "create": [
        ("POST", "/Patient", PERSON, {}, 201),
        ("POST", "/Patient", PERSON, {"If-None-Exist": "_id=known"}, 200),
    ],
    "search-type": [
        ("GET", "/Patient?_id=known", None, {}, 200),
        ("POST", "/Patient/_search", "_id=known", {"Content-Type": "application/x-www-form-urlencoded"}, 200),
    ],
    "history-type": [("GET", "/Patient/_history", None, {}, 200)],
    "history-system": [("GET", "/_history", None, {}, 200)],
    "search-system": [
        ("GET", "?_id=known", None, {}, 200),
        ("POST", "/_search", "_id=known", {"Content-Type": "application/x-www-form-urlencoded"}, 200),
    ],
    "batch": [("POST", "", {**BUNDLE, "type": "batch"}, {}, 200)],
    "transaction": [("POST", "", {**BUNDLE, "type": "transaction"}, {}, 200)],
}


def test_every_declared_interaction_does_what_it_is_asked(client, statement):
    rest = statement["rest"][0]
    patient = next(resource for resource in rest["resource"] if resource["type"] == "Patient")
    for row in [*patient["interaction"], *rest["interaction"]]:
        for method, url, body, headers, expected in CALLS[row["code"]]:
            client.put("/fhir/Patient/known", json=PERSON)
            response = client.open(
                f"/fhir{url}",
                method=method,
                data=body if isinstance(body, str) else None if body is None else json.dumps(body),
                headers={"Content-Type": "application/fhir+json", **headers},
            )
            assert response.status_code == expected, (row, method, url, response.text)
    assert patient["conditionalRead"] == "full-support"
    assert client.get("/fhir/Patient/new", headers={"If-None-Match": 'W/"1"'}).status_code == 304
    modified = client.get("/fhir/Patient/new").headers["Last-Modified"]
    assert client.get("/fhir/Patient/new", headers={"If-Modified-Since": modified}).status_code == 304


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json-patch+json", '[{"op":"add","path":"/gender","value":"other"}]'),
        ("application/merge-patch+json", '{"gender":"other"}'),
        ("application/json", '[{"op":"add","path":"/gender","value":"other"}]'),
        ("application/json", '{"gender":"other"}'),
        ("application/fhir+json", json.dumps(FHIRPATH_PATCH)),
        (
            "application/fhir+xml",
            '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
            '<part><name value="type"/><valueCode value="add"/></part>'
            '<part><name value="path"/><valueString value="Patient"/></part>'
            '<part><name value="name"/><valueString value="gender"/></part>'
            '<part><name value="value"/><valueCode value="other"/></part></parameter></Parameters>',
        ),
    ],
)
def test_every_declared_patch_format_is_taken(client, statement, content_type, body):
    assert content_type in statement["patchFormat"]
    client.put("/fhir/Patient/known", json=PERSON)
    accept = {"Accept": "application/fhir+json"}
    response = client.patch("/fhir/Patient/known", data=body, content_type=content_type, headers=accept)
    assert response.status_code == 200, response.text
    assert json.loads(response.data)["gender"] == "other"


@pytest.mark.parametrize("name", ["application/fhir+json", "json", "application/fhir+xml", "xml"])
def test_every_declared_format_is_written_and_read(client, statement, name):
    assert name in statement["format"]
    kind = f"application/fhir+{name[-4:].removeprefix('+')}"
    client.put("/fhir/Patient/known", json={**PERSON, "name": [{"family": "Nguyễn"}]})
    shown = client.get("/fhir/Patient/known", query_string={"_format": name})
    assert shown.content_type.split(";")[0] == kind
    sent = client.put("/fhir/Patient/known", data=shown.data, content_type=kind)
    assert sent.status_code == 200, sent.text
    assert sent.headers["ETag"] == 'W/"1"'  # nothing differs


def test_search_parameters_are_those_of_r4_with_their_definitions(statement):
    resources = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    patient = {row["name"]: row for row in resources["Patient"]["searchParam"]}
    assert patient["birthdate"] == {
        "name": "birthdate",
        "definition": search_parameters("Patient")["birthdate"].url,
        "type": "date",
    }
    assert {"_id", "_lastUpdated", "_tag", "_profile", "_security"} <= set(patient)
    assert {"_text", "_content", "_filter"} <= set(patient)
    assert "_query" not in patient  # there are no named queries
    assert "Observation:subject" in resources["Observation"]["searchInclude"]
    assert "Observation:subject" in resources["Patient"]["searchRevInclude"]


PLAUSIBLE = {
    "date": "2026-01-01",
    "number": "1",
    "quantity": "1",
    "reference": "Patient/1",
    "uri": "urn:x",
    "token": "x",
    "string": "x",
}
SPECIAL = {"near": "10.77|106.70|5|km", "_has": "", "_filter": "_id eq x", "_list": "x", "_query": "x"}


@pytest.mark.parametrize("part", range(4))
def test_every_declared_search_parameter_of_every_type_is_taken(client, statement, part):
    asked = 0
    for resource in statement["rest"][0]["resource"][part::4]:
        name = resource["type"]
        for row in resource["searchParam"]:
            response = client.get(f"/fhir/{name}", query_string={row["name"]: _value(name, row)})
            assert response.status_code == 200, (name, row, response.text)
            # What was really searched is in the self link: nothing was passed over in silence.
            assert _self_link(response).partition("?")[2].startswith(f"{row['name']}="), (name, row, response.text)
            asked += 1
    assert asked > 500


def _value(resource_type, row):
    if row["type"] != "composite":
        return SPECIAL.get(row["name"]) or PLAUSIBLE[row["type"]]
    components = search_parameters(resource_type)[row["name"]].components
    return "$".join(PLAUSIBLE[search_parameter_by_url(url).type] for url, _ in components)


def _self_link(response):
    return next(link["url"] for link in json.loads(response.data)["link"] if link["relation"] == "self")


def test_every_parameter_declared_for_the_whole_system_is_taken(client, statement):
    declared = statement["rest"][0]["searchParam"]
    assert [row["name"] for row in declared][-2:] == ["_type", "_list"]
    for row in declared:
        value = {**SPECIAL, "_type": "Patient"}.get(row["name"]) or PLAUSIBLE[row["type"]]
        response = client.get("/fhir", query_string={row["name"]: value})
        assert response.status_code == 200, (row, response.text)


def test_every_declared_compartment_is_searched(client, statement):
    declared = [url.rpartition("/")[2] for url in statement["rest"][0]["compartment"]]
    assert declared == ["device", "encounter", "patient", "practitioner", "relatedperson"]
    for name in ("Patient", "Encounter", "Practitioner", "RelatedPerson", "Device"):
        for address in (f"/fhir/{name}/known/Observation", f"/fhir/{name}/known/*"):
            response = client.get(address)
            assert response.status_code == 200, (address, response.text)


def test_a_search_parameter_of_the_servers_own_is_declared_once_it_can_be_searched(client, send, monkeypatch):
    monkeypatch.setattr(catalogue, "REFRESH_SECONDS", 0.1)
    own = {
        "resourceType": "SearchParameter",
        "url": "http://example.vn/fhir/SearchParameter/marital",
        "name": "marital",
        "status": "active",
        "description": "x",
        "code": "marital",
        "base": ["Patient"],
        "type": "token",
        "expression": "Patient.maritalStatus",
    }
    send("POST", "/fhir/SearchParameter", own)
    assert _marital(client) == []
    send("POST", "/fhir/$reindex", {"resourceType": "Parameters"})
    deadline = time.monotonic() + 10
    while not _marital(client) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _marital(client) == [{"name": "marital", "definition": own["url"], "type": "token"}]
    assert client.get("/fhir/Patient?marital=M").status_code == 200


def _marital(client):
    resources = json.loads(client.get("/fhir/metadata").data)["rest"][0]["resource"]
    patient = next(resource for resource in resources if resource["type"] == "Patient")
    return [row for row in patient["searchParam"] if row["name"] == "marital"]


def test_every_declared_include_is_taken(client, statement):
    for resource in statement["rest"][0]["resource"]:
        name = resource["type"]
        if name in ("Patient", "Observation", "AllergyIntolerance", "Encounter"):
            for parameter in ("_include", "_revinclude"):
                for value in resource[f"search{'Include' if parameter == '_include' else 'RevInclude'}"]:
                    response = client.get(f"/fhir/{name}", query_string={parameter: value})
                    assert response.status_code == 200, (name, value, response.text)


def test_every_declared_operation_answers(client, statement, send):
    send("PUT", "/fhir/Patient/known", {"resourceType": "Patient", "id": "known"})
    rest = statement["rest"][0]
    addresses = [f"/fhir/${row['name']}" for row in rest.get("operation", [])]
    for resource in rest["resource"]:
        for row in resource.get("operation", []):
            rows = [each for each in OPERATIONS if each.name == row["name"] and each.definition == row["definition"]]
            levels = {level for each in rows for level in each.levels if each.is_at(level, resource["type"])}
            where = {"type": resource["type"], "instance": f"{resource['type']}/known"}
            addresses += [f"/fhir/{where[level]}/${row['name']}" for level in levels if level in where]
    assert len(addresses) >= len(OPERATIONS)
    for address in dict.fromkeys(addresses):
        response = send("POST", address, {"resourceType": "Parameters"})
        told = json.loads(response.data or b"{}") if "json" in (response.content_type or "json") else {}
        problem = told.get("issue", [{}])[0]
        assert response.status_code not in (405, 500, 501), (address, response.text)
        # A 404 can only mean that there is no such resource, never that there is no such operation.
        assert response.status_code != 404 or problem.get("code") != "not-supported", (address, response.text)


def test_the_terminology_mode_tells_what_terminology_operations_there_are(client):
    told = json.loads(client.get("/fhir/metadata?mode=terminology").data)
    assert validate_issues(told) == []
    assert told["resourceType"] == "TerminologyCapabilities"
    assert told["kind"] == "instance"
    offered = {each.name for each in OPERATIONS}
    assert ("expansion" in told) == ("expand" in offered)
    assert ("validateCode" in told) == ("validate-code" in offered)
    assert ("translation" in told) == ("translate" in offered)


@pytest.mark.parametrize(("mode", "status"), [("full", 200), ("normative", 200), ("terminology", 200), ("all", 400)])
def test_the_modes_of_the_statement(client, mode, status):
    assert client.get(f"/fhir/metadata?mode={mode}").status_code == status


def test_health_answers_while_the_store_does(client):
    response = client.get("/health")
    assert (response.status_code, response.text) == (200, "ok\n")


def test_the_statement_says_the_same_in_xml(client, statement):
    response = client.get("/fhir/metadata?_format=xml")
    assert (response.status_code, response.content_type) == (200, "application/fhir+xml; charset=utf-8")
    assert xml.parse(response.data) == exact.parse(client.get("/fhir/metadata").data)
