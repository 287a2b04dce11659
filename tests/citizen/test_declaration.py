"""The form is read the way people write, and becomes FHIR resources that say who declared them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.citizen.declaration import (
    ALLERGY_KINDS,
    MEASURES,
    Declaration,
    read_date,
    read_form,
)
from fhir_server.citizen.submission import resources, transaction
from fhir_server.resource.exact import dump
from fhir_server.resource.validation import validate_issues
from fhir_server.translation import VIETNAM, catalogue

TODAY = date(2026, 3, 5)
RECORDED = datetime(2026, 3, 5, 9, 30, tzinfo=VIETNAM)


def told(**form: str) -> list[tuple[str, str]]:
    return [(problem.field, problem.message) for problem in read_form(form, today=TODAY).problems]


def made(**form: str) -> list[dict[str, Any]]:
    reading = read_form(form, today=TODAY)
    assert reading.declaration is not None, reading.problems
    return resources(reading.declaration, "p1", recorded=RECORDED, submission="s1")


@pytest.mark.parametrize(
    ("typed", "value"),
    [("58,5", "58.5"), ("58.50", "58.50"), (" 58 ,5 ", "58.5"), ("58kg", "58"), ("58 KG", "58"), ("058", "58")],
)
def test_a_weight_is_read_as_people_write_it_and_keeps_its_digits(typed: str, value: str):
    declared = read_form({"weight": typed}, today=TODAY).declaration
    assert str(declared.weight) == value


@pytest.mark.parametrize("typed", ["năm mươi", "5.8.5", "-58", "58 60", "1e2", "NaN", "٥٨", "58,", "12345"])
def test_what_is_no_weight_is_refused_with_an_example(typed: str):
    assert told(weight=typed) == [("weight", "declare.unreadable.weight")]


def test_absurd_values_are_refused():
    assert told(weight="900") == [("weight", "declare.impossible.weight")]
    assert told(height="1,60") == [("height", "declare.impossible.height")]
    assert told(systolic="400", diastolic="80") == [("systolic", "declare.impossible.systolic")]
    assert told(systolic="120", diastolic="8") == [("diastolic", "declare.impossible.diastolic")]


def test_odd_values_are_doubted_and_can_be_confirmed():
    reading = read_form({"weight": "190,50", "height": "160", "systolic": "185", "diastolic": "95"}, today=TODAY)
    assert [(doubt.field, doubt.message) for doubt in reading.doubts] == [
        ("weight", "declare.odd.weight"),
        ("systolic", "declare.high_pressure"),
    ]
    assert reading.doubted == "weight=190.50|systolic=185"
    assert reading.declaration.weight == Decimal("190.50")


def test_what_is_usual_depends_on_age_on_the_day_of_measuring():
    child = read_form({"weight": "12"}, today=TODAY, born=date(2023, 3, 15))
    adult = read_form({"weight": "12"}, today=TODAY, born=date(1985, 9, 2))
    assert (child.doubted, adult.doubted) == ("", "weight=12")
    birthday = {"weight": "12", "measured": "2026-03-05"}
    assert read_form(birthday, today=TODAY, born=date(2008, 3, 5)).doubted == "weight=12"
    assert read_form(birthday, today=TODAY, born=date(2008, 3, 6)).doubted == ""


def test_blood_pressure_needs_both_numbers_in_order():
    assert told(systolic="120") == [("diastolic", "declare.pressure_needs_both")]
    assert told(diastolic="80") == [("systolic", "declare.pressure_needs_both")]
    assert told(systolic="80", diastolic="120") == [("systolic", "declare.pressure_order")]
    assert told(systolic="120,5", diastolic="80") == [("systolic", "declare.unreadable.systolic")]


def test_the_day_of_measuring_is_today_unless_told_and_never_in_the_future():
    assert read_form({"weight": "58"}, today=TODAY).declaration.measured == TODAY
    assert read_form({"weight": "58", "measured": "4/3/2026"}, today=TODAY).declaration.measured == date(2026, 3, 4)
    assert told(weight="58", measured="2026-03-06") == [("measured", "declare.future")]
    assert told(weight="58", measured="31/02/2026") == [("measured", "declare.unreadable.measured")]
    early = read_form({"weight": "58", "measured": "1985-09-01"}, today=TODAY, born=date(1985, 9, 2))
    assert [problem.message for problem in early.problems] == ["declare.before_birth"]


@given(st.dates(min_value=date(1900, 1, 1)))
def test_every_day_is_read_in_both_ways_of_writing(day: date):
    assert read_date(day.isoformat()) == day
    assert read_date(f"{day.day}/{day.month}/{day.year:04d}") == day


def test_an_allergy_needs_kind_and_substance():
    assert told(allergy="yes") == [("kind", "declare.kind_missing"), ("substance", "declare.substance_missing")]
    assert told(allergy="yes", kind="drug", substance=" \u200b ") == [("substance", "declare.substance_missing")]
    assert told(allergy="yes", kind="drug", substance="x" * 201) == [("substance", "declare.substance_long")]
    assert told(allergy="perhaps") == [("allergy", "declare.choose")]


def test_an_empty_form_is_not_a_declaration():
    assert told(measured="2026-03-05", weight="  ") == [("weight", "declare.nothing")]


@given(
    st.dictionaries(st.sampled_from([*MEASURES, "measured", "abo", "rh", "allergy", "kind", "substance"]), st.text())
)
def test_whatever_is_typed_is_understood_or_answered_with_known_messages(form: dict[str, str]):
    reading = read_form(form, today=TODAY)
    assert (reading.declaration is None) == bool(reading.problems)
    assert {remark.message for remark in reading.problems + reading.doubts} <= set(catalogue())


def test_weight_becomes_a_vital_sign_of_the_patient_labelled_as_self_declared():
    (weight,) = made(weight="58,50")
    assert weight.pop("identifier")[0]["system"] == "http://hososuckhoe.example.vn/fhir/sid/declaration"
    assert weight == {
        "resourceType": "Observation",
        "meta": {
            "profile": ["http://hososuckhoe.example.vn/fhir/StructureDefinition/vn-self-declared-observation"],
            "security": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                    "code": "PATAST",
                    "display": "patient asserted",
                }
            ],
            "tag": [
                {
                    "system": "http://hososuckhoe.example.vn/fhir/CodeSystem/record-source",
                    "code": "self-declared",
                    "display": "Self-declared",
                }
            ],
        },
        "status": "final",
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
                ]
            }
        ],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}],
            "text": "Cân nặng",
        },
        "effectiveDateTime": "2026-03-05",
        "valueQuantity": {
            "value": Decimal("58.50"),
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
        "subject": {"reference": "Patient/p1"},
        "issued": "2026-03-05T09:30:00+07:00",
        "performer": [{"reference": "Patient/p1"}],
    }
    assert b'"value":58.50,' in dump(weight)


def test_blood_pressure_is_one_panel_with_two_components():
    (pressure,) = made(systolic="120", diastolic="80")
    assert pressure["code"]["coding"][0]["code"] == "85354-9"
    found = [
        (part["code"]["coding"][0]["code"], part["valueQuantity"]["value"], part["valueQuantity"]["code"])
        for part in pressure["component"]
    ]
    assert found == [("8480-6", Decimal(120), "mm[Hg]"), ("8462-4", Decimal(80), "mm[Hg]")]


@pytest.mark.parametrize(
    ("abo", "rh", "code", "text"),
    [("AB", "-", "882-1", "AB Rh-"), ("O", "", "883-9", "O"), ("", "+", "10331-7", "Rh+")],
)
def test_the_blood_group_is_coded_by_how_much_of_it_is_known(abo: str, rh: str, code: str, text: str):
    (blood,) = made(abo=abo, rh=rh)
    assert (blood["code"]["coding"][0]["code"], blood["valueCodeableConcept"]["text"]) == (code, text)


@pytest.mark.parametrize(
    ("kind", "category"), [("drug", ["medication"]), ("chemical", ["environment"]), ("food", ["food"]), ("other", None)]
)
def test_an_allergy_is_active_unconfirmed_and_asserted_by_the_patient(kind: str, category: list[str] | None):
    (allergy,) = made(allergy="yes", kind=kind, substance="  phấn   hoa ")
    assert allergy.get("category") == category
    assert allergy["code"] == {"text": "phấn hoa"}
    assert allergy["clinicalStatus"]["coding"][0]["code"] == "active"
    assert allergy["verificationStatus"]["coding"][0]["code"] == "unconfirmed"
    assert allergy["asserter"] == allergy["patient"] == {"reference": "Patient/p1"}
    assert allergy["recordedDate"] == "2026-03-05T09:30:00+07:00"


def test_no_allergy_is_declared_with_its_own_code():
    (allergy,) = made(allergy="no", kind="drug", substance="left over")
    assert allergy["code"]["coding"][0]["code"] == "716186003"
    assert "category" not in allergy


def test_everything_that_can_be_declared_is_valid_fhir():
    for kind in ALLERGY_KINDS:
        declared = made(
            weight="58,5",
            height="160",
            systolic="120",
            diastolic="80",
            abo="A",
            rh="+",
            allergy="yes",
            kind=kind,
            substance="tôm",
        )
        assert [resource["resourceType"] for resource in declared] == ["Observation"] * 4 + ["AllergyIntolerance"]
        assert [validate_issues(resource) for resource in declared] == [[]] * 5


def test_the_same_answer_of_the_same_form_is_the_same_entry_and_a_corrected_one_is_not():
    def entry(patient: str, submission: str, weight: str) -> str:
        declaration = Declaration(measured=TODAY, weight=Decimal(weight))
        (resource,) = resources(declaration, patient, recorded=RECORDED, submission=submission)
        return resource["identifier"][0]["value"]

    assert entry("p1", "s1", "58.5") == entry("p1", "s1", "58.5")
    assert (
        len({entry("p1", "s1", "58.5"), entry("p1", "s1", "59"), entry("p1", "s2", "59"), entry("p2", "s1", "59")}) == 4
    )


def test_the_transaction_creates_each_entry_unless_it_exists():
    form = {"weight": "58"}
    bundle = transaction(made(**form), form, "p1", recorded=RECORDED, submission="s1")
    entry, response, provenance = bundle["entry"]
    assert response["resource"]["item"] == [
        {"linkId": "weight", "text": "Cân nặng (kg)", "answer": [{"valueDecimal": Decimal(58)}]}
    ]
    assert [target["reference"] for target in provenance["resource"]["target"]] == [
        entry["fullUrl"],
        response["fullUrl"],
        "Patient/p1",
    ]
    identifier = entry["resource"]["identifier"][0]
    assert bundle["type"] == "transaction"
    assert entry["request"] == {
        "method": "POST",
        "url": "Observation",
        "ifNoneExist": f"identifier={identifier['system']}|{identifier['value']}",
    }


def test_what_is_told_of_earlier_years_is_valid_fhir_that_says_who_told_it():
    declared = made(
        illness_2="yes",
        illness_15="yes",
        illness_other="Gút",
        surgery="Mổ ruột thừa",
        surgery_year="1999",
        relative_1="MTH",
        family_1="3",
        disability_1="yes",
        smoking="former",
        alcohol="some",
    )
    assert [validate_issues(resource) for resource in declared] == [[]] * 7
    told_of = [(each["resourceType"], (each.get("code") or each["relationship"]).get("text")) for each in declared]
    assert told_of[:5] == [
        ("Condition", "Tăng huyết áp"),
        ("Condition", "Gút"),
        ("Procedure", "Mổ ruột thừa"),
        ("FamilyMemberHistory", "Mẹ"),
        ("Condition", "Thính lực"),
    ]
    assert [each["valueCodeableConcept"]["text"] for each in declared[5:]] == [
        "Đã bỏ thuốc",
        "Thỉnh thoảng uống rượu bia",
    ]
    person = {"reference": "Patient/p1"}
    for each in declared:
        assert each.get("subject", each.get("patient")) == person
        assert each["meta"]["security"][0]["code"] == "PATAST"
        assert each["meta"]["tag"][0]["code"] == "self-declared"
    assert {each["asserter"]["reference"] for each in declared if "asserter" in each} == {"Patient/p1"}


@pytest.mark.parametrize(
    ("form", "field", "message"),
    [
        ({"illness_15": "yes"}, "illness_other", "declare.say_which"),
        ({"surgery_year": "1999"}, "surgery", "declare.say_which"),
        ({"surgery": "x", "surgery_year": "2030"}, "surgery_year", "declare.year"),
        ({"relative_1": "MTH"}, "family_1", "declare.family_both"),
        ({"family_2": "3"}, "relative_2", "declare.family_both"),
        ({"smoking": "sometimes"}, "smoking", "declare.choose"),
    ],
)
def test_what_is_half_told_is_asked_for(form: dict[str, str], field: str, message: str):
    assert told(**form) == [(field, message)]
