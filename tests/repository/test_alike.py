"""People are found by the like of a name and birth date: on the index, bounded, and by nothing a client can name."""

from __future__ import annotations

from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.repository import Repository
from fhir_server.search.likeness import LIKENESS, TELLING_APART, blocking_keys, likeness_entry
from mappings import systems
from tests.repository.people import bundle

OPEN = AccessContext.unrestricted("test")


def patient(name: str = "Hồ Thị Mơ", born: str = "1950-02-03", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"text": name}], "birthDate": born, **more}


def alike(repository: Repository, told: dict[str, Any], **options: Any) -> set[str]:
    found = repository.alike(OPEN, blocking_keys(told), **options)
    return {stored.id for several in found.values() for stored in several}


def put(repository: Repository, id: str, told: dict[str, Any]) -> None:
    repository.update(OPEN, "Patient", id, {**told, "id": id})


def test_swapped_words_days_and_typos_lead_to_the_same_person(repository: Repository) -> None:
    put(repository, "mo", patient())
    put(repository, "other", patient("Lê Văn Bình", "1990-01-02"))
    for told in (patient("Mơ Hồ Thị"), patient(born="1950-03-02"), patient("Hồ Thị Mơi"), patient(born="1950")):
        assert alike(repository, told) == {"mo"}
    assert alike(repository, patient(born="1951-02-03")) == set()


def test_a_name_or_date_that_changed_leads_to_nobody_any_more(repository: Repository) -> None:
    put(repository, "mo", patient())
    put(repository, "mo", patient("Lê Văn Bình"))
    assert alike(repository, patient()) == set()


def test_who_has_a_number_of_a_system_can_be_left_out_on_the_index(repository: Repository) -> None:
    assert set(TELLING_APART) == {systems.BHXH_NUMBER, systems.CCCD}
    for count in range(30):
        put(repository, f"both{count}", patient(identifier=[{"system": each, "value": "1"} for each in TELLING_APART]))
    put(repository, "insured", patient(identifier=[{"system": systems.BHXH_NUMBER, "value": "2"}]))
    put(repository, "bare", patient())
    assert alike(repository, patient(), without=systems.BHXH_NUMBER) == {"bare"}
    assert alike(repository, patient(), without=systems.CCCD) == {"bare", "insured"}
    put(repository, "bare", patient(identifier=[{"system": systems.BHXH_NUMBER, "value": "3"}]))
    assert alike(repository, patient(), without=systems.BHXH_NUMBER) == set()
    wanted = {"x": {"$in": [likeness_entry(key, systems.CCCD) for key in blocking_keys(patient())]}}
    stats = repository.store.collection("Patient").find(wanted).explain()["executionStats"]
    assert stats["totalDocsExamined"] == 2


def test_of_very_many_alike_only_some_are_read_on_the_index(repository: Repository) -> None:
    repository.transaction(OPEN, bundle([patient() for _ in range(60)]))
    put(repository, "rare", patient("Lê Văn Bình", "1990-01-02"))
    keys = [*blocking_keys(patient()), *blocking_keys(patient("Lê Văn Bình", "1990-01-02"))]
    found = repository.alike(OPEN, keys, each=5)
    assert {key: len(several) for key, several in found.items()} == {key: 5 if "1950" in key else 1 for key in keys}
    wanted = {"x": {"$in": [LIKENESS + key for key in keys[2:]]}}
    stats = repository.store.collection("Patient").find(wanted).explain()["executionStats"]
    assert stats["totalDocsExamined"] == 1
    assert stats["totalKeysExamined"] <= 4


def test_no_search_can_name_a_likeness(repository: Repository) -> None:
    put(repository, "mo", patient())
    (key, _) = blocking_keys(patient())
    for name in ("name", "identifier", "_tag", "phonetic", "family", "address"):
        for value in (LIKENESS + key, f"{LIKENESS}1950"):
            assert repository.search(OPEN, "Patient", [(name, value)]).entries == []


def test_a_bound_caller_meets_nobody_else(repository: Repository) -> None:
    put(repository, "mo", patient())
    put(repository, "other", patient())
    bound = AccessContext.for_patient("mo", "card:1")
    found = repository.alike(bound, blocking_keys(patient()))
    assert {stored.id for several in found.values() for stored in several} == {"mo"}
