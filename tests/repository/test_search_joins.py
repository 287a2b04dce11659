"""Search across resources and inside them: chains, _has, composites, lists, words, _filter, several types at once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_server import joining, searching
from fhir_server.access.context import AccessContext
from fhir_server.errors import BadRequest, Forbidden, NotFound
from tests.repository.people import LOINC, OPEN, UCUM, bundle, every_match, ids

MRN = "http://hospital.example.vn/mrn"


def named(logical_id, name, **more):
    family, *given = name.split(" ")
    return {
        "resourceType": "Patient",
        "id": logical_id,
        "name": [{"text": name, "family": family, "given": given}],
        **more,
    }


def blood_pressure(logical_id, patient, systolic, diastolic, **more):
    def part(code, value):
        quantity = {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
        return {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": quantity}

    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {
            "coding": [{"system": LOINC, "code": "85354-9", "display": "Huyết áp"}],
            "text": "Huyết áp tư thế ngồi",
        },
        "subject": {"reference": f"Patient/{patient}"},
        "component": [part("8480-6", systolic), part("8462-4", diastolic)],
        **more,
    }


def weight(logical_id, patient, value, unit="kg", **more):
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
        **more,
    }


RESOURCES = [
    {"resourceType": "Organization", "id": "ward", "name": "Trạm y tế Phường Sài Gòn", "partOf": {"reference": "Organization/city"}},
    {"resourceType": "Organization", "id": "city", "name": "Sở Y tế"},
    {"resourceType": "Practitioner", "id": "doctor", "name": [{"text": "Trần Văn Đức", "family": "Trần"}]},
    named("a", "Nguyễn Thị Ánh Đào", generalPractitioner=[{"reference": "Practitioner/doctor"}], managingOrganization={"reference": "Organization/ward"},
          identifier=[{"system": MRN, "value": "17", "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}], "text": "Mã bệnh nhân"}}]),
    named("b", "Trần Văn An", managingOrganization={"reference": "Organization/city"}, gender="male", birthDate="1980-01-01",
          identifier=[{"system": MRN, "value": "17b"}, {"system": "x", "value": "17", "type": {"coding": [{"code": "SS"}]}}]),
    named("c", "Lê Gia Bảo", gender="male", birthDate="2023-03-15"),
    {"resourceType": "Encounter", "id": "visit", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": "Patient/a"},
     "serviceProvider": {"reference": "Organization/ward"}},
    blood_pressure("bp1", "a", 145, 80, encounter={"reference": "Encounter/visit"}),
    blood_pressure("bp2", "b", 120, 95),
    weight("w1", "a", Decimal("52.50")),
    weight("w2", "b", 61000, "g"),
    weight("w3", "c", Decimal("11.2"), subject={"identifier": {"system": MRN, "value": "17c"}, "display": "Lê Gia Bảo"}),
    {"resourceType": "List", "id": "list", "status": "current", "mode": "working",
     "entry": [{"item": {"reference": "Patient/a"}}, {"item": {"reference": "Patient/c"}}, {"item": {"reference": "Observation/w1"}}]},
    {"resourceType": "Location", "id": "hanoi", "name": "Hà Nội", "position": {"latitude": Decimal("21.0285"), "longitude": Decimal("105.8542")}},
    {"resourceType": "Location", "id": "haiphong", "name": "Hải Phòng", "position": {"latitude": Decimal("20.8449"), "longitude": Decimal("106.6881")}},
    {"resourceType": "Location", "id": "nowhere", "name": "Không rõ"},
    {"resourceType": "ValueSet", "id": "vs1", "status": "active", "url": "http://example.vn/fhir/ValueSet/a"},
    {"resourceType": "ValueSet", "id": "vs2", "status": "active", "url": "http://example.vn/fhir/ValueSet/a/b"},
    {"resourceType": "ValueSet", "id": "vs3", "status": "active", "url": "http://example.vn/fhir/ValueSet/ab",
     "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Nhóm <b>máu</b> hiếm</div>'}},
    {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "characteristic": [
        {"code": {"text": "x", "coding": [{"code": "sex"}]}, "valueCodeableConcept": {"coding": [{"code": "male"}]}, "exclude": False},
        {"code": {"text": "y", "coding": [{"code": "smoker"}]}, "valueBoolean": True, "exclude": False}]},
]  # fmt: skip


@pytest.fixture
def held(repository):
    entries = bundle(RESOURCES)
    for entry in entries["entry"]:
        entry["request"] = {"method": "PUT", "url": f"{entry['resource']['resourceType']}/{entry['resource']['id']}"}
    repository.transaction(OPEN, entries)
    return repository


CASES = [
    # chains
    ("Observation", "patient.name=anh dao", "bp1 w1"),
    ("Observation", "subject:Patient.name=tran", "bp2 w2"),
    ("Observation", "subject.name=tran", "bp2 w2"),
    ("Observation", "patient.name=tran&code=29463-7", "w2"),
    ("Observation", "patient.organization.name=tram y te", "bp1 w1"),
    ("Observation", "patient.organization.partof.name=so y te", "bp1 w1"),
    ("Observation", "patient.general-practitioner:Practitioner.family=tran", "bp1 w1"),
    ("Observation", "encounter.service-provider.name=tram", "bp1"),
    ("Observation", "patient.identifier=" + MRN + "|17", "bp1 w1"),
    ("Observation", "patient.name:exact=Trần Văn An", "bp2 w2"),
    ("Observation", "patient.birthdate=lt1990&value-quantity=gt1", "w2"),
    ("Observation", "patient.name=khong co", ""),
    # _has
    ("Patient", "_has:Observation:patient:code=85354-9", "a b"),
    ("Patient", "_has:Observation:patient:component-value-quantity=gt140", "a"),
    ("Patient", "_has:Observation:patient:code=29463-7&gender=male", "b"),
    ("Patient", "_has:Observation:patient:encounter.service-provider.name=tram", "a"),
    ("Organization", "_has:Patient:organization:_has:Observation:patient:code=85354-9", "city ward"),
    ("Organization", "_has:Patient:organization:_has:Observation:patient:component-code-value-quantity=8480-6$gt140", "ward"),
    # composites
    ("Observation", "component-code-value-quantity=8480-6$gt140", "bp1"),
    ("Observation", "component-code-value-quantity=8462-4$gt90", "bp2"),
    ("Observation", "component-code-value-quantity=8480-6$lt100", ""),
    ("Observation", f"component-code-value-quantity={LOINC}|8480-6$145|{UCUM}|mm[Hg]", "bp1"),
    ("Observation", "component-code-value-quantity=8480-6$gt140,8462-4$gt90", "bp1 bp2"),
    ("Observation", f"code-value-quantity=29463-7$gt60|{UCUM}|kg", "w2"),
    ("Observation", "combo-code-value-quantity=8462-4$80", "bp1"),
    ("Group", "characteristic-value=smoker$true", "g"),
    ("Group", "characteristic-value=sex$male", "g"),
    ("Group", "characteristic-value=smoker$male", ""),
    # units
    ("Observation", f"value-quantity=61|{UCUM}|kg", "w2"),
    ("Observation", f"value-quantity=52500|{UCUM}|g", "w1"),
    ("Observation", f"value-quantity=gt50|{UCUM}|kg", "w1 w2"),
    ("Observation", "value-quantity=61||kg", ""),
    # modifiers
    ("Patient", "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|17", "a"),
    ("Patient", "identifier:of-type=|SS|17", "b"),
    ("Observation", f"subject:identifier={MRN}|17c", "w3"),
    ("Observation", "subject:identifier=17c", "w3"),
    ("Observation", "subject:identifier=x|17c", ""),
    ("Observation", "code:text=tu the ngoi", "bp1 bp2"),
    ("Observation", "code:text=huyet ap&patient=b", "bp2"),
    ("Patient", "identifier:text=ma benh", "a"),
    ("ValueSet", "url:below=http://example.vn/fhir/ValueSet/a", "vs1 vs2"),
    ("ValueSet", "url:above=http://example.vn/fhir/ValueSet/a/b/c", "vs1 vs2"),
    # words, lists, places
    ("ValueSet", "_text=mau hiem", "vs3"),
    ("ValueSet", "_text=hie", ""),
    ("Observation", "_content=huyet ngoi", "bp1 bp2"),
    ("Patient", "_list=list", "a c"),
    ("Patient", "_list=list&gender=male", "c"),
    ("Observation", "_list=list", "w1"),
    ("Patient", "_list=none", ""),
    ("Location", "near=21.03|105.85|5|km", "hanoi"),
    ("Location", "near=21.03|105.85|100|km", "haiphong hanoi"),
    ("Location", "near=21.03|105.85|500|m", "hanoi"),
    # _filter
    ("Patient", '_filter=name sw "tran" or birthdate gt 2020', "b c"),
    ("Patient", '_filter=gender eq male and not (birthdate lt 2000)', "c"),
    ("Patient", '_filter=family eq tran', "b"),
    ("Patient", '_filter=name co "gia"', "c"),
    ("Patient", '_filter=given ew "ao"&gender=male', "c"),
    ("Patient", '_filter=birthdate pr false', "a"),
    ("Patient", f'_filter=identifier eq "{MRN}|17"', "a"),
    ("Patient", "_filter=gender ne male", "a"),
    ("Observation", '_filter=subject re "Patient/a" and patient.name sw nguyen', "bp1 w1"),
    ("Observation", "_filter=value-quantity gt 60", "w2"),
]  # fmt: skip


def pairs_of(text):
    return [tuple(each.partition("=")[::2]) for each in text.split("&")]


@pytest.mark.parametrize(("type", "query", "expected"), CASES, ids=[f"{case[0]}?{case[1]}" for case in CASES])
def test_what_is_found(held, type, query, expected):
    assert sorted(every_match(held, type, [*pairs_of(query), ("_count", "1")])) == expected.split()
    assert held.search(OPEN, type, [*pairs_of(query), ("_summary", "count")]).total == len(expected.split())


@pytest.mark.parametrize(
    ("type", "query", "expected"),
    [case for case in CASES if "." in case[1].partition("=")[0] or case[1].startswith("_has")],
)
def test_joins_find_the_same_when_neither_side_is_small(held, type, query, expected, monkeypatch):
    for module, name, value in ((joining, "FEW", 0), (joining, "READ", 1), (searching, "BATCH", 2)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(joining, "READ", 50)
    assert sorted(every_match(held, type, [*pairs_of(query), ("_count", "1")])) == expected.split()


def test_a_patient_bound_caller_learns_nothing_of_others_through_joins(held):
    ctx = AccessContext.for_patient("a", "card:1")
    for type, query in (
        ("Patient", "_has:Observation:patient:component-value-quantity=gt90"),
        ("Patient", "link:Patient.name=tran"),
        ("Observation", "patient.organization.name=tram"),
        ("Observation", "patient.name=tran"),
    ):
        found = every_match(held, type, pairs_of(query), ctx)
        assert set(found) <= {"a", "bp1", "w1"}, query
    with pytest.raises(Forbidden, match="_list"):
        held.search(ctx, "Patient", [("_list", "list")])
    assert every_match(held, "Observation", pairs_of("patient.name=tran"), ctx) == []
    assert (
        every_match(held, "Observation", pairs_of("patient.organization.name=tram"), ctx) == []
    )  # the ward is not theirs
    page = held.search_system(ctx, [("_type", "Patient,Observation,Organization")])
    assert sorted(stored.id for _, stored in page.entries) == ["a", "bp1", "w1"]


def test_several_types_are_searched_in_one_list(held):
    following = [("_type", "Patient,Observation,Location"), ("_count", "2"), ("_lastUpdated", "gt2020")]
    found = []
    while following is not None:
        page = held.search_system(OPEN, following)
        assert len(page.entries) <= 2
        found += [f"{stored.type}/{stored.id}" for _, stored in page.entries]
        following = page.next
    assert len(found) == len(set(found)) == 11
    assert held.search_system(OPEN, [("_type", "Patient,Observation"), ("_summary", "count")]).total == 8
    with pytest.raises(BadRequest, match="name"):
        held.search_system(OPEN, [("_type", "Patient,Observation"), ("name", "x")])


def test_a_compartment_holds_what_refers_to_its_owner(held):
    assert sorted(ids(held.search(OPEN, "Observation", [], compartment=("Patient", "a")))) == ["bp1", "w1"]
    assert ids(held.search(OPEN, "Observation", [("code", "29463-7")], compartment=("Patient", "a"))) == ["w1"]
    assert ids(held.search(OPEN, "Observation", [], compartment=("Encounter", "visit"))) == ["bp1"]
    everything = held.search_system(OPEN, [], compartment=("Patient", "a"))
    assert sorted(f"{each.type}/{each.id}" for _, each in everything.entries) == [
        "Encounter/visit", "List/list", "Observation/bp1", "Observation/w1", "Patient/a",
    ] or sorted(each.id for _, each in everything.entries) == ["a", "bp1", "visit", "w1"]  # fmt: skip
    with pytest.raises(NotFound):
        held.search(OPEN, "Observation", [], compartment=("Organization", "ward"))
    with pytest.raises(BadRequest):
        held.search(OPEN, "Organization", [], compartment=("Patient", "a"))


def test_include_iterates_and_takes_everything(held):
    page = held.search(OPEN, "Observation", [("_id", "bp1"), ("_include", "*")])
    assert sorted(each.id for mode, each in page.entries if mode == "include") == ["a", "visit"]
    chain = [("_id", "bp1"), ("_include", "Observation:subject"), ("_include:iterate", "Patient:organization")]
    page = held.search(OPEN, "Observation", [*chain, ("_include:iterate", "Organization:partof")])
    assert sorted(each.id for mode, each in page.entries if mode == "include") == ["a", "city", "ward"]
    page = held.search(
        OPEN,
        "Organization",
        [
            ("_id", "city"),
            ("_revinclude:iterate", "Organization:partof"),
            ("_revinclude:iterate", "Patient:organization"),
        ],
    )
    assert sorted(each.id for mode, each in page.entries if mode == "include") == ["a", "b", "ward"]


def test_previous_leads_back_page_by_page(held):
    pages = [held.search(OPEN, "Observation", [("_sort", "code"), ("_count", "2")])]
    while pages[-1].next:
        pages.append(held.search(OPEN, "Observation", pages[-1].next))
    assert [len(page.entries) for page in pages] == [2, 2, 1]
    assert pages[0].previous is None
    page = pages[-1]
    for expected in (pages[1], pages[0]):
        page = held.search(OPEN, "Observation", page.previous)
        assert ids(page) == ids(expected)
    assert page.previous is None


def test_a_paging_link_is_good_for_its_own_search_and_caller_only(held):
    link = dict(held.search(OPEN, "Observation", [("code", "85354-9"), ("_count", "1")]).next)["_cursor"]
    assert len(ids(held.search(OPEN, "Observation", [("code", "85354-9"), ("_cursor", link)]))) == 1
    bound = AccessContext.for_patient("a", "card:1")
    for ctx, type, pairs in (
        (bound, "Observation", [("code", "85354-9")]),
        (OPEN, "Observation", [("code", "29463-7")]),
        (OPEN, "Patient", [("gender", "male")]),
    ):
        with pytest.raises(BadRequest, match="paging link"):
            held.search(ctx, type, [*pairs, ("_cursor", link)])
    with pytest.raises(BadRequest, match="paging link"):
        held.search(OPEN, "Observation", [("code", "85354-9"), ("_cursor", link[:-3] + "AAA")])
