"""Formats asked for and sent: https://hl7.org/fhir/R4/http.html#mime-type"""

import gzip
import json

import pytest

from fhir_server.resource import xml


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "application/fhir+json",
        "application/json",
        "text/json",
        "*/*",
        "application/*",
        "APPLICATION/FHIR+JSON; charset=UTF-8",
        "application/fhir+json; fhirVersion=4.0",
        "application/fhir+xml, application/fhir+json",
        "application/fhir+xml;q=0.1, application/fhir+json;q=0.2",
        "application/fhir+xml;q=0, */*;q=0.1",
        "application/fhir+xml; fhirVersion=3.0, */*;q=0.1",
        "application/json;q=0, application/fhir+json",
    ],
)
def test_who_takes_json_by_any_of_its_names_gets_fhir_json(client, created, accept):
    headers = {"Accept": accept} if accept else {}
    response = client.get(f"/fhir/Patient/{created['id']}", headers=headers)
    assert response.status_code == 200
    assert response.content_type == "application/fhir+json; charset=utf-8"


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+xml",
        "application/xml",
        "text/xml",
        "text/*;q=0.5, application/xml",
        "application/fhir+xml, */*",
        "application/fhir+xml, application/fhir+json;q=0.9",
        "application/json;q=0.3, application/fhir+xml;q=0.4; charset=utf-8",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ],
)
def test_who_takes_xml_by_any_of_its_names_and_rather_than_json_gets_fhir_xml(client, created, accept):
    response = client.get(f"/fhir/Patient/{created['id']}", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.content_type == "application/fhir+xml; charset=utf-8"
    assert xml.parse(response.data) == created


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "image/*",
        "application/fhir+json;q=0",
        "application/fhir+json;q=0, application/fhir+xml;q=0",
        "*/*;q=0",
        "application/*;q=0, */*;q=0",
        "application/fhir+json; fhirVersion=3.0",
        "nonsense",
    ],
)
def test_who_takes_neither_gets_406(client, created, issue, accept):
    response = client.get(f"/fhir/Patient/{created['id']}", headers={"Accept": accept})
    assert response.status_code == 406
    assert issue(response)["code"] == "not-supported"


@pytest.mark.parametrize(
    "value", ["json", "application/json", "application/fhir%2Bjson", "application/fhir+json", "text/json"]
)
def test_format_wins_over_the_accept_header(client, created, value):
    url = f"/fhir/Patient/{created['id']}?_format={value}"
    assert client.get(url, headers={"Accept": "text/html"}).status_code == 200


@pytest.mark.parametrize(
    "value", ["xml", "application/fhir%2Bxml", "application/fhir+xml", "application/xml", "text/xml", "XML"]
)
def test_format_can_be_xml_by_any_of_its_names(client, created, value):
    url = f"/fhir/Patient/{created['id']}?_format={value}"
    response = client.get(url, headers={"Accept": "application/fhir+json"})
    assert response.content_type == "application/fhir+xml; charset=utf-8"
    assert xml.parse(response.data) == created


@pytest.mark.parametrize("value", ["ttl", "html", ""])
def test_another_format_is_406(client, created, value):
    url = f"/fhir/Patient/{created['id']}?_format={value}"
    assert client.get(url, headers={"Accept": "application/fhir+json"}).status_code == 406


@pytest.mark.parametrize(
    "content_type",
    ["application/fhir+json", "application/json; charset=utf-8", "text/json", "application/fhir+json; fhirVersion=4.0"],
)
def test_json_is_read_by_any_of_its_names(client, person, content_type):
    response = client.post("/fhir/Patient", data=json.dumps(person()), content_type=content_type)
    assert response.status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/fhir+xml; charset=utf-16",
        "application/fhir+xml; fhirVersion=3.0",
        "image/png",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/json; charset=latin-1",
        "application/fhir+json; fhirVersion=3.0",
    ],
)
def test_another_content_type_is_415(client, person, issue, content_type):
    response = client.post("/fhir/Patient", data=json.dumps(person()), content_type=content_type)
    assert response.status_code == 415
    assert issue(response)["code"] == "not-supported"


def test_long_answers_are_gzipped_for_who_takes_it(client):
    plain = client.get("/fhir/metadata", headers={"Accept-Encoding": "identity"})
    zipped = client.get("/fhir/metadata", headers={"Accept-Encoding": "deflate, gzip;q=0.8"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.headers["Content-Length"] == str(len(zipped.data))
    assert "Accept-Encoding" in zipped.headers["Vary"]
    assert gzip.decompress(zipped.data) == plain.data
    assert len(zipped.data) * 5 < len(plain.data)


@pytest.mark.parametrize("accept_encoding", ["br", "gzip;q=0", "*;q=0", ""])
def test_who_does_not_take_gzip_gets_none(client, accept_encoding):
    response = client.get("/fhir/metadata", headers={"Accept-Encoding": accept_encoding})
    assert "Content-Encoding" not in response.headers


def test_short_answers_are_not_gzipped(client, created):
    response = client.get(f"/fhir/Patient/{created['id']}", headers={"Accept-Encoding": "gzip"})
    assert len(response.data) < 1024
    assert "Content-Encoding" not in response.headers
