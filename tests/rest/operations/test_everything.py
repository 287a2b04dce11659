"""Patient/$everything and Encounter/$everything give the whole record once, and nobody else's."""

from __future__ import annotations

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import Forbidden, NotFound
from fhir_server.operations.everything import Wanted, everything, everything_of_everybody
from fhir_server.resource.validation import validate
from tests.rest.operations.conftest import OPEN, addresses, coded, link

A = AccessContext.for_patient("a", "card:1")


@pytest.fixture
def records(put, observe):
    """Two patients of one doctor: a with a dated and an undated allergy, a visit and observations, b with others."""
    put("Organization/station", name="Trạm y tế Mẫu")
    put("Practitioner/doctor", name=[{"text": "Trần Văn Mẫu"}])
    put("Location/room", name="Phòng 1")
    put("Patient/a", name=[{"text": "Nguyễn Thị Ánh"}], managingOrganization={"reference": "Organization/station"})
    put("Patient/b", name=[{"text": "Lê Văn Bình"}])
    for who in ("a", "b"):
        subject = {"reference": f"Patient/{who}"}
        put(
            f"Encounter/visit-{who}",
            status="finished",
            **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
            subject=subject,
            period={"start": "2026-03-01T08:00:00+07:00", "end": "2026-03-01T09:00:00+07:00"},
            participant=[{"individual": {"reference": "Practitioner/doctor"}}],
            location=[{"location": {"reference": "Location/room"}}],
        )
        active = {"clinicalStatus": coded("allergyintolerance-clinical", "active"), "patient": subject}
        put(f"AllergyIntolerance/dated-{who}", recordedDate="2025-05-05", code={"text": "Tôm"}, **active)
        put(f"AllergyIntolerance/undated-{who}", code={"text": "Phấn hoa"}, **active)
        in_visit = {"encounter": {"reference": f"Encounter/visit-{who}"}}
        observe(f"old-{who}", who, "718-7", 12, "2025-01-01")
        observe(f"visit-{who}", who, "718-7", 13, "2026-03-01", **in_visit)
    # One that two parameters of the compartment lead to.
    observe("self", "a", "29463-7", 50, "2026-04-01", performer=[{"reference": "Patient/a"}])
    # One about b that a performed: part of a's compartment by R4, and not a's to see.
    observe("by-a", "b", "29463-7", 60, "2026-04-01", performer=[{"reference": "Patient/a"}])


OF_A = [
    "Patient/a",
    "AllergyIntolerance/dated-a",
    "AllergyIntolerance/undated-a",
    "Encounter/visit-a",
    "Observation/by-a",
    "Observation/old-a",
    "Observation/self",
    "Observation/visit-a",
]


def test_everything_of_a_patient_is_the_patient_and_the_compartment_each_once(records, get) -> None:
    bundle = get("Patient/a/$everything")
    found = addresses(bundle)
    assert found[0] == "Patient/a"
    assert sorted(found) == sorted(OF_A)
    assert bundle["type"] == "searchset"
    assert link(bundle, "next") is None


def test_everything_brings_whom_and_what_the_record_names(records, get) -> None:
    included = addresses(get("Patient/a/$everything"), "include")
    assert included == ["Location/room", "Organization/station", "Practitioner/doctor"]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_the_pages_of_everything_hold_each_resource_once(records, get, count) -> None:
    address: str | None = f"Patient/a/$everything?_count={count}"
    pages = []
    while address:
        bundle = get(address)
        pages.append(addresses(bundle))
        address = link(bundle, "next")
    assert sorted(each for page in pages for each in page) == sorted(OF_A)
    assert all(1 <= len(page) <= count for page in pages)


def test_pages_of_everything_repeat_and_lose_nothing_while_records_of_new_types_arrive(records, get, put) -> None:
    first = get("Patient/a/$everything?_count=4")
    put("Flag/behind", status="active", code={"text": "Mới"}, subject={"reference": "Patient/a"})
    put("Procedure/ahead", status="completed", subject={"reference": "Patient/a"})
    second = get(link(first, "next").replace("_count=4", "_count=100"))
    assert sorted(addresses(first) + addresses(second)) == sorted([*OF_A, "Procedure/ahead"])


def test_everything_between_dates_keeps_what_has_no_date(records, get) -> None:
    found = addresses(get("Patient/a/$everything?start=2026-02-01&end=2026-03-31"))
    assert found == ["Patient/a", "AllergyIntolerance/undated-a", "Encounter/visit-a", "Observation/visit-a"]


def test_everything_of_some_types_only(records, get) -> None:
    bundle = get("Patient/a/$everything?_type=Encounter,Practitioner")
    assert addresses(bundle) == ["Encounter/visit-a"]
    assert addresses(bundle, "include") == ["Practitioner/doctor"]


def test_everything_since_a_moment_is_what_changed_after_it(records, get, observe) -> None:
    before = get("Patient/a/$everything?_count=1000")
    since = max(entry["resource"]["meta"]["lastUpdated"] for entry in before["entry"])
    observe("newer", "a", "718-7", 14, "2026-05-01")
    assert addresses(get(f"Patient/a/$everything?_since={since}")) == ["Observation/newer"]


def test_everything_may_be_asked_for_by_post(records, send) -> None:
    parameters = [{"name": "_type", "valueCode": "Patient"}, {"name": "_count", "valueInteger": 5}]
    response = send("POST", "/fhir/Patient/a/$everything", {"resourceType": "Parameters", "parameter": parameters})
    assert addresses(response.json) == ["Patient/a"]
    assert link(response.json, "self") == "Patient/a/$everything?_type=Patient&_count=5"


def test_everything_of_an_encounter_brings_its_patient(records, get) -> None:
    bundle = get("Encounter/visit-a/$everything")
    assert addresses(bundle) == ["Encounter/visit-a", "Observation/visit-a"]
    assert addresses(bundle, "include") == ["Location/room", "Patient/a", "Practitioner/doctor"]


def test_everything_of_all_patients_goes_person_by_person(records, get) -> None:
    address: str | None = "Patient/$everything?_count=3"
    found: list[str] = []
    while address:
        bundle = get(address)
        found += addresses(bundle)
        address = link(bundle, "next")
    split = found.index("Patient/b")
    assert sorted(found[:split]) == sorted(OF_A)
    assert sorted(found[split:]) == sorted(
        [
            "Patient/b",
            "AllergyIntolerance/dated-b",
            "AllergyIntolerance/undated-b",
            "Encounter/visit-b",
            "Observation/by-a",
            "Observation/old-b",
            "Observation/visit-b",
        ]
    )


def test_everything_of_nobody_is_not_found(records, client, issue) -> None:
    response = client.get("/fhir/Patient/nobody/$everything")
    assert response.status_code == 404
    assert issue(response)["diagnostics"] == "There is no Patient with the id 'nobody'."


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("_type=Person2", "_type takes names of resource types; 'Person2' is none."),
        ("start=yesterday", "'start' takes a date such as 2026-11-24, not 'yesterday'."),
        ("_count=0", "'_count' takes a whole number from 1, not '0'."),
        ("_cursor=%C3%A9", "The paging link is not one this server made for this operation; start again."),
        (
            "_cursor=WyIiLCJhIiwiTm9ib2R5IHggMCIsIiJd",
            "The paging link is not one this server made for this operation; start again.",
        ),
        ("_cursor=abc", "The paging link is not one this server made for this operation; start again."),
    ],
)
def test_what_everything_cannot_be_asked_is_said(records, client, issue, query, text) -> None:
    response = client.get(f"/fhir/Patient/a/$everything?{query}")
    assert response.status_code == 400
    assert issue(response)["diagnostics"] == text


def test_a_paging_link_of_another_patient_is_refused(records, get, client) -> None:
    following = link(get("Patient/b/$everything?_count=1"), "next")
    assert client.get("/fhir/" + following.replace("Patient/b", "Patient/a")).status_code == 400


def test_a_bound_caller_is_given_what_the_patient_owns(records, repository) -> None:
    page = everything(repository, A, "Patient", "a", Wanted(count=100))
    found = [f"{stored.type}/{stored.id}" for _, stored in page.entries]
    assert sorted(found) == sorted(set(OF_A) - {"Observation/by-a"})
    assert b"Patient/b" not in b"".join(stored.json or b"" for _, stored in page.entries)


def test_a_bound_caller_pages_through_what_the_patient_owns(records, repository) -> None:
    found, cursor = [], ""
    while True:
        page = everything(repository, A, "Patient", "a", Wanted(count=2, cursor=cursor))
        found += [f"{stored.type}/{stored.id}" for _, stored in page.entries]
        if page.next is None:
            break
        cursor = dict(page.next)["_cursor"]
    assert sorted(found) == sorted(set(OF_A) - {"Observation/by-a"})


def test_a_bound_caller_is_given_nothing_of_another_patient(records, repository) -> None:
    with pytest.raises(NotFound, match="There is no Patient with the id 'b'"):
        everything(repository, A, "Patient", "b", Wanted(count=100))
    with pytest.raises(NotFound, match="There is no Encounter with the id 'visit-b'"):
        everything(repository, A, "Encounter", "visit-b", Wanted(count=100))
    with pytest.raises(Forbidden):
        everything_of_everybody(repository, A, Wanted(count=100))


def test_a_bound_caller_cannot_use_the_paging_link_of_somebody_who_sees_more(records, repository) -> None:
    link_of_open = everything(repository, OPEN, "Patient", "b", Wanted(count=1)).next or []
    with pytest.raises(NotFound):
        everything(repository, A, "Patient", "b", Wanted(count=1, cursor=dict(link_of_open)["_cursor"]))


def test_a_bound_caller_is_given_the_own_encounter_without_who_works_there(records, repository) -> None:
    page = everything(repository, A, "Encounter", "visit-a", Wanted(count=100))
    assert [(mode, f"{stored.type}/{stored.id}") for mode, stored in page.entries] == [
        ("match", "Encounter/visit-a"),
        ("match", "Observation/visit-a"),
        ("include", "Patient/a"),
    ]


def test_what_everything_answers_with_is_a_valid_bundle(records, get) -> None:
    bundle = get("Patient/a/$everything")
    assert validate(bundle) == bundle


def test_everything_is_given_as_xml_as_well(records, client) -> None:
    response = client.get("/fhir/Patient/a/$everything?_type=Patient&_format=xml")
    assert response.status_code == 200
    assert response.content_type.startswith("application/fhir+xml")
    assert "Nguyễn Thị Ánh" in response.text
