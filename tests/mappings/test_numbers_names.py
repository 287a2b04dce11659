"""Numbers that name people, names, and addresses."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from mappings import systems
from mappings.addresses import address
from mappings.names import fold, human_name
from mappings.numbers import BhytNumber, bare, cccd_sex_and_year, facility_code, identity_kind, parse_bhyt_number
from mappings.systems import identifier_criteria, token


def test_a_card_of_15_characters_carries_object_code_benefit_and_bhxh_number() -> None:
    expected = BhytNumber("card", "GD4797900000123", "GD", "4", "7900000123")
    assert parse_bhyt_number("GD4797900000123") == expected
    assert parse_bhyt_number(" gd4 79 79.0000-0123 ") == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("7900000127", "bhxh"),
        ("079185000123", "cccd"),
        ("GD479790000012", "other"),
        ("GD9797900000123", "other"),
        ("７９００００００12", "bhxh"),
    ],
)
def test_the_kind_of_a_number_follows_from_its_form(text: str, kind: str) -> None:
    number = parse_bhyt_number(text)
    assert number is not None
    assert number.kind == kind


def test_an_empty_number_is_none() -> None:
    assert parse_bhyt_number(" - ") is None


def test_a_cccd_encodes_sex_and_birth_year() -> None:
    assert cccd_sex_and_year("079185000123") == ("female", "1985")
    assert cccd_sex_and_year("079304000123") == ("female", "2004")
    assert cccd_sex_and_year("079085000123") == ("male", "1985")


def test_identity_kinds() -> None:
    assert [identity_kind(value) for value in ("079185000123", "025123456", "B1234567", "12345")] == [
        "cccd",
        "cmnd",
        "passport",
        "other",
    ]


@pytest.mark.parametrize("text", ["79001", "79-001", "79 – 001", "79 - 001"])
def test_a_facility_code_has_five_digits_however_it_is_written(text: str) -> None:
    assert facility_code(text) == "79001"
    assert bare(text) == "79001"


def test_the_family_name_is_the_first_word() -> None:
    assert human_name(unicodedata.normalize("NFD", "  Nguyễn  Thị Ánh Đào ")) == {
        "use": "official",
        "text": "Nguyễn Thị Ánh Đào",
        "family": "Nguyễn",
        "given": ["Thị", "Ánh", "Đào"],
    }
    assert human_name("Pấu") == {"use": "official", "text": "Pấu", "family": "Pấu"}
    assert human_name(" ") is None


def test_names_fold_whatever_their_composition() -> None:
    for form in ("NFC", "NFD"):
        assert fold(unicodedata.normalize(form, "NGUYỄN Thị Ánh  Đào")) == "nguyen thi anh dao"
    assert fold("Hoà") == fold("hòa") == "hoa"


def place_code(system: str, code: str) -> dict[str, Any]:
    return {"url": systems.PLACE_CODE, "valueCoding": {"system": system, "version": "2025", "code": code}}


def test_an_address_is_split_where_its_parts_are_plain() -> None:
    assert address("12 Lê Lợi, Phường Sài Gòn, Thành phố Hồ Chí Minh") == {
        "use": "home",
        "text": "12 Lê Lợi, Phường Sài Gòn, Thành phố Hồ Chí Minh",
        "line": ["12 Lê Lợi"],
        "city": "Phường Sài Gòn",
        "state": "Thành phố Hồ Chí Minh",
        "country": "VN",
        "_city": {"extension": [place_code(systems.WARD, "26740")]},
        "_state": {"extension": [place_code(systems.PROVINCE, "79")]},
    }
    assert address("Huyện cũ không còn") == {
        "use": "home",
        "text": "Huyện cũ không còn",
        "district": "Huyện cũ không còn",
    }


def test_a_search_token_escapes_what_search_gives_a_meaning() -> None:
    assert token("http://a/b", "1,2|3") == "http://a/b|1\\,2\\|3"
    assert identifier_criteria("http://a/b", "1&2") == "identifier=http://a/b|1%262"
