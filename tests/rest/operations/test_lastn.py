"""Observation/$lastn gives the newest of each kind, of one person."""

from __future__ import annotations

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import NotFound
from fhir_server.operations.lastn import lastn
from tests.rest.operations.conftest import addresses, coded

A = AccessContext.for_patient("a", "card:1")


@pytest.fixture
def records(put, observe):
    for who in ("a", "b"):
        put(f"Patient/{who}", name=[{"text": "Người Mẫu"}])
        vital = {"category": [coded("observation-category", "vital-signs")]}
        for day in (1, 2, 3):
            observe(f"weight-{who}{day}", who, "29463-7", 50 + day, f"2026-01-0{day}", **vital)
        for day in (4, 5):
            observe(f"blood-{who}{day}", who, "718-7", 12 + day, f"2026-01-0{day}")
        observe(f"undated-{who}", who, "718-7", 11, None)
        observe(f"wrong-{who}", who, "718-7", 99, "2026-01-09", status="entered-in-error")


def test_the_newest_of_each_kind_and_the_kind_observed_last_first(records, get) -> None:
    bundle = get("Observation/$lastn?subject=Patient/a")
    assert addresses(bundle) == ["Observation/blood-a5", "Observation/weight-a3"]
    assert bundle["type"] == "searchset"


def test_max_gives_several_of_each_kind_newest_first_and_undated_last(records, get) -> None:
    assert addresses(get("Observation/$lastn?patient=a&max=3")) == [
        "Observation/blood-a5",
        "Observation/blood-a4",
        "Observation/undated-a",
        "Observation/weight-a3",
        "Observation/weight-a2",
        "Observation/weight-a1",
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("code=29463-7", ["weight-a3"]),
        ("code=http://loinc.org|718-7,http://loinc.org|29463-7", ["blood-a5", "weight-a3"]),
        ("category=vital-signs&max=2", ["weight-a3", "weight-a2"]),
        ("date=lt2026-01-03", ["weight-a2"]),
        ("status=entered-in-error", ["wrong-a"]),
    ],
)
def test_search_parameters_narrow_it(records, get, query, found) -> None:
    bundle = get(f"Observation/$lastn?subject=Patient/a&{query}")
    assert addresses(bundle) == [f"Observation/{id}" for id in found]


def test_it_may_be_asked_for_by_post(records, send) -> None:
    parameters = [
        {"name": "subject", "valueReference": {"reference": "Patient/b"}},
        {"name": "max", "valuePositiveInt": 1},
    ]
    response = send("POST", "/fhir/Observation/$lastn", {"resourceType": "Parameters", "parameter": parameters})
    assert addresses(response.json) == ["Observation/blood-b5", "Observation/weight-b3"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "Name one person: subject=Patient/<id>."),
        ("subject=Patient/a,Patient/b", "Name one person, not several."),
        ("subject=Patient/a&patient=b", "Name one person, not several."),
        ("subject=Patient/a&max=none", "'max' takes a whole number from 1, not 'none'."),
        ("subject=Patient/a&_sort=date", "$lastn takes filters and 'max', not '_sort': its order is newest first."),
    ],
)
def test_what_it_cannot_be_asked_is_said(records, client, issue, query, text) -> None:
    response = client.get(f"/fhir/Observation/$lastn?{query}")
    assert response.status_code == 400
    assert issue(response)["diagnostics"] == text


def test_an_unknown_filter_is_refused_or_in_lenient_handling_warned_of(records, client) -> None:
    address = "/fhir/Observation/$lastn?subject=Patient/a&colour=red"
    assert client.get(address).status_code == 400
    bundle = client.get(address, headers={"Prefer": "handling=lenient"}).json
    assert addresses(bundle) == ["Observation/blood-a5", "Observation/weight-a3"]
    (issue,) = bundle["entry"][-1]["resource"]["issue"]
    assert (issue["severity"], "'colour'" in issue["diagnostics"]) == ("warning", True)


def test_a_bound_caller_is_given_the_own_observations_with_and_without_naming_oneself(records, repository) -> None:
    for pairs in (
        [],
        [("subject", "Patient/a")],
        [("patient", "a")],
        [("patient", "http://127.0.0.1:8080/fhir/Patient/a")],
    ):
        page = lastn(repository, A, pairs, 1)
        assert [stored.id for _, stored in page.entries] == ["blood-a5", "weight-a3"]


@pytest.mark.parametrize("pair", [("subject", "Patient/b"), ("patient", "b"), ("subject:Patient", "b")])
def test_a_bound_caller_is_given_nothing_of_another_patient(records, repository, pair) -> None:
    with pytest.raises(NotFound, match="There is no Patient with the id 'b'"):
        lastn(repository, A, [pair], 1)


def test_other_parameters_do_not_lead_a_bound_caller_to_another_patient(records, repository) -> None:
    assert lastn(repository, A, [("performer", "Patient/b")], 1).entries == []
    assert lastn(repository, A, [("_id", "blood-b5")], 1).entries == []
