"""update and conditional update: https://hl7.org/fhir/R4/http.html#update"""

import json

import pytest

CRITERIA = "identifier=http://hososuckhoe.example.vn/fhir/sid/bhxh-number%7C7900000123"


def test_update_makes_the_next_version(client, send, created):
    url = f"/fhir/Patient/{created['id']}"
    response = send("PUT", url, {**created, "gender": "male"})
    updated = json.loads(response.data)
    assert response.status_code == 200
    assert response.headers["ETag"] == 'W/"2"'
    assert response.headers["Location"] == f"http://localhost{url}/_history/2"
    assert response.headers["Content-Location"] == f"http://localhost{url}/_history/2"
    assert updated["gender"] == "male"
    assert updated["meta"]["versionId"] == "2"
    assert client.get(url).data == response.data


def test_update_under_a_new_id_creates_it(client, send, person):
    response = send("PUT", "/fhir/Patient/nguoi-1", person(id="nguoi-1"))
    assert response.status_code == 201
    assert response.headers["ETag"] == 'W/"1"'
    assert response.headers["Location"] == "http://localhost/fhir/Patient/nguoi-1/_history/1"
    assert client.get("/fhir/Patient/nguoi-1").data == response.data


def test_update_with_the_same_content_makes_no_version(send, created):
    response = send("PUT", f"/fhir/Patient/{created['id']}", created)
    assert response.status_code == 200
    assert response.headers["ETag"] == 'W/"1"'
    assert json.loads(response.data) == created


def test_update_after_a_deletion_brings_the_resource_back_as_a_new_version(client, send, created):
    url = f"/fhir/Patient/{created['id']}"
    client.delete(url)
    response = send("PUT", url, created)
    assert response.status_code == 201
    assert response.headers["ETag"] == 'W/"3"'
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("elements", [{}, {"id": "other"}])
def test_the_id_in_the_body_must_be_the_one_in_the_address(send, person, issue, elements):
    response = send("PUT", "/fhir/Patient/nguoi-1", person(**elements))
    assert response.status_code == 400
    assert issue(response)["expression"] == ["Patient.id"]


@pytest.mark.parametrize("logical_id", ["a_b", "x" * 65, "a%20b", "%C4%91"])
def test_an_id_that_is_none_is_refused(send, person, issue, logical_id):
    response = send("PUT", f"/fhir/Patient/{logical_id}", person())
    assert response.status_code == 400
    assert issue(response)["expression"] == ["Patient.id"]


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', "1"])
def test_if_match_with_the_current_version_updates(send, created, tag):
    response = send("PUT", f"/fhir/Patient/{created['id']}", {**created, "gender": "male"}, If_Match=tag)
    assert response.status_code == 200
    assert response.headers["ETag"] == 'W/"2"'


def test_if_match_with_another_version_is_412_and_changes_nothing(client, send, created, issue):
    url = f"/fhir/Patient/{created['id']}"
    response = send("PUT", url, {**created, "gender": "male"}, If_Match='W/"7"')
    assert response.status_code == 412
    assert issue(response)["code"] == "conflict"
    assert json.loads(client.get(url).data) == created


@pytest.mark.parametrize("tag", ["*", "", 'W/"1", W/"2"', "abc", "²", "-1"])
def test_an_if_match_that_names_no_version_is_400(send, created, issue, tag):
    response = send("PUT", f"/fhir/Patient/{created['id']}", created, If_Match=tag)
    assert response.status_code == 400
    assert issue(response)["code"] == "value"


def test_return_minimal_and_operation_outcome(send, created):
    url = f"/fhir/Patient/{created['id']}"
    minimal = send("PUT", url, {**created, "gender": "male"}, Prefer="return=minimal")
    assert (minimal.status_code, minimal.data, minimal.headers["ETag"]) == (200, b"", 'W/"2"')
    told = send("PUT", url, {**created, "gender": "other"}, Prefer="return=OperationOutcome")
    text = json.loads(told.data)["issue"][0]["diagnostics"]
    assert text == f"Patient/{created['id']} was updated to version 3."


def test_conditional_update_creates_then_updates_the_match(send, person):
    first = send("PUT", f"/fhir/Patient?{CRITERIA}", person())
    second = send("PUT", f"/fhir/Patient?{CRITERIA}", person(family="Trần"))
    assert first.status_code == 201
    assert second.status_code == 200
    assert second.headers["ETag"] == 'W/"2"'
    assert json.loads(second.data)["id"] == json.loads(first.data)["id"]
    assert json.loads(second.data)["name"][0]["family"] == "Trần"


def test_conditional_update_with_several_matches_is_412(send, person, issue):
    send("POST", "/fhir/Patient", person())
    send("POST", "/fhir/Patient", person())
    response = send("PUT", f"/fhir/Patient?{CRITERIA}", person())
    assert response.status_code == 412
    issue(response)


def test_an_update_that_names_no_resource_is_400(send, person, issue):
    response = send("PUT", "/fhir/Patient", person())
    assert response.status_code == 400
    assert issue(response)["code"] == "required"


def test_if_none_match_star_creates_and_replaces_nothing(client, send, person, issue):
    first = send("PUT", "/fhir/Patient/nguoi-1", person(id="nguoi-1"), If_None_Match="*")
    second = send("PUT", "/fhir/Patient/nguoi-1", person(id="nguoi-1", gender="male"), If_None_Match="*")
    assert (first.status_code, second.status_code) == (201, 412)
    assert issue(second)["code"] == "conflict"
    assert client.get("/fhir/Patient/nguoi-1").data == first.data
    client.delete("/fhir/Patient/nguoi-1")
    again = send("PUT", "/fhir/Patient/nguoi-1", person(id="nguoi-1"), If_None_Match="*")
    assert (again.status_code, again.headers["ETag"]) == (201, 'W/"3"')


def test_if_none_match_of_an_update_can_be_nothing_else(send, created, issue):
    response = send("PUT", f"/fhir/Patient/{created['id']}", created, If_None_Match='W/"1"')
    assert response.status_code == 400
    assert issue(response)["code"] == "value"


def test_conditional_update_keeps_to_if_match_and_if_none_match(send, person, created):
    url = f"/fhir/Patient?{CRITERIA}"
    assert send("PUT", url, person(gender="male"), If_Match='W/"7"').status_code == 412
    assert send("PUT", url, person(gender="male"), If_None_Match="*").status_code == 412
    assert send("PUT", url, person(gender="male"), If_Match='W/"1"').headers["ETag"] == 'W/"2"'
