"""Searches that are not about one type: the whole system, and somebody's compartment."""

from __future__ import annotations

import pytest


@pytest.fixture
def held(client):
    for type, logical_id, more in (
        ("Patient", "a", {}),
        ("Patient", "b", {}),
        ("Observation", "o1", {"status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/a"}}),
        ("Observation", "o2", {"status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/b"}}),
    ):
        answer = client.put(f"/fhir/{type}/{logical_id}", json={"resourceType": type, "id": logical_id, **more},
                            content_type="application/fhir+json")  # fmt: skip
        assert answer.status_code == 201
    return client


def found(answer):
    assert answer.status_code == 200, answer.text
    return [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in answer.json.get("entry", [])]


def link(answer, relation):
    return next((each["url"] for each in answer.json["link"] if each["relation"] == relation), None)


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_whole_system_is_searched_by_type(held, method):
    if method == "get":
        answer = held.get("/fhir?_type=Observation,Patient&_lastUpdated=gt2020")
    else:
        answer = held.post("/fhir/_search", data={"_type": "Observation,Patient", "_lastUpdated": "gt2020"})
    assert found(answer) == ["Observation/o1", "Observation/o2", "Patient/a", "Patient/b"]


def test_pages_over_several_types_follow_each_other(held):
    seen, url = [], "/fhir?_type=Observation,Patient&_count=3"
    while url:
        answer = held.get(url.removeprefix("http://localhost"))
        seen += found(answer)
        url = link(answer, "next")
    assert seen == ["Observation/o1", "Observation/o2", "Patient/a", "Patient/b"]


def test_a_compartment_is_searched_by_type_and_as_a_whole(held):
    assert found(held.get("/fhir/Patient/a/Observation")) == ["Observation/o1"]
    assert found(held.get("/fhir/Patient/a/Observation?status=amended")) == []
    assert found(held.post("/fhir/Patient/b/Observation/_search", data={"status": "final"})) == ["Observation/o2"]
    assert found(held.get("/fhir/Patient/a/*")) == ["Observation/o1", "Patient/a"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/fhir/Organization/a/Observation", 404),
        ("/fhir/Patient/a/Organization", 400),
        ("/fhir?_type=Person,Nobody", 400),
    ],
)
def test_what_is_no_compartment_or_type_is_refused(held, path, status):
    answer = held.get(path)
    assert answer.status_code == status
    assert answer.json["resourceType"] == "OperationOutcome"


def test_a_page_links_back_to_the_one_before(held):
    first = held.get("/fhir/Patient?_sort=_id&_count=1")
    second = held.get(link(first, "next").removeprefix("http://localhost"))
    assert found(second) == ["Patient/b"]
    assert found(held.get(link(second, "previous").removeprefix("http://localhost"))) == ["Patient/a"]
    assert link(first, "previous") is None
