"""$meta shows labels, $meta-add and $meta-delete change them, and nothing else of the resource."""

from __future__ import annotations

import threading

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import Forbidden, NotFound
from fhir_server.operations import meta as labels
from tests.rest.operations.conftest import OPEN

A = AccessContext.for_patient("a", "card:1")
PROFILE = "http://hososuckhoe.example.vn/fhir/StructureDefinition/some-profile"


def tag(code, system="http://example.vn/tags", **more):
    return {"system": system, "code": code, **more}


@pytest.fixture
def records(put):
    put(
        "Patient/a", meta={"tag": [tag("roster", display="Danh sách"), tag("pilot")]}, name=[{"text": "Nguyễn Thị Ánh"}]
    )
    put("Patient/b", meta={"tag": [tag("pilot"), tag("pilot", system="http://other.vn")]})
    put("Patient/plain", name=[{"text": "Lê Văn Bình"}])
    put(
        "Observation/o",
        meta={"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]},
        status="final",
        code={"text": "x"},
        subject={"reference": "Patient/b"},
    )


@pytest.fixture
def change(send):
    """change("meta-add", "Patient/a", tag=[...]): the response."""

    def change(name, address, **meta):
        body = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}
        return send("POST", f"/fhir/{address}/${name}", body)

    return change


def returned(answered):
    (parameter,) = answered["parameter"]
    assert parameter["name"] == "return"
    return parameter["valueMeta"]


def test_the_meta_of_a_resource_is_what_a_read_shows(records, get) -> None:
    assert returned(get("Patient/a/$meta")) == get("Patient/a")["meta"]


def test_the_meta_of_a_version_is_what_that_version_had(records, get, change, client, issue) -> None:
    first = get("Patient/a/_history/1")["meta"]
    assert change("meta-add", "Patient/a", tag=[tag("new")]).status_code == 200
    assert returned(get("Patient/a/_history/1/$meta")) == first
    assert returned(get("Patient/a/_history/2/$meta")) == get("Patient/a")["meta"] != first
    assert issue(client.get("/fhir/Patient/a/_history/9/$meta"))["code"] == "not-found"
    client.delete("/fhir/Patient/a")
    assert client.get("/fhir/Patient/a/_history/3/$meta").status_code == 410


def test_a_version_is_read_only_and_has_no_other_operation(records, client, send, issue) -> None:
    assert send("POST", "/fhir/Patient/a/_history/1/$meta", {"resourceType": "Parameters"}).status_code == 405
    refused = issue(client.get("/fhir/Patient/a/_history/1/$everything"))
    assert refused["code"] == "not-supported"
    assert "a version of a Patient; there are: $meta." in refused["diagnostics"]


def test_the_meta_of_a_type_holds_each_label_in_use_once(records, get) -> None:
    assert returned(get("Patient/$meta")) == {
        "tag": [tag("pilot"), tag("roster", display="Danh sách"), tag("pilot", system="http://other.vn")]
    }


def test_the_meta_of_the_system_holds_the_labels_of_all_types(records, get) -> None:
    found = returned(get("$meta"))
    assert [each["code"] for each in found["security"]] == ["R"]
    assert [each["code"] for each in found["tag"]] == ["pilot", "roster", "pilot"]


def test_a_type_without_labels_returns_nothing(records, get) -> None:
    assert get("Encounter/$meta") == {"resourceType": "Parameters"}


def test_labels_are_added_as_a_new_version_that_keeps_everything_else(records, change, get) -> None:
    response = change("meta-add", "Patient/a", tag=[tag("new"), tag("roster", display="Khác")])
    assert returned(response.json)["tag"] == [tag("roster", display="Danh sách"), tag("pilot"), tag("new")]
    stored = get("Patient/a")
    assert (stored["meta"]["versionId"], stored["name"]) == ("2", [{"text": "Nguyễn Thị Ánh"}])
    assert returned(response.json) == stored["meta"]


def test_adding_what_is_there_makes_no_version(records, change, get) -> None:
    assert returned(change("meta-add", "Patient/a", tag=[tag("pilot")]).json)["versionId"] == "1"
    assert get("Patient/a")["meta"]["versionId"] == "1"


def test_labels_are_deleted_by_system_and_code(records, change, get) -> None:
    assert returned(change("meta-delete", "Patient/b", tag=[tag("pilot", display="anything")]).json)["tag"] == [
        tag("pilot", system="http://other.vn")
    ]
    last = change("meta-delete", "Patient/b", tag=[tag("pilot", system="http://other.vn"), tag("never there")])
    assert "tag" not in returned(last.json)
    assert get("Patient/b")["meta"]["versionId"] == "3"


def test_what_changes_labels_is_asked_for_by_post_only(records, client) -> None:
    response = client.get("/fhir/Patient/a/$meta-add")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("meta", "text"),
    [
        ({"versionId": "7"}, "Profiles, tags and security labels can be added and deleted, not 'versionId'."),
        ({}, "The Meta holds no profile, tag or security label."),
        ({"tag": {"code": "x"}}, "Meta.tag must be a list of its kind."),
        ({"profile": [{"code": "x"}]}, "Meta.profile must be a list of its kind."),
    ],
)
def test_what_is_no_label_is_refused(records, change, issue, meta, text) -> None:
    response = change("meta-add", "Patient/a", **meta)
    assert response.status_code == 400
    assert issue(response)["diagnostics"] == text


def test_without_a_meta_nothing_is_changed(records, send, issue) -> None:
    response = send("POST", "/fhir/Patient/a/$meta-add", {"resourceType": "Parameters"})
    assert response.status_code == 400
    assert issue(response)["diagnostics"] == "Send one 'meta', in valueMeta of a Parameters body."


def test_labels_that_many_add_at_once_are_all_there(records, repository) -> None:
    failures = []

    def add(number):
        try:
            labels.add(repository, OPEN, "Patient", "plain", {"tag": [tag(f"t{number}")]})
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = labels.meta_of(repository, OPEN, "Patient", "plain")
    assert sorted(each["code"] for each in found["tag"]) == [f"t{number}" for number in range(8)]
    assert found["versionId"] == "9"


def test_a_bound_caller_sees_the_labels_of_the_own_records_only(records, repository) -> None:
    assert [each["code"] for each in labels.meta_of(repository, A, "Patient", "a")["tag"]] == ["roster", "pilot"]
    with pytest.raises(NotFound):
        labels.meta_of(repository, A, "Patient", "b")
    with pytest.raises(NotFound):
        labels.meta_of(repository, A, "Observation", "o")
    with pytest.raises(Forbidden):
        labels.meta_of_types(repository, A, ["Patient"])
    with pytest.raises(Forbidden):
        repository.codes(A, "Patient", "_tag", 10)


def test_a_bound_caller_changes_no_labels(records, repository) -> None:
    with pytest.raises(Forbidden):
        labels.add(repository, A, "Patient", "a", {"tag": [tag("mine")]})
    with pytest.raises(NotFound):
        labels.delete(repository, A, "Patient", "b", {"tag": [tag("pilot")]})
    assert [each["code"] for each in labels.meta_of(repository, OPEN, "Patient", "b")["tag"]] == ["pilot", "pilot"]


def test_the_codes_in_use_are_read_off_the_index(records, repository, put) -> None:
    for number in range(20):
        put(f"Patient/more{number}", meta={"tag": [tag("pilot"), tag("roster")]})
    assert repository.codes(OPEN, "Patient", "_tag", 10) == ["pilot", "roster"]
    assert repository.codes(OPEN, "Patient", "_tag", 1) == ["pilot"]
