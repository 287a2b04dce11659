"""The form staff fill in: what it makes, and what it says of each field that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.resource.validation import validate
from mappings import systems
from mappings.staff_form import InvalidForm, read_form

TODAY = "2026-11-24"
FORM = {"name": "Hồ Thị Mơ", "birth_date": "3/2/1950", "sex": "nữ"}


def refused(form: Any) -> dict[str, tuple[str, str]]:
    with pytest.raises(InvalidForm) as caught:
        read_form(form, today=TODAY)
    return {each.field: (each.reason_vi, each.reason_en) for each in caught.value.problems}


def test_a_person_without_any_number_has_no_identifier() -> None:
    account = read_form({**FORM, "phone": "0900 000 001", "address": "Xã Thử, Tỉnh Thử", "cccd": ""}, today=TODAY)
    patient = account.patient
    assert validate(patient) == patient
    assert "identifier" not in patient
    assert (patient["birthDate"], patient["gender"], patient["name"][0]["text"]) == (
        "1950-02-03",
        "female",
        "Hồ Thị Mơ",
    )
    assert patient["telecom"] == [{"system": "phone", "value": "0900000001"}]
    assert account.coverages == ()


def test_numbers_are_read_and_a_bhyt_number_brings_its_coverage() -> None:
    account = read_form({**FORM, "cccd": "000150000001", "bhyt": "GD4 79 7900000001"}, today=TODAY)
    found = {(each["system"], each["value"]) for each in account.patient["identifier"]}
    assert found == {
        (systems.CCCD, "000150000001"),
        (systems.BHYT_CARD, "GD4797900000001"),
        (systems.BHXH_NUMBER, "7900000001"),
    }
    (coverage,) = account.coverages
    assert coverage["beneficiary"] == {"reference": account.full_url}


def test_a_cccd_that_also_stands_as_bhyt_number_is_one_identifier() -> None:
    account = read_form({**FORM, "cccd": "000150000001", "bhyt": "000150000001"}, today=TODAY)
    assert [each["value"] for each in account.patient["identifier"]] == ["000150000001"]


def test_a_guardian_is_a_contact_and_no_name_of_the_child() -> None:
    account = read_form({**FORM, "guardian_name": "Lê Thị Mẹ", "guardian_phone": "0900000002"}, today=TODAY)
    (contact,) = account.patient["contact"]
    assert (contact["name"]["text"], contact["telecom"][0]["value"]) == ("Lê Thị Mẹ", "0900000002")
    assert [each["text"] for each in account.patient["name"]] == ["Hồ Thị Mơ"]


def test_each_field_is_told_what_is_wrong_with_it_in_two_languages() -> None:
    assert refused({}) == dict.fromkeys(("name", "birth_date", "sex"), ("Cần điền mục này", "this has to be filled in"))
    wrong = refused(
        {
            "name": "123",
            "birth_date": "31/02/2000",
            "sex": "x",
            "cccd": "12",
            "cmnd": "1",
            "bhyt": "ABC",
            "phone": "1",
            "facility": "1",
            "height": "150",
        }
    )
    assert wrong["birth_date"] == (
        "Ngày sinh không đọc được; dùng ngày/tháng/năm, hoặc chỉ năm",
        "the birth date is not readable; write day/month/year, or the year alone",
    )
    assert wrong["cccd"] == ("Số CCCD có 12 chữ số", "a CCCD has 12 digits")
    assert wrong["height"] == ("Biểu mẫu không có mục này", "the form has no such field")
    assert set(wrong) == {"name", "birth_date", "sex", "cccd", "cmnd", "bhyt", "phone", "facility", "height"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"name": "a" * 201}, "name"),
        ({"birth_date": "25/11/2026"}, "birth_date"),
        ({"sex": ""}, "sex"),
    ],
)
def test_what_cannot_be_names_its_field(change: dict[str, Any], field: str) -> None:
    assert list(refused({**FORM, **change})) == [field]


@pytest.mark.parametrize("form", [None, [], "text", 3])
def test_what_is_no_form_at_all_is_refused(form: Any) -> None:
    assert list(refused(form)) == [""]
