"""delete and conditional delete: https://hl7.org/fhir/R4/http.html#delete"""

import json

import pytest

CRITERIA = "identifier=http://hososuckhoe.example.vn/fhir/sid/bhxh-number%7C7900000123"


def test_delete_answers_204_and_the_resource_is_gone(client, created):
    url = f"/fhir/Patient/{created['id']}"
    response = client.delete(url)
    assert response.status_code == 204
    assert response.data == b""
    assert response.headers["ETag"] == 'W/"2"'
    assert "Content-Type" not in response.headers
    assert "Content-Length" not in response.headers
    assert client.get(url).status_code == 410
    assert "entry" not in json.loads(client.get(f"/fhir/Patient?{CRITERIA}").data)


def test_deleting_twice_or_what_never_was_is_204_without_a_new_version(client, created):
    url = f"/fhir/Patient/{created['id']}"
    client.delete(url)
    again = client.delete(url)
    assert again.status_code == 204
    assert client.delete("/fhir/Patient/nobody").status_code == 204
    versions = json.loads(client.get(f"{url}/_history").data)["entry"]
    assert [entry["response"]["etag"] for entry in versions] == ['W/"2"', 'W/"1"']


def test_if_match_with_another_version_is_412_and_deletes_nothing(client, created, issue):
    url = f"/fhir/Patient/{created['id']}"
    response = client.delete(url, headers={"If-Match": 'W/"7"'})
    assert response.status_code == 412
    assert issue(response)["code"] == "conflict"
    assert client.get(url).status_code == 200
    assert client.delete(url, headers={"If-Match": 'W/"1"'}).status_code == 204


def test_return_operation_outcome_tells_what_happened(client, created):
    url = f"/fhir/Patient/{created['id']}"
    prefer = {"Prefer": "return=OperationOutcome"}
    first, second = client.delete(url, headers=prefer), client.delete("/fhir/Patient/nobody", headers=prefer)
    assert (first.status_code, second.status_code) == (200, 200)
    text = json.loads(first.data)["issue"][0]["diagnostics"]
    assert text == f"Patient/{created['id']} was deleted as version 2."
    assert json.loads(second.data)["issue"][0]["diagnostics"] == "There was nothing to delete."


def test_conditional_delete_deletes_the_one_match(client, send, person, created):
    other = json.loads(send("POST", "/fhir/Patient", person(number="7900000999")).data)
    assert client.delete(f"/fhir/Patient?{CRITERIA}").status_code == 204
    assert client.get(f"/fhir/Patient/{created['id']}").status_code == 410
    assert client.get(f"/fhir/Patient/{other['id']}").status_code == 200


def test_conditional_delete_without_a_match_is_204(client):
    assert client.delete(f"/fhir/Patient?{CRITERIA}").status_code == 204


@pytest.mark.parametrize("more", ["", "&_sort=_id", "&_count=3"])
def test_conditional_delete_deletes_every_match_and_nothing_else(client, send, person, more):
    other = json.loads(send("POST", "/fhir/Patient", person(number="7900000999")).data)
    made = [json.loads(send("POST", "/fhir/Patient", person()).data)["id"] for _ in range(3)]
    response = client.delete(f"/fhir/Patient?{CRITERIA}{more}", headers={"Prefer": "return=OperationOutcome"})
    assert response.status_code == 200
    assert json.loads(response.data)["issue"][0]["diagnostics"] == "3 Patient resources were deleted."
    assert [client.get(f"/fhir/Patient/{each}").status_code for each in made] == [410] * 3
    assert client.get(f"/fhir/Patient/{other['id']}").status_code == 200
    assert "entry" not in json.loads(client.get(f"/fhir/Patient?{CRITERIA}").data)


def test_conditional_delete_of_several_answers_204_without_an_etag(client, send, person):
    send("POST", "/fhir/Patient", person())
    send("POST", "/fhir/Patient", person())
    response = client.delete(f"/fhir/Patient?{CRITERIA}")
    assert (response.status_code, response.data, response.headers.get("ETag")) == (204, b"", None)


def test_count_bounds_what_a_conditional_delete_may_delete(client, send, person, issue):
    send("POST", "/fhir/Patient", person())
    send("POST", "/fhir/Patient", person())
    response = client.delete(f"/fhir/Patient?{CRITERIA}&_count=1")
    assert response.status_code == 412
    assert issue(response)["code"] == "multiple-matches"
    assert len(json.loads(client.get(f"/fhir/Patient?{CRITERIA}").data)["entry"]) == 2


@pytest.mark.parametrize("count", ["0", "-1", "x", "²"])
def test_a_count_that_is_none_deletes_nothing(client, created, count):
    assert client.delete(f"/fhir/Patient?{CRITERIA}&_count={count}").status_code == 400
    assert client.get(f"/fhir/Patient/{created['id']}").status_code == 200


def test_if_match_of_a_conditional_delete_is_for_one_match(client, send, person, created):
    assert client.delete(f"/fhir/Patient?{CRITERIA}", headers={"If-Match": 'W/"7"'}).status_code == 412
    send("POST", "/fhir/Patient", person())
    assert client.delete(f"/fhir/Patient?{CRITERIA}", headers={"If-Match": 'W/"1"'}).status_code == 412
    assert len(json.loads(client.get(f"/fhir/Patient?{CRITERIA}").data)["entry"]) == 2


@pytest.mark.parametrize("query", ["", "?_count=1", "?_sort=_id", "?_format=json", "?_nothing=1"])
def test_a_delete_that_selects_nothing_is_400_even_with_one_resource_there(client, created, query):
    response = client.delete(f"/fhir/Patient{query}")
    assert response.status_code == 400
    assert client.get(f"/fhir/Patient/{created['id']}").status_code == 200
