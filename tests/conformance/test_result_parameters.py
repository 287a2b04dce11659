"""The parameters that shape a result: https://hl7.org/fhir/R4/search.html#return"""

from __future__ import annotations

import json

import pytest


def _bundle(world, search):
    response = world.get(f"/fhir/{search}")
    assert response.status_code == 200, response.text
    return json.loads(response.data)


def _ids(bundle):
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]


def test_count_bounds_a_page_and_zero_asks_for_the_total(world):
    page = _bundle(world, "Observation?_count=3")
    assert len(page["entry"]) == 3
    assert [link["relation"] for link in page["link"]] == ["self", "next"]
    none = _bundle(world, "Observation?_count=0")
    assert (none["total"], none.get("entry")) == (4, None)
    assert _bundle(world, "Observation?_summary=count") == {
        **none,
        "link": _bundle(world, "Observation?_summary=count")["link"],
    }


def test_sort_orders_by_several_keys(world):
    assert _ids(_bundle(world, "Observation?_sort=date")) == ["note", "dao-pressure", "duc-weight", "dao-weight"]
    assert _ids(_bundle(world, "Observation?_sort=status,-value-quantity&value-quantity:missing=false")) == [
        "duc-weight",
        "dao-weight",
    ]
    assert _ids(_bundle(world, "Observation?_sort=status,date")) == ["dao-pressure", "note", "duc-weight", "dao-weight"]
    assert _ids(_bundle(world, "Patient?_sort=-birthdate&birthdate:missing=false")) == ["duc", "dao"]


@pytest.mark.parametrize("asked", ["accurate", "estimate"])
def test_total_is_told_as_asked(world, asked):
    assert _bundle(world, f"Patient?_total={asked}&_count=1")["total"] == 3
    assert "total" not in _bundle(world, "Patient?_total=none&_count=1")


SUMMARIES = {
    "true": {"resourceType", "id", "meta", "identifier", "name", "gender", "birthDate", "managingOrganization"},
    "text": {"resourceType", "id", "meta", "text"},
    "data": {"resourceType", "id", "meta", "identifier", "name", "gender", "birthDate", "managingOrganization"},
    "false": {
        "resourceType",
        "id",
        "meta",
        "text",
        "identifier",
        "name",
        "gender",
        "birthDate",
        "managingOrganization",
    },
}


@pytest.mark.parametrize("asked", SUMMARIES)
def test_each_summary_shows_what_the_specification_says(world, asked):
    (entry,) = _bundle(world, f"Patient?_id=dao&_summary={asked}")["entry"]
    shown = entry["resource"]
    assert set(shown) == SUMMARIES[asked]
    subsetted = [tag["code"] for tag in shown["meta"]["tag"] if tag["code"] == "SUBSETTED"]
    assert subsetted == ([] if asked == "false" else ["SUBSETTED"])
    read = json.loads(world.get(f"/fhir/Patient/dao?_summary={asked}").data)
    assert read == shown


def test_elements_shows_what_is_named_and_what_is_mandatory(world):
    (entry,) = _bundle(world, "Observation?_id=dao-weight&_elements=subject")["entry"]
    assert set(entry["resource"]) == {"resourceType", "id", "meta", "status", "code", "subject"}
    assert {"code": "SUBSETTED"}.items() <= entry["resource"]["meta"]["tag"][0].items()


def test_format_chooses_the_format(world):
    response = world.get("/fhir/Patient?_id=dao&_format=xml", headers={"Accept": "application/fhir+json"})
    assert response.content_type == "application/fhir+xml; charset=utf-8"
    assert response.data.startswith(b"<?xml") or response.data.startswith(b"<Bundle")
    assert b'<family value="Nguy\xe1\xbb\x85n"/>' in response.data


def test_pretty_indents(world):
    plain = world.get("/fhir/Patient?_id=dao&_pretty=false").data
    pretty = world.get("/fhir/Patient?_id=dao&_pretty=true").data
    assert b"\n" not in plain
    assert pretty.startswith(b'{\n  "resourceType": "Bundle"')
    assert json.loads(pretty)["entry"] == json.loads(plain)["entry"]
