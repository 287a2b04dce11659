"""The match rules, one by one: certain, possible or no match. The people are invented."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.search.likeness import blocking_keys, is_of_number
from mappings import systems
from mappings.identity import judge
from mappings.names import resembles

SYSTEMS = {
    "cccd": systems.CCCD,
    "bhxh": systems.BHXH_NUMBER,
    "card": systems.BHYT_CARD,
    "cmnd": systems.CMND,
    "facility": systems.facility_patient_system("79001"),
    "temporary": systems.TEMPORARY_NUMBER,
}


def told(name: str = "Nguyễn Thị Lý", born: str = "1985-09-02", sex: str = "female", **numbers: str) -> dict[str, Any]:
    identifiers = [{"system": SYSTEMS[kind], "value": value} for kind, value in numbers.items()]
    return {"name": [{"text": name}], "birthDate": born, "gender": sex, "identifier": identifiers}


@pytest.mark.parametrize(
    ("one", "other", "grade"),
    [
        # CCCD with a birth date and a name that resembles.
        (told(cccd="000185000123"), told(cccd="000185000123"), "certain"),
        (told(cccd="000185000123"), told("Nguyễn Thị Lí", cccd="000185000123"), "certain"),
        (told(cccd="000185000123"), told("Nguyen Thi Lly", cccd="000185000123"), "certain"),
        (told(cccd="000185000123"), told("Trần Văn Bình", cccd="000185000123"), "possible"),
        (told(cccd="000185000123"), told(born="2026-11-20", cccd="000185000123"), "possible"),
        # The ten digits with birth date and folded name, off whichever card.
        (told(bhxh="7900000123"), told("NGUYEN THI LY", card="GD4797900000123"), "certain"),
        (told(bhxh="7900000123"), told(born="1985", bhxh="7900000123"), "certain"),
        (told(bhxh="7900000123"), told(born="1985-02-09", bhxh="7900000123"), "certain"),
        (told(bhxh="7900000123"), told("Nguyễn Thị Lí", bhxh="7900000123"), "possible"),
        (told(bhxh="7900000123"), told("Trần Thị Na", bhxh="7900000123"), "possible"),
        # A number in which they differ keeps the others from being certain.
        (told(bhxh="7900000123", cccd="000185000123"), told(bhxh="7900000123", cccd="000185000999"), "possible"),
        # Older and local numbers.
        (told(cmnd="025123456"), told(cmnd="025123456"), "certain"),
        (told(facility="77"), told(facility="77"), "certain"),
        (told(temporary="VD-79001-20261124-1"), told(temporary="VD-79001-20261124-1"), "certain"),
        # No number in common: possible at most.
        (told(), told(), "possible"),
        (told(), told("NGUYỄN LÝ THỊ"), "possible"),
        (told(), told("Nguyễn Lý"), "possible"),
        (told(), told(born="1985"), "possible"),
        (told(), told(born="1985-02-09"), "possible"),
        (told(), told(born="1990-01-01"), "none"),
        (told(), told(sex="male"), "none"),
        (told(bhxh="7900000123"), told(bhxh="7955555555"), "none"),
        (told(bhxh="7900000123"), told(bhxh="7900000124"), "possible"),
        # Twins, father and son.
        (told("Lê Thị Lan"), told("Lê Thị Loan", bhxh="7900000125"), "possible"),
        (told("Lê Văn An", "1960-05-03", "male"), told("Lê Văn An", "1985-05-03", "male"), "none"),
    ],
)
def test_a_pair_is_judged_the_same_from_both_sides(one: dict[str, Any], other: dict[str, Any], grade: str) -> None:
    assert (judge(one, other).grade, judge(other, one).grade) == (grade, grade)


def test_a_newborn_with_its_mothers_name_and_card_is_not_its_mother() -> None:
    mother, newborn = told(bhxh="7900000123"), told(born="2026-11-20", bhxh="7900000123")
    assert judge(newborn, mother).grade == judge(newborn, mother, by_name=False).grade == "possible"
    assert judge(told(born="2026-11-20"), told(), by_name=False).grade == "none"


def test_reasons_are_told_twice_and_quote_nothing() -> None:
    vi, en = judge(told(cccd="000185000123"), told("Trần Văn Bình", cccd="000185000123")).told()
    assert vi == "cùng số CCCD; khác họ tên; cùng ngày sinh; cùng giới tính"
    assert en == "same CCCD; another name; same birth date; same sex"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("hoa thi ly", "hoa thi li", True),
        ("thi hoa ly", "hoa thi ly", True),
        ("le van an", "le an", True),
        ("le van an", "le van ann", True),
        ("le van an", "le vna an", True),
        ("le van an", "le thi an", False),
        ("an", "le an", False),
    ],
)
def test_names_resemble(one: str, other: str, alike: bool) -> None:
    assert resembles(one, other) is resembles(other, one) is alike


def test_swapped_words_and_days_lead_to_the_same_keys() -> None:
    assert blocking_keys(told()) == blocking_keys(told("Lí Nguyễn Thị", "1985-02-09"))
    assert blocking_keys(told()) == ["1985 li nguien thi", "1985-02-09 lnt"]
    assert blocking_keys(told(born="")) == []


def test_one_wrong_or_missing_digit_leaves_half_of_the_number_to_be_found_by():
    def keys(number: str) -> set[str]:
        return {key for key in blocking_keys(told(bhxh=number)) if is_of_number(key)}

    assert keys("7900000501") == {"1985-09-02 li nguien thi#!79000-", "1985-09-02 li nguien thi#!-00501"}
    for mistyped in ("7900000502", "7900100501", "790000501", "79000005011", "7900000510"):
        assert keys("7900000501") & keys(mistyped)
    assert not keys("7900000501") & keys("7911111502")
