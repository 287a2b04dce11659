"""Binary by its own content type: https://hl7.org/fhir/R4/binary.html"""

import json
from base64 import b64encode

import pytest

from fhir_server.app import create_app
from fhir_server.config import Config
from fhir_server.resource import xml
from fhir_server.rest.binary import MAX_CONTENT

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\xff"
FHIR_JSON = {"Accept": "application/fhir+json"}


@pytest.fixture
def upload(client):
    """Sends bytes with a content type: upload(PNG, "image/png", X_Security_Context="Patient/1")."""

    def upload(content, content_type, url="/fhir/Binary", method="POST", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.open(url, method=method, data=content, content_type=content_type, headers={**FHIR_JSON, **named})

    return upload


def test_bytes_become_a_binary_and_come_back_as_they_were(client, upload):
    made = upload(PNG, "image/png", X_Security_Context="DocumentReference/d1")
    assert made.status_code == 201
    resource = json.loads(made.data)
    assert {key: value for key, value in resource.items() if key != "meta"} == {
        "resourceType": "Binary",
        "id": resource["id"],
        "contentType": "image/png",
        "securityContext": {"reference": "DocumentReference/d1"},
        "data": b64encode(PNG).decode(),
    }
    read = client.get(f"/fhir/Binary/{resource['id']}")
    assert (read.status_code, read.data, read.content_type) == (200, PNG, "image/png")
    assert read.headers["ETag"] == 'W/"1"'
    assert read.headers["X-Security-Context"] == "DocumentReference/d1"
    assert read.headers["Content-Length"] == str(len(PNG))


@pytest.mark.parametrize("accept", [None, "*/*", "image/png", "image/*", "text/html", "application/json"])
def test_who_does_not_name_fhir_gets_the_content(client, upload, accept):
    url = f"/fhir/Binary/{json.loads(upload(PNG, 'image/png').data)['id']}"
    for address in (url, f"{url}/_history/1"):
        response = client.get(address, headers={"Accept": accept} if accept else {})
        assert (response.status_code, response.data, response.content_type) == (200, PNG, "image/png")


@pytest.mark.parametrize(
    ("accept", "query", "content_type"),
    [
        ("application/fhir+json", "", "application/fhir+json; charset=utf-8"),
        ("image/png;q=0.5, application/fhir+xml", "", "application/fhir+xml; charset=utf-8"),
        ("image/png", "?_format=json", "application/fhir+json; charset=utf-8"),
    ],
)
def test_who_names_fhir_gets_the_resource(client, upload, accept, query, content_type):
    made = json.loads(upload(PNG, "image/png").data)
    response = client.get(f"/fhir/Binary/{made['id']}{query}", headers={"Accept": accept})
    assert response.content_type == content_type
    assert (xml.parse if "xml" in content_type else json.loads)(response.data) == made


@pytest.mark.parametrize(
    ("content_type", "disposition"),
    [
        ("image/png", None),
        ("application/pdf", None),
        ("text/plain; charset=utf-8", None),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("application/vnd.ms-excel", "attachment"),
    ],
)
def test_content_cannot_run_in_the_browser(client, upload, content_type, disposition):
    made = json.loads(upload(b"<script>alert(1)</script>", content_type).data)
    response = client.get(f"/fhir/Binary/{made['id']}")
    assert response.content_type == content_type
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    named = f'attachment; filename="Binary-{made["id"]}"' if disposition else None
    assert response.headers.get("Content-Disposition") == named


@pytest.mark.parametrize("declared", ["text/html\tx", "image/png, text/html", "nonsense", "text/html; a=é"])
def test_a_content_type_that_is_none_is_served_as_bytes_to_keep(client, send, declared):
    made = send("POST", "/fhir/Binary", {"resourceType": "Binary", "contentType": declared, "data": "YQ=="})
    assert made.status_code == 201, made.text
    response = client.get(f"/fhir/Binary/{json.loads(made.data)['id']}")
    assert (response.data, response.content_type) == (b"a", "application/octet-stream")
    assert response.headers["Content-Disposition"].startswith("attachment")


def test_a_binary_without_data_is_empty(client, send):
    made = json.loads(send("POST", "/fhir/Binary", {"resourceType": "Binary", "contentType": "image/png"}).data)
    response = client.get(f"/fhir/Binary/{made['id']}")
    assert (response.status_code, response.data) == (200, b"")


def test_head_and_304_of_content(client, upload):
    url = f"/fhir/Binary/{json.loads(upload(PNG, 'image/png').data)['id']}"
    head = client.head(url)
    assert (head.status_code, head.data, head.content_type) == (200, b"", "image/png")
    assert head.headers["Content-Length"] == str(len(PNG))
    held = client.get(url, headers={"If-None-Match": 'W/"1"'})
    assert (held.status_code, held.data) == (304, b"")


def test_content_is_updated_under_its_id(client, upload):
    assert upload(b"one", "text/plain", "/fhir/Binary/note", "PUT").status_code == 201
    assert upload(b"two", "text/plain", "/fhir/Binary/note", "PUT").status_code == 200
    assert client.get("/fhir/Binary/note").data == b"two"
    assert client.get("/fhir/Binary/note/_history/1").data == b"one"


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"resourceType":"Patient","gender":"female"}', "application/fhir+json"),
        (b'{"a":1}', "application/json"),
        (b"[1,", "application/json"),
        (b'<Patient xmlns="http://hl7.org/fhir"/>', "application/fhir+xml"),
        (b"<ClinicalDocument/>", "application/xml"),
    ],
)
def test_json_and_xml_that_are_no_binary_are_content_as_well(client, upload, content, content_type):
    made = upload(content, content_type)
    assert made.status_code == 201
    response = client.get(f"/fhir/Binary/{json.loads(made.data)['id']}")
    assert (response.data, response.content_type) == (content, content_type)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"resourceType" : "Binary","contentType":"image/png","data":"YQ=="}', "application/json"),
        (
            b'<?xml version="1.0"?><Binary xmlns="http://hl7.org/fhir">'
            b'<contentType value="image/png"/><data value="YQ=="/></Binary>',
            "text/xml",
        ),
    ],
)
def test_a_binary_resource_is_one_in_both_formats(client, upload, body, content_type):
    made = json.loads(upload(body, content_type).data)
    assert (made["contentType"], made["data"]) == ("image/png", "YQ==")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("image", 415),
        (None, 415),
        ("text/plain", 201),
    ],
)
def test_forms_and_undeclared_content_are_415(upload, content_type, status):
    assert upload(b"a=b", content_type).status_code == status


def test_empty_content_and_no_reference_as_context_are_400(upload, issue):
    assert issue(upload(b"", "image/png"))["code"] == "required"
    assert issue(upload(PNG, "image/png", X_Security_Context="a b"))["code"] == "value"


def test_a_page_of_another_site_uploads_nothing(upload):
    assert upload(b"a", "text/plain", Origin="http://evil.example").status_code == 403
    assert upload(b"a", "text/plain", Origin="null").status_code == 403
    assert upload(b"a", "text/plain", Origin="http://localhost").status_code == 201


def test_content_up_to_the_limit_is_stored_and_one_byte_more_is_413(client, upload, issue):
    made = upload(b"\xff" * MAX_CONTENT, "image/png", Prefer="return=minimal")
    assert made.status_code == 201
    assert len(client.get(made.headers["Location"]).data) == MAX_CONTENT
    over = upload(b"\xff" * (MAX_CONTENT + 1), "image/png")
    assert over.status_code == 413
    assert issue(over)["code"] == "too-long"


def test_the_body_limit_holds_for_content(repository):
    config = Config.from_environment({"FHIR_MAX_BODY_BYTES": "1000"})
    client = create_app(repository, config=config).test_client()
    assert client.post("/fhir/Binary", data=b"a" * 1001, content_type="image/png").status_code == 413
    assert client.post("/fhir/Binary", data=b"a" * 1000, content_type="image/png").status_code == 201


def test_other_types_take_no_bytes(client):
    assert client.post("/fhir/Patient", data=PNG, content_type="image/png").status_code == 415
