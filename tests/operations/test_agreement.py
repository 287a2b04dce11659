"""How sure the facts make us that two descriptions are of one person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.operations.agreement import compare
from mappings.systems import BHXH_NUMBER, BHYT_CARD, CCCD

CCCD_1, CCCD_2 = "000000000123", "000000000999"


def person(name="Nguyễn Thị Ánh Đào", born="1985-09-02", gender="female", phone=None, **numbers):
    made: dict[str, Any] = {"resourceType": "Patient"}
    if name:
        made["name"] = [{"text": name}]
    if born:
        made["birthDate"] = born
    if gender:
        made["gender"] = gender
    if phone:
        made["telecom"] = [{"system": "phone", "value": phone}]
    systems = {"cccd": CCCD, "bhxh": BHXH_NUMBER, "card": BHYT_CARD}
    made["identifier"] = [{"system": systems[kind], "value": value} for kind, value in numbers.items()]
    return made


@pytest.mark.parametrize(
    ("one", "other", "grade", "score"),
    [
        # CCCD makes certain, alone and while name or birth date agrees.
        (person(cccd=CCCD_1), person(cccd=CCCD_1), "certain", "0.95"),
        (person(cccd=CCCD_1, name=None, born=None), person(cccd=CCCD_1), "certain", "0.95"),
        (person(cccd=CCCD_1), person(cccd=CCCD_1, name="Đào Thị Khác"), "certain", "0.95"),
        (person(cccd=CCCD_1), person(cccd=CCCD_1, name="Lê Văn Bình", born="1990-01-01"), "possible", "0.35"),
        # 10 digits need name and birth date.
        (person(bhxh="7900000123"), person(bhxh="7900000123"), "certain", "0.95"),
        (person(bhxh="7900000123", name=None), person(bhxh="7900000123"), "probable", "0.90"),
        (person(bhxh="7900000123", born=None), person(bhxh="7900000123"), "probable", "0.90"),
        (person(bhxh="7900000123"), person(bhxh="7900000123", born="1990-01-01"), "probable", "0.60"),
        # The 10 digits at the end of a card are the same number, and outlive the card.
        (person(card="GD 4 79 7900000123"), person(card="HN2797900000123"), "certain", "0.95"),
        # Another CCCD keeps everything else from being sure.
        (person(cccd=CCCD_1, bhxh="7900000123"), person(cccd=CCCD_2, bhxh="7900000123"), "possible", "0.59"),
        # No number at all.
        (person(), person(name="NGUYEN THI ANH DAO"), "possible", "0.55"),
        (person(phone="090 000 0001"), person(phone="0900000001"), "probable", "0.70"),
        (person(born="1985"), person(), "possible", "0.40"),
        (person(), person(gender="male"), "possible", "0.35"),
        (person(), person(born="1990-01-01"), "certainly-not", "0.00"),
    ],
)
def test_the_grade_follows_from_the_facts(one, other, grade, score) -> None:
    found = compare(one, other)
    assert (found.grade, found.score) == (grade, Decimal(score))
    assert compare(other, one) == found


def test_the_facts_are_told_apart() -> None:
    found = compare(person(cccd=CCCD_1), person(cccd=CCCD_1, gender="male", name="Nguyễn Thị Khác"))
    assert found.agreed == ["cccd", "birth-date"]
    assert found.differed == ["name", "sex"]


def test_family_and_given_names_are_read_in_the_vietnamese_order() -> None:
    parts = {"name": [{"family": "Nguyễn", "given": ["Thị", "Ánh", "Đào"]}]}
    assert compare(parts, person(born=None, gender=None)).agreed == ["name"]


def test_people_without_anything_in_common_agree_in_nothing() -> None:
    found = compare({}, person())
    assert (found.facts, found.grade, found.score) == ((), "certainly-not", Decimal("0"))
