"""What a search costs MongoDB: no collection is scanned, and a page looks at about as many keys as it has rows.

Counted by MongoDB's own profiler while the repository runs the search.
"""

from __future__ import annotations

import uuid

import pytest

from fhir_server.repository import Repository
from fhir_server.store.records import Store
from tests.repository.people import LOINC, OPEN, UCUM, bundle, every_match

PATIENTS, OBSERVATIONS, BATCH, PAGE = 2000, 6000, 500, 50
CARD = "http://fhir.ehealth.gov.vn/core/sid/insurance_number"


def patient(number):
    family = "Nguyễn" if number % 3 else "Trần"
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "meta": {"tag": [{"system": "http://t", "code": "seed"}], "profile": ["http://p"], "source": "http://src"}
        | {"security": [{"system": "http://s", "code": "R"}]},
        "identifier": [{"system": CARD, "value": f"GD47900{number:08d}"}],
        "name": [{"text": f"{family} Văn {number}", "family": family, "given": ["Văn", str(number)]}],
        "gender": "male" if number % 2 else "female",
        "birthDate": f"{1940 + number % 80}-{1 + number % 12:02d}-{1 + number % 28:02d}" if number % 10 else "1950",
    }


def observation(number):
    day, hour = 1 + number % 28, number % 24
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "29463-7" if number % 5 else "8302-2"}]},
        "subject": {"reference": f"Patient/p{number % 100}"},
        "effectiveDateTime": f"{2000 + number // 240}-{1 + number % 12:02d}-{day:02d}T{hour:02d}:00:00+07:00",
        "valueQuantity": {"value": 40 + number % 400, "unit": "kg", "system": UCUM, "code": "kg"},
    }


def risk(number):
    return {
        "resourceType": "RiskAssessment",
        "status": "final",
        "subject": {"reference": f"Patient/p{number}"},
        "prediction": [{"probabilityDecimal": number / 400}],
        "instantiatesUri": [],
    }


def value_set(number):
    return {"resourceType": "ValueSet", "status": "active", "url": f"http://example.vn/ValueSet/{number}"}


@pytest.fixture(scope="module")
def crowd(mongod_uri):
    store = Store.open(mongod_uri, database=f"test_{uuid.uuid4().hex}")
    repository = Repository(store)
    for make, amount in ((patient, PATIENTS), (observation, OBSERVATIONS), (risk, 400), (value_set, 400)):
        for start in range(0, amount, BATCH):
            made = [make(number) for number in range(start, min(start + BATCH, amount))]
            for each in made:
                each.pop("instantiatesUri", None)
            entries = bundle(made)
            for entry in entries["entry"]:
                if "id" in entry["resource"]:
                    url = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
                    entry["request"] = {"method": "PUT", "url": url}
            repository.transaction(OPEN, entries)
    yield repository
    store.client.drop_database(store.database_name)
    store.close()


def cost(repository, resource_type, pairs):
    """(rows returned, keys examined, documents examined, what the plans read) of one page, all its queries together."""
    database = repository.store.database
    database.command("profile", 0)
    database.drop_collection("system.profile")
    database.command("profile", 2)
    page = repository.search(OPEN, resource_type, pairs)
    database.command("profile", 0)
    seen = list(database["system.profile"].find({"ns": f"{database.name}.{resource_type}"}))
    assert seen
    return (
        len(page.entries),
        sum(each.get("keysExamined", 0) for each in seen),
        sum(each.get("docsExamined", 0) for each in seen),
        " ".join(each["planSummary"] for each in seen),
    )


KINDS = [
    ("id", "Patient", [("_id", "p7")], 1),
    ("several ids", "Patient", [("_id", "p7,p8,p9")], 3),
    ("token with system", "Patient", [("identifier", f"{CARD}|GD4790000000017")], 1),
    ("token without system", "Patient", [("identifier", "GD4790000000017")], 1),
    ("system of a token", "Patient", [("identifier", f"{CARD}|")], PAGE),
    ("common token", "Patient", [("gender", "female")], PAGE),
    ("tokens, any of", "Patient", [("gender", "female,male")], PAGE),
    ("common string", "Patient", [("name", "nguyen")], PAGE),
    ("string without diacritics, from a later word", "Patient", [("name", "van 17")], PAGE),
    ("part of a name", "Patient", [("family", "tran")], PAGE),
    ("exact string", "Patient", [("family:exact", "Trần")], PAGE),
    ("strings, any of", "Patient", [("family", "tran,nguyen")], PAGE),
    ("year of birth", "Patient", [("birthdate", "1985")], 25),
    ("born from", "Patient", [("birthdate", "ge1990-01-01")], PAGE),
    ("born within", "Patient", [("birthdate", "ge1991-01-01"), ("birthdate", "lt1992-01-01")], 25),
    ("last updated", "Patient", [("_lastUpdated", "gt2020-01-01")], PAGE),
    ("tag", "Patient", [("_tag", "http://t|seed")], PAGE),
    ("profile", "Patient", [("_profile", "http://p")], PAGE),
    ("security label", "Patient", [("_security", "R")], PAGE),
    ("source", "Patient", [("_source", "http://src")], PAGE),
    ("by name", "Patient", [("_sort", "name")], PAGE),
    ("by last update", "Patient", [("_sort", "-_lastUpdated")], PAGE),
    ("all", "Patient", [], PAGE),
    ("reference", "Observation", [("patient", "p7")], PAGE),
    ("newest of a patient", "Observation", [("patient", "p7"), ("_sort", "-date")], PAGE),
    ("newest of a code", "Observation", [("code", f"{LOINC}|29463-7"), ("_sort", "-date")], PAGE),
    ("code and date", "Observation", [("code", "29463-7"), ("date", "2010")], PAGE),
    ("dates within a month", "Observation", [("date", "ge2010-02-01"), ("date", "lt2010-03-01")], 20),
    ("date", "Observation", [("date", "2010-02")], 20),
    ("newest", "Observation", [("_sort", "-date")], PAGE),
    ("quantity", "Observation", [("value-quantity", f"gt430|{UCUM}|kg")], PAGE),
    ("exact quantity", "Observation", [("value-quantity", f"55|{UCUM}|kg")], 15),
    ("number", "RiskAssessment", [("probability", "gt0.9")], 39),
    ("uri", "ValueSet", [("url", "http://example.vn/ValueSet/17")], 1),
]


@pytest.mark.parametrize(
    ("pairs", "resource_type", "expected"), [(k[2], k[1], k[3]) for k in KINDS], ids=[k[0] for k in KINDS]
)
def test_a_page_examines_about_as_many_keys_as_it_has_rows(crowd, pairs, resource_type, expected):
    rows, keys, documents, plans = cost(crowd, resource_type, [*pairs, ("_count", str(PAGE))])
    assert rows == expected
    assert "COLLSCAN" not in plans
    assert keys <= 2 * rows + 50, plans
    assert documents <= 2 * rows + 50, plans


@pytest.mark.parametrize(
    "pairs", [[("name", "nguyen")], [("gender", "female")], [("birthdate", "ge1950")], [("_sort", "name")]]
)
def test_a_later_page_costs_what_the_first_does(crowd, pairs):
    page = crowd.search(OPEN, "Patient", [*pairs, ("_count", "50")])
    for _ in range(12):
        page = crowd.search(OPEN, "Patient", page.next)
    rows, keys, _, plans = cost(crowd, "Patient", page.next)
    assert rows == 50
    assert keys <= 2 * rows + 50, plans


def test_a_name_a_third_bears_is_paged_completely(crowd):
    found = every_match(crowd, "Patient", [("name", "tran"), ("_count", "100")])
    assert len(found) == len(set(found)) == len([n for n in range(PATIENTS) if n % 3 == 0])
