"""What contained resources cost MongoDB: nothing where there are none, and a page of them costs a page.

Counted by MongoDB's own profiler while the repository works.
"""

from __future__ import annotations

import uuid

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.repository import Repository
from fhir_server.store.records import Store
from tests.repository.people import OPEN, bundle

ORDERS, BATCH, PAGE = 1200, 300, 50
LOINC = "http://loinc.org"


def report(number):
    """A report on one of 60 patients that contains two observations, by somebody it contains."""
    observations = [
        {
            "resourceType": "Observation",
            "id": f"o{each}",
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": ["29463-7", "8302-2"][each]}]},
            "effectiveDateTime": f"{2000 + number % 20}-{1 + number % 12:02d}-{1 + number % 28:02d}",
            "valueQuantity": {
                "value": 40 + number % 100,
                "unit": "kg",
                "system": "http://unitsofmeasure.org",
                "code": "kg",
            },
        }
        for each in range(2)
    ]
    name = ("Trần Văn" if number % 3 else "Lê Thị") + f" {number}"
    author = {"resourceType": "Practitioner", "id": "author", "name": [{"text": name}]}
    return {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/p{number % 60}"},
        "contained": [*observations, author],
        "result": [{"reference": f"#{each['id']}"} for each in observations],
        "performer": [{"reference": "#author"}],
    }


@pytest.fixture(scope="module")
def reports(mongod_uri):
    store = Store.open(mongod_uri, database=f"test_{uuid.uuid4().hex}")
    repository = Repository(store)
    for start in range(0, ORDERS, BATCH):
        repository.transaction(OPEN, bundle([report(number) for number in range(start, start + BATCH)]))
    yield repository
    store.client.drop_database(store.database_name)
    store.close()


def profiled(repository, work, **wanted):
    """What MongoDB did on collections of records while `work` ran."""
    database = repository.store.database
    database.command("profile", 0)
    database.drop_collection("system.profile")
    database.command("profile", 2)
    work()
    database.command("profile", 0)
    among = {"$regex": rf"^{database.name}\.(contained\.)?[A-Z]"}
    return list(database["system.profile"].find({"ns": among, **wanted}))


KINDS = [
    ("code", "Observation", [("code", f"{LOINC}|29463-7")]),
    ("codes in one container", "Observation", [("code", "29463-7,8302-2")]),
    ("newest of a code", "Observation", [("code", "29463-7"), ("_sort", "-date")]),
    ("newest", "Observation", [("_sort", "-date")]),
    ("dates", "Observation", [("date", "ge2005-01-01")]),
    ("quantity", "Observation", [("value-quantity", "gt60|http://unitsofmeasure.org|kg")]),
    ("name", "Practitioner", [("name", "tran")]),
    ("by name", "Practitioner", [("_sort", "name")]),
    ("all", "Observation", []),
]


@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("given", ["container", "contained"])
@pytest.mark.parametrize("kind", ["true", "both"])
@pytest.mark.parametrize(("type", "pairs"), [each[1:] for each in KINDS], ids=[each[0] for each in KINDS])
def test_a_page_examines_about_as_many_keys_as_it_has_rows(reports, type, pairs, kind, given, later):
    asked = [*pairs, ("_contained", kind), ("_containedType", given), ("_count", str(PAGE))]
    if later:
        for _ in range(3):
            asked = reports.search(OPEN, type, asked).next
    pages = []
    seen = profiled(reports, lambda: pages.append(reports.search(OPEN, type, asked)))
    assert len(pages[0].entries) == PAGE
    assert all("COLLSCAN" not in each.get("planSummary", "") for each in seen)
    inside = [each for each in seen if ".contained." in each["ns"]]
    assert sum(each.get("keysExamined", 0) for each in inside) <= 8 * PAGE + 50  # two in each container, read twice
    assert sum(each.get("docsExamined", 0) for each in inside) <= 8 * PAGE + 50
    containers = [each for each in seen if each["ns"].endswith(".DiagnosticReport")]
    assert [each["docsExamined"] for each in containers] == ([PAGE] if given == "container" else [])


def test_a_bound_caller_reads_the_own_ones_only(reports):
    me = AccessContext.for_patient("p7", "card:1")
    asked = [("status", "final"), ("_contained", "true"), ("_total", "accurate"), ("_count", "7")]
    pages = []
    seen = profiled(reports, lambda: pages.append(reports.search(me, "Observation", asked)))
    assert (len(pages[0].entries), pages[0].total) == (7, 20)
    found = [each for each in seen if ".contained." in each["ns"]]
    for each in found:
        assert "'o': 'p7'" in repr(each["command"])
    assert "COLLSCAN" not in repr([each.get("planSummary") for each in found])


PLAIN = {"resourceType": "Basic", "code": {"coding": [{"code": "a"}]}}


def test_records_without_contained_ones_are_written_by_the_operations_they_took_before(reports):
    ids = []

    def work():
        ids.append(reports.create(OPEN, "Basic", PLAIN).stored.id)
        reports.update(OPEN, "Basic", ids[0], {**PLAIN, "id": ids[0], "language": "vi"})
        reports.delete(OPEN, "Basic", ids[0])

    reports.store.collection("Basic")
    seen = profiled(reports, work)
    kinds = [(each["ns"].rpartition(".")[2], each["op"]) for each in seen]
    assert [kind for kind in kinds if kind[1] in ("insert", "update", "remove")] == [
        ("Basic", "insert"),
        ("Basic", "update"),
        ("Basic", "remove"),
    ]
    assert all(".contained." not in each["ns"] for each in seen)


def test_a_search_of_free_standing_resources_reads_none_of_the_contained(reports):
    seen = profiled(
        reports, lambda: reports.search(OPEN, "Observation", [("code", "29463-7"), ("_contained", "false")])
    )
    assert [each["ns"].partition(".")[2] for each in seen] == ["Observation"]
