"""Patient/$merge and $unmerge over HTTP."""

from __future__ import annotations

import pytest

from tests.rest.operations.conftest import addresses, coded


@pytest.fixture
def people(put, observe):
    for id in ("a", "b"):
        put(f"Patient/{id}", active=True, identifier=[{"system": "http://example.test/number", "value": id}])
        observe(f"of-{id}", id, "718-7", 13, "2026-01-02", category=[coded("observation-category", "laboratory")])


@pytest.fixture
def ask(send):
    """ask("merge", source="b", target="a"): the response; other parameters as they are."""

    def ask(operation, *others, **people):
        several = [
            {"name": f"{role}-patient", "valueReference": {"reference": f"Patient/{id}"}} for role, id in people.items()
        ]
        body = {"resourceType": "Parameters", "parameter": [*several, *others]}
        return send("POST", f"/fhir/Patient/${operation}", body)

    return ask


def result(response):
    assert response.status_code == 200, response.text
    return next(each["resource"] for each in response.json["parameter"] if each["name"] == "result")


def test_the_records_of_the_merged_one_are_found_by_the_other(people, ask, get) -> None:
    assert result(ask("merge", source="b", target="a"))["link"] == [
        {"other": {"reference": "Patient/b"}, "type": "replaces"}
    ]
    both = ["Observation/of-a", "Observation/of-b"]
    for address in ("Observation?patient=a", "Patient/a/Observation", "Observation?patient.identifier=b"):
        assert sorted(addresses(get(address))) == both
    everything = addresses(get("Patient/a/$everything"))
    assert [each for each in everything if not each.startswith("Provenance/")] == ["Patient/a", *both]
    assert len(everything) == 4
    held = [entry["resource"] for entry in get("Patient/a/$summary")["entry"]]
    assert sorted(each["id"] for each in held if each["resourceType"] == "Observation") == ["of-a", "of-b"]
    assert sorted(addresses(get("Observation/$lastn?patient=Patient/a&max=5"))) == both


def test_an_un_merged_patient_stands_for_itself_again(people, ask, get) -> None:
    before = get("Patient/b")
    ask("merge", source="b", target="a")
    assert "link" not in result(ask("unmerge", source="b"))
    assert addresses(get("Observation?patient=a")) == ["Observation/of-a"]
    after = get("Patient/b")
    assert (after.pop("meta")["versionId"], before.pop("meta")["versionId"]) == ("3", "1")
    assert after == before


def test_a_preview_shows_the_result_and_writes_nothing(people, ask, get) -> None:
    shown = result(ask("merge", {"name": "preview", "valueBoolean": True}, source="b", target="a"))
    assert [each["value"] for each in shown["identifier"]] == ["a", "b"]
    assert addresses(get("Observation?patient=a")) == ["Observation/of-a"]
    assert get("Patient/a")["meta"]["versionId"] == "1"


def test_a_merge_is_asked_for_by_post_and_names_two_patients_of_this_server(people, ask, client) -> None:
    assert client.get("/fhir/Patient/$merge").status_code == 405
    assert ask("merge", source="b").status_code == 400
    other = {"name": "source-patient", "valueReference": {"reference": "http://elsewhere.test/fhir/Patient/b"}}
    assert ask("merge", other, target="a").status_code == 400
    assert ask("merge", source="nobody", target="a").status_code == 404
    assert ask("unmerge", source="b").status_code == 409


def test_the_result_that_is_given_is_what_the_target_becomes(people, ask) -> None:
    wanted = {"resourceType": "Patient", "id": "a", "gender": "female"}
    made = result(ask("merge", {"name": "result-patient", "resource": wanted}, source="b", target="a"))
    assert (made["gender"], [each["value"] for each in made["identifier"]]) == ("female", ["a", "b"])
    other = {"name": "result-patient", "resource": {**wanted, "id": "c"}}
    assert ask("merge", other, source="b", target="a").status_code == 400
