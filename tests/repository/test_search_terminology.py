"""Searches that ask what codes mean: :in, :not-in, :above, :below with the code systems and value sets that are stored."""

from __future__ import annotations

import pytest

from fhir_server import expansions
from fhir_server.errors import FhirError, NotFound
from fhir_server.repository import Repository
from fhir_server.store.records import Store
from tests.repository.people import OPEN, every_match

CODES = "http://example.vn/fhir/CodeSystem/illness"
CHRONIC = "http://example.vn/fhir/ValueSet/chronic"


@pytest.fixture
def held(repository):
    resources = [
        {"resourceType": "CodeSystem", "id": "illness", "url": CODES, "status": "active", "content": "complete", "hierarchyMeaning": "is-a",
         "concept": [{"code": "heart", "concept": [{"code": "pressure", "concept": [{"code": "crisis"}]}, {"code": "rhythm"}]}, {"code": "cold"}]},
        {"resourceType": "ValueSet", "id": "chronic", "url": CHRONIC, "status": "active",
         "compose": {"include": [{"system": CODES, "concept": [{"code": "pressure"}, {"code": "rhythm"}]}]}},
    ]  # fmt: skip
    for code in ("heart", "pressure", "crisis", "rhythm", "cold"):
        coding = {"system": CODES, "code": code}
        resources.append(
            {
                "resourceType": "Condition",
                "id": code,
                "code": {"coding": [coding]},
                "subject": {"reference": "Patient/a"},
            }
        )
    other = {"coding": [{"system": "http://other", "code": "pressure"}]}
    resources.append(
        {"resourceType": "Condition", "id": "elsewhere", "code": other, "subject": {"reference": "Patient/a"}}
    )
    for resource in resources:
        repository.update(OPEN, resource["resourceType"], resource["id"], resource)
    return repository


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (("code:in", CHRONIC), "pressure rhythm"),
        (("code:not-in", CHRONIC), "cold crisis elsewhere heart"),
        (("code:below", f"{CODES}|heart"), "crisis heart pressure rhythm"),
        (("code:below", f"{CODES}|crisis"), "crisis"),
        (("code:above", f"{CODES}|crisis"), "crisis heart pressure"),
        (("code:in", "http://hl7.org/fhir/ValueSet/administrative-gender"), ""),
    ],
)
def test_codes_are_found_by_what_they_mean(held, query, expected):
    assert sorted(every_match(held, "Condition", [query, ("_count", "2")])) == expected.split()


@pytest.mark.parametrize(
    "query",
    [
        ("code:in", "http://example.vn/fhir/ValueSet/unknown"),
        ("code:below", "http://unknown|x"),
        ("code:below", "heart"),
    ],
)
def test_an_unknown_meaning_is_refused_and_not_taken_for_no_matches(held, query):
    with pytest.raises(FhirError):
        held.search(OPEN, "Condition", [query])


# ---- what codes mean is kept, and never longer than it is so ----------------------------------------------------------


def chronic(*codes, **elements):
    include = [{"system": CODES, "concept": [{"code": each} for each in codes]}]
    return {
        "resourceType": "ValueSet",
        "id": "chronic",
        "url": CHRONIC,
        "status": "active",
        "compose": {"include": include},
    } | elements


def found(repository, name="code:in", value=CHRONIC):
    return sorted(every_match(repository, "Condition", [(name, value)]))


@pytest.fixture
def other(held, mongod_uri):
    """Another worker on the same database."""
    store = Store.open(mongod_uri, database=held.store.database_name)
    yield Repository(store)
    store.close()


def test_a_value_set_written_by_another_worker_counts_at_once(held, other):
    assert found(held) == found(other) == ["pressure", "rhythm"]
    other.update(OPEN, "ValueSet", "chronic", chronic("cold"))
    assert found(held) == ["cold"]
    other.delete(OPEN, "ValueSet", "chronic")
    with pytest.raises(NotFound):
        held.search(OPEN, "Condition", [("code:in", CHRONIC)])
    other.update(OPEN, "ValueSet", "chronic", chronic("crisis"))
    assert found(held) == ["crisis"]


def test_a_code_system_or_a_value_set_inside_counts_at_once_too(held, other):
    by_filter = {"system": CODES, "filter": [{"property": "concept", "op": "is-a", "value": "heart"}]}
    outer = "http://example.vn/fhir/ValueSet/outer"
    inner = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [by_filter]}}
    held.update(OPEN, "ValueSet", "inner", {**inner, "id": "inner", "url": outer + "-inner"})
    importing = {"include": [{"valueSet": [outer + "-inner"]}]}
    held.update(OPEN, "ValueSet", "outer", {**inner, "id": "outer", "url": outer, "compose": importing})
    assert found(held, "code:in", outer) == found(held, "code:in", "ValueSet/outer")
    assert found(held, "code:in", outer) == ["crisis", "heart", "pressure", "rhythm"]
    assert found(held, "code:below", f"{CODES}|heart") == ["crisis", "heart", "pressure", "rhythm"]
    system = {"resourceType": "CodeSystem", "id": "illness", "url": CODES, "status": "active", "content": "complete"}
    other.update(
        OPEN, "CodeSystem", "illness", {**system, "concept": [{"code": "heart", "concept": [{"code": "cold"}]}]}
    )
    assert found(held, "code:in", outer) == found(held, "code:below", f"{CODES}|heart") == ["cold", "heart"]
    assert found(held, "code:in", "ValueSet/outer") == found(held, "code:above", f"{CODES}|cold") == ["cold", "heart"]
    other.update(OPEN, "ValueSet", "inner", {**inner, "id": "inner", "url": outer + "-inner",
                                             "compose": {"include": [{"system": CODES, "concept": [{"code": "rhythm"}]}]}})  # fmt: skip
    assert found(held, "code:in", outer) == found(held, "code:in", "ValueSet/outer") == ["rhythm"]


def test_a_search_again_reads_versions_and_no_definition(held):
    found(held)
    held.store.database.command("profile", 2)
    assert found(held) == ["pressure", "rhythm"]
    held.store.database.command("profile", 0)
    ran = list(held.store.database["system.profile"].find({"command.find": {"$in": ["ValueSet", "CodeSystem"]}}))
    assert sorted(each["command"]["find"] for each in ran) == ["CodeSystem", "ValueSet"]
    assert all(set(each["command"]["projection"]) == {"_id", "v", "x"} for each in ran)
    assert all((each["nreturned"], "COLLSCAN" in each["planSummary"]) == (1, False) for each in ran)


def test_what_is_kept_is_bounded(held, monkeypatch):
    monkeypatch.setattr(expansions, "KEPT_CODES", 6)
    kept = held._searching.terminology
    for code in ("heart", "pressure", "crisis", "rhythm", "cold"):
        assert code in found(held, "code:below", f"{CODES}|{code}")
        assert kept._codes <= 6
    assert 1 <= len(kept._kept) <= 3
