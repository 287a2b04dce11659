"""Cross-origin requests: https://hl7.org/fhir/R4/security.html#cors"""

import pytest

from fhir_server.app import create_app
from fhir_server.config import Config

APP = "https://app.example.vn"


@pytest.fixture
def config():
    return Config.from_environment({"FHIR_CORS_ORIGINS": APP})


def test_preflight_grants_the_methods_and_headers_of_fhir(client):
    asked = {"Origin": APP, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "if-match"}
    response = client.options("/fhir/Patient/1", headers=asked)
    assert response.status_code == 204
    assert response.data == b""
    assert response.headers["Access-Control-Allow-Origin"] == APP
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Content-Type", "If-Match", "If-None-Exist", "If-None-Match", "Prefer"} <= set(allowed)
    assert {"X-Medplum", "X-Requested-With"} <= set(allowed)  # what clients send beside
    assert response.headers["Access-Control-Max-Age"] == "86400"
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("url", ["/fhir", "/fhir/metadata", "/fhir/Patient", "/fhir/Patient/_search", "/fhir/_history"])
def test_every_address_takes_a_preflight(client, url):
    assert client.options(url, headers={"Origin": APP}).status_code == 204


def test_answers_show_their_headers_to_pages_of_the_origin(client):
    response = client.get("/fhir/Patient", headers={"Origin": APP})
    assert response.headers["Access-Control-Allow-Origin"] == APP
    exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed == {
        "Content-Disposition",
        "Content-Location",
        "ETag",
        "Last-Modified",
        "Location",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "WWW-Authenticate",
        "X-Request-Id",
        "X-Security-Context",
    }
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_refusals_are_readable_for_the_origin_too(client):
    response = client.get("/fhir/Patient/nobody", headers={"Origin": APP})
    assert response.status_code == 404
    assert response.headers["Access-Control-Allow-Origin"] == APP


@pytest.mark.parametrize("origin", ["https://evil.example.com", f"{APP}.evil.com", "null", "*"])
def test_other_origins_get_nothing(client, origin):
    for response in (
        client.get("/fhir/Patient", headers={"Origin": origin}),
        client.options("/fhir/Patient", headers={"Origin": origin}),
    ):
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]


def test_a_star_in_the_configuration_lets_every_origin_in(repository):
    client = create_app(repository, config=Config.from_environment({"FHIR_CORS_ORIGINS": "*"})).test_client()
    response = client.get("/fhir/Patient", headers={"Origin": "https://anywhere.example.org"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
