"""What operations cost the database: every search on an index, and about as much read as is needed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fhir_server.operations import meta
from fhir_server.operations.everything import Wanted, everything
from fhir_server.operations.lastn import lastn
from fhir_server.operations.match import match
from fhir_server.operations.stats import stats
from fhir_server.operations.summary import summary
from fhir_server.store.connection import connect
from mappings.systems import CCCD
from tests.repository.people import OPEN, bundle

BASE = "http://127.0.0.1:8080/fhir"
MANY = 600


def person(number):
    return {
        "resourceType": "Patient",
        "identifier": [{"system": CCCD, "value": f"{number:012d}"}],
        "name": [{"text": f"Nguyễn Văn Mẫu{number // 3}"}],
        "birthDate": f"19{number % 80 + 10}-0{number % 9 + 1}-01",
        "gender": "male",
        "meta": {"tag": [{"system": "http://example.vn/tags", "code": "roster"}]},
    }


def observation(number, patients):
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": ["29463-7", "8302-2"][number % 2]}]},
        "subject": {"reference": f"Patient/{patients[number % 60]}"},
        "effectiveDateTime": f"2026-01-{number % 28 + 1:02d}",
        "valueQuantity": {"value": Decimal("58.5"), "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


@pytest.fixture
def database(mongod_uri):
    """A database of its own: what is counted grows with the types that were ever held."""
    name = f"test_{uuid.uuid4().hex}"
    yield name
    with connect(mongod_uri) as client:
        client.drop_database(name)


@pytest.fixture
def patients(repository):
    """600 people; the first 60 of them have 10 observations each."""
    made = repository.transaction(OPEN, bundle([person(number) for number in range(MANY)]))
    ids = [each.stored.id for each in made]
    repository.transaction(OPEN, bundle([observation(number, ids) for number in range(MANY)]))
    return ids


@pytest.fixture
def examined(store):
    """Runs a function; gives how many searches of records it took, and the documents they examined and returned."""

    def examined(work):
        store.database.command("profile", 2)
        work()
        store.database.command("profile", 0)
        found = list(
            store.database["system.profile"].find({"op": {"$in": ["query", "command"]}, "ns": {"$regex": r"\.[A-Z]"}})
        )
        scanning = [each for each in found if "COLLSCAN" in each.get("planSummary", "")]
        assert scanning == []
        return (
            len(found),
            sum(each.get("docsExamined", 0) for each in found),
            sum(each.get("nreturned", 0) for each in found),
        )

    return examined


def test_a_match_reads_candidates_and_not_all_people(patients, repository, examined) -> None:
    searches, read, _ = examined(lambda: match(repository, OPEN, person(7), count=10))
    assert searches == 5  # by number, by likeness, by name with the year, the month and the day of birth
    assert read <= 20


def test_everything_reads_one_record(patients, repository, examined) -> None:
    searches, read, given = examined(lambda: everything(repository, OPEN, "Patient", patients[0], Wanted(count=100)))
    assert searches == 4  # the patient twice, observations by subject and by performer
    assert (read, given) == (12, 12)


def test_the_newest_and_the_statistics_read_one_persons_observations(patients, repository, examined) -> None:
    subject = f"Patient/{patients[0]}"
    _, read, _ = examined(lambda: lastn(repository, OPEN, [("subject", subject)], 1))
    assert read == 10


def test_statistics_read_one_persons_observations(patients, repository, examined) -> None:
    codes = [("http://loinc.org", "29463-7")]
    _, read, _ = examined(lambda: stats(repository, OPEN, f"Patient/{patients[0]}", codes, ["average"], []))
    assert read <= 2 * 10


def test_a_summary_reads_one_record(patients, repository, examined) -> None:
    searches, read, _ = examined(
        lambda: summary(repository, OPEN, patients[0], BASE, datetime(2026, 11, 24, tzinfo=UTC))
    )
    assert searches == 5  # the patient, and observations of four categories
    assert read <= 1 + 4 * 10


def test_the_labels_in_use_cost_a_bounded_number_of_records_each(patients, repository, examined) -> None:
    _, read, _ = examined(lambda: meta.meta_of_types(repository, OPEN, ["Patient"]))
    assert read <= 60
