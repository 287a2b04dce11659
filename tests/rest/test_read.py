"""read and vread: https://hl7.org/fhir/R4/http.html#read"""

import json
from datetime import datetime

import pytest

PATTERN = "%a, %d %b %Y %H:%M:%S GMT"


def test_a_read_returns_what_was_created_with_its_version_in_the_headers(client, created):
    response = client.get(f"/fhir/Patient/{created['id']}")
    assert response.status_code == 200
    assert json.loads(response.data) == created
    assert response.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
    assert response.headers["ETag"] == 'W/"1"'
    assert response.headers["Content-Location"] == f"http://localhost/fhir/Patient/{created['id']}/_history/1"
    assert "Location" not in response.headers
    updated = datetime.fromisoformat(created["meta"]["lastUpdated"])
    assert response.headers["Last-Modified"] == updated.strftime(PATTERN)


def test_every_answer_forbids_caching_and_sniffing_and_carries_a_request_id(client, created):
    response = client.get(f"/fhir/Patient/{created['id']}")
    assert response.headers["Cache-Control"] == "private, no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert len(response.headers["X-Request-Id"]) == 16
    other = client.get(f"/fhir/Patient/{created['id']}")
    assert other.headers["X-Request-Id"] != response.headers["X-Request-Id"]


def test_the_request_id_of_the_client_is_kept_when_it_is_a_plain_one(client, created):
    url = f"/fhir/Patient/{created['id']}"
    assert client.get(url, headers={"X-Request-Id": "visit-42.a"}).headers["X-Request-Id"] == "visit-42.a"
    assert client.get(url, headers={"X-Request-Id": "<b>42</b>"}).headers["X-Request-Id"] != "<b>42</b>"
    assert client.get(url, headers={"X-Request-Id": "7" * 65}).headers["X-Request-Id"] != "7" * 65


def test_decimals_keep_their_digits_from_write_to_read(client, send):
    body = (
        '{"resourceType":"Observation","status":"final","code":{"text":"cân nặng"},'
        '"valueQuantity":{"value":1.50,"unit":"kg"}}'
    )
    made = json.loads(send("POST", "/fhir/Observation", body).data)
    assert b'"value":1.50' in client.get(f"/fhir/Observation/{made['id']}").data


def test_head_answers_like_read_without_a_body(client, created):
    read = client.get(f"/fhir/Patient/{created['id']}")
    head = client.head(f"/fhir/Patient/{created['id']}")
    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Length"] == str(len(read.data))
    assert head.headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize("held", ['W/"1"', '"1"', "1", "*", 'W/"7", W/"1"'])
def test_a_client_that_holds_the_version_gets_304(client, created, held):
    response = client.get(f"/fhir/Patient/{created['id']}", headers={"If-None-Match": held})
    assert response.status_code == 304
    assert response.data == b""
    assert response.headers["ETag"] == 'W/"1"'
    assert "Content-Type" not in response.headers
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize("held", ['W/"2"', '"11"', "0", "W/"])
def test_a_client_that_holds_another_version_gets_the_resource(client, created, held):
    response = client.get(f"/fhir/Patient/{created['id']}", headers={"If-None-Match": held})
    assert response.status_code == 200


def test_if_modified_since_compares_whole_seconds(client, created):
    url = f"/fhir/Patient/{created['id']}"
    modified = client.get(url).headers["Last-Modified"]
    assert client.get(url, headers={"If-Modified-Since": modified}).status_code == 304
    assert client.get(url, headers={"If-Modified-Since": "Tue, 01 Jan 2019 00:00:00 GMT"}).status_code == 200
    assert client.get(url, headers={"If-Modified-Since": "yesterday"}).status_code == 200
    both = {"If-Modified-Since": modified, "If-None-Match": 'W/"9"'}
    assert client.get(url, headers=both).status_code == 200


def test_reading_what_never_existed_is_404(client, issue):
    response = client.get("/fhir/Patient/nobody")
    assert response.status_code == 404
    assert issue(response)["code"] == "not-found"


def test_reading_what_was_deleted_is_410(client, created, issue):
    client.delete(f"/fhir/Patient/{created['id']}")
    response = client.get(f"/fhir/Patient/{created['id']}")
    assert response.status_code == 410
    assert issue(response)["code"] == "deleted"


def test_vread_returns_each_version_and_410_for_the_deletion(client, send, created, issue):
    url = f"/fhir/Patient/{created['id']}"
    send("PUT", url, {**created, "gender": "male"})
    client.delete(url)
    first, second, third = (client.get(f"{url}/_history/{version}") for version in (1, 2, 3))
    assert json.loads(first.data) == created
    assert first.headers["ETag"] == 'W/"1"'
    assert first.headers["Content-Location"] == f"http://localhost{url}/_history/1"
    assert json.loads(second.data)["gender"] == "male"
    assert json.loads(second.data)["meta"]["versionId"] == "2"
    assert second.headers["ETag"] == 'W/"2"'
    assert third.status_code == 410
    assert issue(third)["code"] == "deleted"


@pytest.mark.parametrize("version", ["2", "0", "abc", "99999999999999999999", "-1", "1.0"])
def test_vread_of_no_such_version_is_404(client, created, version):
    assert client.get(f"/fhir/Patient/{created['id']}/_history/{version}").status_code == 404


def test_pretty_indents_the_same_resource(client, created):
    response = client.get(f"/fhir/Patient/{created['id']}?_pretty=true")
    assert response.data.startswith(b'{\n  "resourceType": "Patient",\n  "id": ')
    assert json.loads(response.data) == created
