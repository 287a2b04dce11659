"""Every interaction in XML: https://hl7.org/fhir/R4/xml.html and https://hl7.org/fhir/R4/http.html#mime-type"""

import gzip
import json

import pytest
from lxml import etree

from fhir_server.resource import exact, xml
from fhir_server.rest.interactions import INTERACTIONS

FHIR_XML = "application/fhir+xml"
AS_XML = {"Accept": FHIR_XML}
NS = {"f": "http://hl7.org/fhir"}


@pytest.fixture
def send_xml(client):
    """Sends a resource as FHIR XML and asks for XML: send_xml("POST", "/fhir/Patient", resource)."""

    def send(method, url, body, **headers):
        data = body if isinstance(body, bytes) else xml.dump(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.open(url, method=method, data=data, content_type=FHIR_XML, headers={**AS_XML, **named})

    return send


def issue_of(response):
    """The one issue of a response that is an OperationOutcome in XML."""
    assert response.content_type == "application/fhir+xml; charset=utf-8"
    outcome = xml.parse(response.data)
    assert outcome["resourceType"] == "OperationOutcome"
    assert len(outcome["issue"]) == 1
    return outcome["issue"][0]


def test_what_is_sent_as_xml_is_stored_as_the_same_json(client, send_xml):
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "cân nặng"},
        "valueQuantity": {"value": exact.parse_value("1.50"), "unit": "kg"},
        "_status": {"extension": [{"url": "http://example.vn/x", "valueBoolean": False}]},
    }
    response = send_xml("POST", "/fhir/Observation", observation)
    assert response.status_code == 201
    made = xml.parse(response.data)
    assert response.headers["Location"] == f"http://localhost/fhir/Observation/{made['id']}/_history/1"
    read = client.get(f"/fhir/Observation/{made['id']}")
    assert read.content_type == "application/fhir+json; charset=utf-8"
    assert b'"value":1.50' in read.data
    stored = exact.parse(read.data)
    assert {key: value for key, value in stored.items() if key not in ("id", "meta")} == observation
    assert made == stored


def test_an_update_and_a_gzipped_body_may_be_xml(send_xml, created):
    url = f"/fhir/Patient/{created['id']}"
    response = send_xml("PUT", url, {**created, "gender": "male"})
    assert (response.status_code, response.headers["ETag"]) == (200, 'W/"2"')
    body = gzip.compress(xml.dump({**created, "gender": "other"}))
    response = send_xml("PUT", url, body, Content_Encoding="gzip")
    assert (response.status_code, xml.parse(response.data)["gender"]) == (200, "other")


def test_who_sends_xml_and_asks_for_nothing_is_answered_in_xml(client, person):
    made = client.post("/fhir/Patient", data=xml.dump(person()), content_type=FHIR_XML)
    assert (made.status_code, made.content_type) == (201, "application/fhir+xml; charset=utf-8")
    wrong = client.post("/fhir/Patient", data=b"<a/>", content_type=FHIR_XML)
    assert issue_of(wrong)["code"] == "structure"
    as_json = client.post(
        "/fhir/Patient", data=xml.dump(person()), content_type=FHIR_XML, headers={"Accept": "application/json"}
    )
    assert as_json.content_type == "application/fhir+json; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        (b'<Patient xmlns="http://hl7.org/fhir"><gender value="nam"/></Patient>', "Patient.gender"),
        (b'<Patient xmlns="http://hl7.org/fhir"><name><first/></name></Patient>', "Patient.name[0]"),
    ],
)
def test_a_refusal_in_xml_names_the_element(send_xml, body, expression):
    response = send_xml("POST", "/fhir/Patient", body)
    assert response.status_code == 400
    assert issue_of(response)["expression"] == [expression]


@pytest.mark.parametrize(
    "inside", ["<script>alert(1)</script>", '<a href=" javascript:alert(1)">a</a>', '<p onclick="a()"/>']
)
def test_a_narrative_in_xml_is_held_to_the_same_rules(send_xml, inside):
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'
    body = f'<Patient xmlns="http://hl7.org/fhir"><text><status value="generated"/>{div}</text></Patient>'
    response = send_xml("POST", "/fhir/Patient", body.encode())
    assert response.status_code == 400
    assert issue_of(response)["expression"] == ["Patient.text.div"]


def test_a_doctype_is_refused(send_xml):
    body = b'<!DOCTYPE Patient [<!ENTITY a SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir"/>'
    response = send_xml("POST", "/fhir/Patient", body)
    assert response.status_code == 400
    assert issue_of(response)["diagnostics"] == "The XML may not have a DOCTYPE: send the resource without it."


def test_the_body_limit_is_that_of_json(client, send_xml, person, config):
    body = xml.dump(person())
    response = send_xml("POST", "/fhir/Patient", body + b" " * (config.max_body_bytes + 1 - len(body)))
    assert response.status_code == 413
    assert issue_of(response)["code"] == "too-long"


@pytest.mark.parametrize("url", ["/fhir/Patient/nobody", "/fhir/Nothing/1", "/fhir/a/b/c/d", "/fhir/Patient?_count=x"])
def test_refusals_are_in_xml_for_who_takes_it(client, url):
    by_header = client.get(url, headers=AS_XML)
    assert by_header.status_code in (400, 404)
    assert issue_of(by_header)["severity"] == "error"
    assert issue_of(client.get(url + ("&" if "?" in url else "?") + "_format=xml"))["severity"] == "error"


def test_a_refusal_that_xml_cannot_say_is_in_json(client):
    response = client.get("/fhir/Patient?colour%01=red", headers=AS_XML)
    assert (response.status_code, response.content_type) == (400, "application/fhir+json; charset=utf-8")


def test_searches_and_histories_say_the_same_in_both_formats(client, created):
    for url in ("/fhir/Patient?gender=female&_format=xml", f"/fhir/Patient/{created['id']}/_history?_format=xml"):
        as_xml = client.get(url)
        as_json = client.get(url.replace("_format=xml", "_format=json"))
        bundle = xml.parse(as_xml.data)
        assert bundle == json.loads(as_json.data.replace(b"_format=json", b"_format=xml"))
        assert bundle["entry"][0]["resource"] == created
        root = etree.fromstring(as_xml.data)
        assert root.xpath("f:entry/f:resource/f:Patient/f:gender/@value", namespaces=NS) == ["female"]


def test_a_batch_in_xml_is_answered_in_xml(send_xml, person):
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"resource": person(), "request": {"method": "POST", "url": "Patient"}},
            {"request": {"method": "GET", "url": "Patient/nobody"}},
        ],
    }
    response = send_xml("POST", "/fhir", bundle)
    answered = xml.parse(response.data)
    assert answered["type"] == "batch-response"
    assert [entry["response"]["status"] for entry in answered["entry"]] == ["201 Created", "404 Not Found"]
    assert answered["entry"][1]["response"]["outcome"]["issue"][0]["code"] == "not-found"


def test_a_transaction_in_xml_is_answered_in_xml(send_xml, person):
    entry = {"resource": person(), "request": {"method": "POST", "url": "Patient"}}
    response = send_xml("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    answered = xml.parse(response.data)
    assert [entry["response"]["status"] for entry in answered["entry"]] == ["201 Created"]


def test_the_capabilities_are_in_xml_and_declare_it(client):
    statement = xml.parse(client.get("/fhir/metadata", headers=AS_XML).data)
    assert statement["format"] == ["application/fhir+json", "json", "application/fhir+xml", "xml"]
    assert statement == json.loads(client.get("/fhir/metadata").data)


def test_pretty_indents_xml_and_refusals_too(client, created):
    response = client.get(f"/fhir/Patient/{created['id']}?_pretty=true", headers=AS_XML)
    assert response.data.startswith(
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Patient xmlns="http://hl7.org/fhir">\n  <id value="'
    )
    assert xml.parse(response.data) == created
    assert (
        b'\n  <issue>\n    <severity value="error"/>'
        in client.get("/fhir/Patient/nobody?_pretty=true&_format=xml").data
    )
    assert client.get("/fhir/Patient/nobody?_pretty=true").data.startswith(b'{\n  "resourceType"')


def test_a_conditional_read_in_xml_is_304(client, created):
    url = f"/fhir/Patient/{created['id']}"
    response = client.get(url, headers={**AS_XML, "If-None-Match": 'W/"1"'})
    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", 'W/"1"')
    assert "Content-Type" not in response.headers
    modified = client.get(url, headers=AS_XML).headers["Last-Modified"]
    assert client.get(url, headers={**AS_XML, "If-Modified-Since": modified}).status_code == 304
    assert client.get(url, headers={**AS_XML, "If-None-Match": 'W/"2"'}).status_code == 200


def test_long_xml_is_gzipped_for_who_takes_it(client):
    plain = client.get("/fhir/metadata", headers={**AS_XML, "Accept-Encoding": "identity"})
    zipped = client.get("/fhir/metadata", headers={**AS_XML, "Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data


@pytest.mark.parametrize("accept", ["application/fhir+json", FHIR_XML])
@pytest.mark.parametrize(
    "path", sorted({row.path for row in INTERACTIONS if row.method == "GET" and "<operation>" not in row.path})
)
def test_head_answers_like_get_without_the_body_at_every_address(client, created, path, accept):
    url = (
        f"/fhir/{path}".replace("<compartment>", "Patient")
        .replace("<type>", "Patient")
        .replace("<id>", created["id"])
        .replace("<version>", "1")
    )
    changing = {"X-Request-Id", "Date"}
    get, head = (client.open(url, method=method, headers={"Accept": accept}) for method in ("GET", "HEAD"))
    assert (get.status_code, head.status_code, head.data) == (200, 200, b"")
    assert len(get.data) == int(head.headers["Content-Length"])
    assert [each for each in get.headers if each[0] not in changing] == [
        each for each in head.headers if each[0] not in changing
    ]
    assert head.content_type == f"{accept}; charset=utf-8"
