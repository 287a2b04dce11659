"""_summary and _elements over HTTP: https://hl7.org/fhir/R4/search.html#summary"""

import json

import pytest

from fhir_server.resource import xml
from fhir_server.resource.summary import SUBSETTED


@pytest.fixture
def observation(send, created):
    """An Observation of the person the server holds."""
    body = (
        '{"resourceType":"Observation","status":"final","code":{"text":"cân nặng"},'
        f'"subject":{{"reference":"Patient/{created["id"]}"}},'
        '"note":[{"text":"sau bữa ăn"}],"valueQuantity":{"value":1.50,"unit":"kg"}}'
    )
    return json.loads(send("POST", "/fhir/Observation", body).data)


def test_a_read_shows_the_part_that_was_asked_for(client, created):
    url = f"/fhir/Patient/{created['id']}"
    shown = json.loads(client.get(f"{url}?_elements=gender").data)
    assert shown == {
        "resourceType": "Patient",
        "id": created["id"],
        "meta": {**created["meta"], "tag": [SUBSETTED]},
        "gender": "female",
    }
    version = client.get(f"{url}/_history/1?_elements=gender&_pretty=true&_format=xml")
    assert xml.parse(version.data) == shown
    assert version.headers["ETag"] == 'W/"1"'


def test_a_read_of_false_is_the_whole_resource(client, created):
    assert json.loads(client.get(f"/fhir/Patient/{created['id']}?_summary=false").data) == created


def test_a_cut_resource_keeps_its_digits(client, observation):
    response = client.get(f"/fhir/Observation/{observation['id']}?_summary=true")
    assert b'"valueQuantity":{"value":1.50,"unit":"kg"}' in response.data
    assert "note" not in json.loads(response.data)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("_elements=colour", "value"),
        ("_elements=name.family", "value"),
        ("_summary=count", "value"),
        ("_summary=all", "value"),
        ("_summary=true&_elements=name", "invalid"),
    ],
)
def test_a_read_of_what_there_is_not_is_400(client, created, issue, query, code):
    response = client.get(f"/fhir/Patient/{created['id']}?{query}")
    assert response.status_code == 400
    assert issue(response)["code"] == code


LENIENT = {"Prefer": "handling=lenient"}


def test_lenient_handling_ignores_elements_there_are_not(client, created, send):
    url = f"/fhir/Patient/{created['id']}"
    shown = json.loads(client.get(f"{url}?_elements=gender,colour", headers=LENIENT).data)
    assert list(shown) == ["resourceType", "id", "meta", "gender"]
    assert json.loads(client.get(f"{url}?_elements=colour", headers=LENIENT).data) == created
    bundle = json.loads(client.get("/fhir/Patient?_elements=colour,gender", headers=LENIENT).data)
    assert list(bundle["entry"][0]["resource"]) == ["resourceType", "id", "meta", "gender"]
    assert bundle["link"][0]["url"].endswith("/Patient?_elements=gender")  # what was really done
    everything = json.loads(client.get(f"{url}/$everything?_elements=colour,gender", headers=LENIENT).data)
    assert list(everything["entry"][0]["resource"]) == ["resourceType", "id", "meta", "gender"]
    for kind in ("batch", "transaction"):
        entry = {"request": {"method": "GET", "url": f"Patient/{created['id']}?_elements=colour,gender"}}
        answered = send("POST", "/fhir", {"resourceType": "Bundle", "type": kind, "entry": [entry]}, **LENIENT)
        (found,) = json.loads(answered.data)["entry"]
        assert list(found["resource"]) == ["resourceType", "id", "meta", "gender"]


def test_a_search_cuts_matches_and_its_links_ask_for_the_same(client, send, person):
    for number in range(3):
        send("POST", "/fhir/Patient", person(number=f"790000000{number}"))
    url: str | None = "/fhir/Patient?gender=female&_count=2&_elements=identifier"
    seen = 0
    while url:
        bundle = json.loads(client.get(url).data)
        for entry in bundle["entry"]:
            assert list(entry["resource"]) == ["resourceType", "id", "meta", "identifier"]
            assert entry["resource"]["meta"]["tag"] == [SUBSETTED]
            seen += 1
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert "_elements=identifier" in links["self"]
        url = links.get("next")
        assert url is None or "_elements=identifier" in url
    assert seen == 3


def test_elements_are_those_of_the_matches_and_a_summary_is_of_everything(client, created, observation):
    url = "/fhir/Observation?status=final&_include=Observation:subject&"
    elements = json.loads(client.get(url + "_elements=subject").data)["entry"]
    assert list(elements[0]["resource"]) == ["resourceType", "id", "meta", "status", "code", "subject"]
    assert elements[1]["resource"] == created
    data = json.loads(client.get(url + "_summary=data").data)["entry"]
    assert [entry["resource"]["meta"]["tag"] for entry in data] == [[SUBSETTED], [SUBSETTED]]


def test_elements_in_a_compartment_are_those_of_the_type_that_is_searched(client, created, observation):
    url = f"/fhir/Patient/{created['id']}"
    found = json.loads(client.get(f"{url}/Observation?_elements=subject").data)["entry"]
    assert list(found[0]["resource"]) == ["resourceType", "id", "meta", "status", "code", "subject"]
    assert client.get(f"{url}/Observation?_elements=gender").status_code == 400
    assert client.get(f"{url}/*?_elements=gender,subject").status_code == 200


def test_a_summary_by_post_search_and_a_count(client, created):
    bundle = json.loads(client.post("/fhir/Patient/_search", data={"gender": "female", "_summary": "text"}).data)
    assert list(bundle["entry"][0]["resource"]) == ["resourceType", "id", "meta"]
    counted = json.loads(client.get("/fhir/Patient?gender=female&_summary=count").data)
    assert (counted["total"], "entry" in counted) == (1, False)


def test_a_history_cuts_every_version_and_a_deletion_has_none(client, created):
    client.delete(f"/fhir/Patient/{created['id']}")
    for url in (f"/fhir/Patient/{created['id']}/_history", "/fhir/Patient/_history", "/fhir/_history"):
        bundle = json.loads(client.get(f"{url}?_elements=gender").data)
        assert "resource" not in bundle["entry"][0]
        assert bundle["entry"][1]["resource"]["gender"] == "female"
        assert bundle["entry"][1]["resource"]["meta"]["tag"] == [SUBSETTED]
        assert "name" not in bundle["entry"][1]["resource"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_entries_of_a_bundle_are_cut_as_they_ask(send, created, kind):
    requests = [f"Patient/{created['id']}?_elements=gender", "Patient?gender=female&_elements=gender"]
    entries = [{"request": {"method": "GET", "url": url}} for url in requests]
    bundle = json.loads(send("POST", "/fhir", {"resourceType": "Bundle", "type": kind, "entry": entries}).data)
    read, found = (entry["resource"] for entry in bundle["entry"])
    assert list(read) == ["resourceType", "id", "meta", "gender"]
    assert found["entry"][0]["resource"] == read


def test_a_part_is_never_stored_as_the_whole(client, send, created, issue):
    url = f"/fhir/Patient/{created['id']}"
    part = json.loads(client.get(f"{url}?_elements=gender").data)
    response = send("PUT", url, part)
    assert response.status_code == 422
    assert issue(response)["expression"] == ["Patient.meta.tag"]
    entry = {"resource": part, "request": {"method": "PUT", "url": f"Patient/{created['id']}"}}
    response = send("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert response.status_code == 422
    assert json.loads(client.get(url).data) == created
