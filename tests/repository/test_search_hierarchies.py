"""`:above` and `:below` on references: places in places, organizations in organizations, versions of definitions.

https://hl7.org/fhir/R4/search.html#recursive
"""

from __future__ import annotations

import pytest

from fhir_server import hierarchies
from fhir_server.access.context import AccessContext
from fhir_server.errors import BadRequest, Unprocessable
from tests.repository.people import OPEN, every_match

PLAN = "http://example.vn/fhir/PlanDefinition/checkup"
# province -> district -> ward -> room, and a house beside the district; two that are each part of the other.
PARENTS = {"district": "province", "ward": "district", "room": "ward", "house": "province", "one": "two", "two": "one"}


def part(type, id, parent, **elements):
    held = {"partOf": {"reference": f"{type}/{parent}"}} if parent else {}
    return {"resourceType": type, "id": id, "status": "active", **held, **elements}


@pytest.fixture
def held(repository):
    resources = [part("Location", id, PARENTS.get(id)) for id in ("province", *PARENTS)]
    resources += [
        {
            "resourceType": "Procedure",
            "id": f"in-{id}",
            "status": "completed",
            "subject": {"reference": "Patient/a"},
            "location": {"reference": f"Location/{id}"},
        }
        for id in ("province", "ward", "house", "two")
    ]
    resources += [
        {"resourceType": "Organization", "id": "ministry", "name": "Bộ"},
        {
            "resourceType": "Organization",
            "id": "clinic",
            "name": "Trạm",
            "partOf": {"reference": "Organization/ministry"},
        },
        {
            "resourceType": "Organization",
            "id": "branch",
            "name": "Chi nhánh",
            "partOf": {"reference": "http://other.example.vn/fhir/Organization/9"},
        },
        {
            "resourceType": "Patient",
            "id": "a",
            "name": [{"text": "Nguyễn Thị Mẫu"}],
            "managingOrganization": {"reference": "Organization/clinic"},
        },
        {"resourceType": "Patient", "id": "b", "managingOrganization": {"reference": "Organization/branch"}},
    ]
    for id, version in (("any", ""), ("one", "|1"), ("one-two", "|1.2"), ("ten", "|10"), ("deep", "|1.2.3")):
        resources.append(
            {
                "resourceType": "CarePlan",
                "id": id,
                "status": "active",
                "intent": "plan",
                "subject": {"reference": "Patient/a"},
                "instantiatesCanonical": [PLAN + version],
            }
        )
    for resource in resources:
        repository.update(OPEN, resource["resourceType"], resource["id"], resource)
    return repository


CASES = [
    ("Procedure", "location:below", "Location/district", "in-ward"),
    ("Procedure", "location:below", "province", "in-house in-province in-ward"),
    ("Procedure", "location:above", "room", "in-province in-ward"),
    ("Procedure", "location:below", "ward,house", "in-house in-ward"),
    ("Procedure", "location:below", "http://127.0.0.1:8080/fhir/Location/district", "in-ward"),
    ("Procedure", "location:below", "nowhere", ""),
    ("Procedure", "location:below", "one", "in-two"),
    ("Procedure", "location:above", "one", "in-two"),
    ("Location", "partof:below", "province", "district house room ward"),
    ("Location", "partof:below", "Location/ward", "room"),
    ("Location", "partof:above", "ward", "district house room ward"),
    ("Organization", "partof:below", "Organization/ministry", "clinic"),
    ("Patient", "organization:below", "ministry", "a"),
    ("Patient", "organization:below", "http://other.example.vn/fhir/Organization/9", "b"),
    # in chains, in _has and in _filter
    ("Procedure", "subject:Patient.organization:below", "ministry", "in-house in-province in-two in-ward"),
    ("Procedure", "location.partof:below", "district", "in-ward"),
    ("Patient", "_has:Procedure:patient:location:below", "district", "a"),
    ("Procedure", "_filter", 'location sb "Location/district" or location sb "house"', "in-house in-ward"),
    ("Procedure", "_filter", 'location ss "Location/district"', "in-province"),
    # versions of what is referenced by its canonical URL
    ("CarePlan", "instantiates-canonical", PLAN, "any deep one one-two ten"),
    ("CarePlan", "instantiates-canonical", f"{PLAN}|1", "one"),
    ("CarePlan", "instantiates-canonical:below", PLAN, "any deep one one-two ten"),
    ("CarePlan", "instantiates-canonical:below", f"{PLAN}|1", "deep one one-two"),
    ("CarePlan", "instantiates-canonical:below", f"{PLAN}|1.2", "deep one-two"),
    ("CarePlan", "instantiates-canonical:above", f"{PLAN}|1.2", "any one one-two"),
    ("CarePlan", "instantiates-canonical:above", f"{PLAN}|10", "any ten"),
]


@pytest.mark.parametrize(("type", "name", "value", "expected"), CASES, ids=[f"{c[0]}?{c[1]}={c[2]}" for c in CASES])
def test_what_stands_above_and_below_is_found(held, type, name, value, expected):
    assert sorted(every_match(held, type, [(name, value), ("_count", "1")])) == expected.split()
    assert held.search(OPEN, type, [(name, value), ("_summary", "count")]).total == len(expected.split())


@pytest.mark.parametrize("modifier", ["above", "below"])
def test_what_forms_no_hierarchy_is_refused_unless_handling_is_lenient(held, modifier):
    with pytest.raises(BadRequest, match="forms no hierarchy"):
        held.search(OPEN, "Procedure", [(f"subject:{modifier}", "Patient/a")])
    page = held.search(OPEN, "Procedure", [(f"subject:{modifier}", "Patient/a")], lenient=True)
    assert len(page.entries) == 4
    assert "no hierarchy" in page.issues[0].diagnostics


@pytest.mark.parametrize(("bound", "value", "what"), [("MAX_RELATED", 3, "3 records"), ("MAX_LEVELS", 2, "2 levels")])
def test_a_hierarchy_that_is_too_large_is_refused_and_not_cut(held, monkeypatch, bound, value, what):
    monkeypatch.setattr(hierarchies, bound, value)
    with pytest.raises(Unprocessable, match=f"More than {what} stand below Location/province") as refused:
        held.search(OPEN, "Procedure", [("location:below", "province")])
    assert refused.value.issues[0].code == "too-costly"
    assert every_match(held, "Procedure", [("location:below", "ward")]) == ["in-ward"]


def test_a_patient_bound_caller_learns_nothing_of_a_hierarchy(held):
    ctx = AccessContext.for_patient("a", "card:1")
    assert every_match(held, "Procedure", [("location:below", "ward")], ctx) == ["in-ward"]
    assert every_match(held, "Procedure", [("location:below", "district")], ctx) == []  # places are not theirs


def test_a_hierarchy_costs_a_query_a_level_through_the_index(held):
    held.store.database.command("profile", 2)
    held.search(OPEN, "Procedure", [("location:below", "province"), ("_total", "accurate"), ("_count", "1")])
    held.store.database.command("profile", 0)
    ran = list(held.store.database["system.profile"].find({"command.find": "Location"}))
    assert len(ran) == 4  # two, one and one below it, and none below these: asked once for page and total
    assert all("COLLSCAN" not in each["planSummary"] for each in ran)
    assert sum(each["keysExamined"] for each in ran) <= 4 + 2 * len(ran) + 4


def test_a_definition_is_found_by_url_and_version_together(repository):
    for id, version in (("v1", "1"), ("v2", "2")):
        value_set = {"resourceType": "ValueSet", "url": "http://example.vn/fhir/ValueSet/x", "version": version}
        repository.update(OPEN, "ValueSet", id, {**value_set, "id": id, "status": "active"})
    assert every_match(repository, "ValueSet", [("url", "http://example.vn/fhir/ValueSet/x|2")]) == ["v2"]
    assert every_match(repository, "ValueSet", [("url", "http://example.vn/fhir/ValueSet/x|3")]) == []
    assert sorted(every_match(repository, "ValueSet", [("url", "http://example.vn/fhir/ValueSet/x")])) == ["v1", "v2"]
