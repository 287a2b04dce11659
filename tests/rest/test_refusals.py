"""Failures are OperationOutcomes: https://hl7.org/fhir/R4/operationoutcome.html"""

import json
import logging

import pytest
from flask import request

from fhir_server.app import create_app
from fhir_server.config import Config


@pytest.mark.parametrize(
    ("method", "url", "status", "code"),
    [
        ("GET", "/fhir/Person1/1", 404, "not-supported"),
        ("GET", "/fhir/patient/1", 404, "not-supported"),
        ("GET", "/fhir/Resource/1", 404, "not-supported"),
        ("POST", "/fhir/Nonsense/_search", 404, "not-supported"),
        ("GET", "/fhir/a/b/c/d/e", 404, "not-supported"),
        ("GET", "/fhir//Patient/1", 404, "not-supported"),
        ("GET", "/fhir/Patient/a_b", 404, "not-found"),
        ("GET", "/fhir/Patient/1/observation", 404, "not-supported"),
        ("TRACE", "/fhir/Patient", 405, "not-supported"),
        ("TRACE", "/fhir/Patient/1", 405, "not-supported"),
        ("DELETE", "/fhir/metadata/x/_history", 405, "not-supported"),
    ],
)
def test_addresses_and_methods_that_mean_nothing(client, issue, method, url, status, code):
    response = client.open(url, method=method)
    assert response.status_code == status
    assert issue(response)["code"] == code


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        ("/fhir/Patient/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/fhir/Patient", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ("/fhir", "GET, HEAD, OPTIONS, POST"),
        ("/fhir/Patient/1/_history/1", "GET, HEAD, OPTIONS"),
    ],
)
def test_405_names_the_methods_an_address_takes(client, url, allow):
    response = client.open(url, method="TRACE")
    assert response.status_code == 405
    assert response.headers["Allow"] == allow


def test_a_refusal_carries_the_headers_of_every_answer(client):
    response = client.get("/fhir/Patient/nobody", headers={"Origin": "https://app.example.vn", "X-Request-Id": "r-1"})
    assert response.headers["Cache-Control"] == "private, no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Request-Id"] == "r-1"


@pytest.mark.parametrize(
    "url", ["/fhir/<script>alert(1)<%2Fscript>", "/fhir/Patient?<script>=1", "/fhir/Patient/<script>"]
)
def test_no_refusal_is_html(client, url):
    response = client.get(url)
    assert response.status_code in (400, 404)
    assert response.content_type == "application/fhir+json; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(response.data)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "host", ["evil.example.com", "127.0.0.1.evil.example.com", 'evil"host', "<b>", "[::1", "10.0.0.1"]
)
def test_open_access_answers_to_local_names_only(client, issue, host):
    response = client.get("/fhir/Patient", headers={"Host": host})
    assert response.status_code == 403
    assert issue(response)["code"] == "forbidden"
    assert host not in response.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080"])
def test_links_lead_to_the_name_the_request_came_to(client, host):
    bundle = json.loads(client.get("/fhir/Patient", headers={"Host": host}).data)
    assert bundle["link"][0]["url"].startswith(f"http://{host}/fhir/Patient")


def fault():
    raise RuntimeError(f"cannot write {request.args['name']}")


def test_a_fault_of_the_server_gives_a_reference_and_nothing_else(caplog, app, issue):
    app.add_url_rule("/fhir/fault", "fault", fault)
    with caplog.at_level(logging.ERROR):
        response = app.test_client().get("/fhir/fault?name=Nguyen+7900000123")
    told = issue(response)
    assert response.status_code == 500
    assert told["code"] == "exception"
    reference = told["diagnostics"].rsplit(" ", 1)[1]
    assert len(reference) == 16
    assert reference in caplog.text
    assert "RuntimeError" in caplog.text
    for secret in ("Nguyen", "7900000123"):
        assert secret not in response.text
        assert secret not in caplog.text
    assert "Traceback" not in response.text
    assert "test_refusals" not in response.text


def test_without_open_access_everybody_must_log_in(repository, issue):
    config = Config.from_environment({"FHIR_ACCESS": "smart"})
    client = create_app(repository, config=config).test_client()
    for method, url in (
        ("GET", "/fhir/Patient/1"),
        ("GET", "/fhir/Patient"),
        ("POST", "/fhir"),
        ("DELETE", "/fhir/Patient/1"),
    ):
        response = client.open(url, method=method)
        assert response.status_code == 401
        assert issue(response)["code"] == "login"
