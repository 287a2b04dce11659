"""Searches that ask what codes mean: :in, :not-in, :above, :below with the code systems and value sets that are stored."""

from __future__ import annotations

import pytest

from fhir_server.errors import FhirError
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
