"""How sure the facts make us that two descriptions are of one person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.operations.agreement import CERTAIN_SCORE, compare
from mappings.identity import judge
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


@st.composite
def people(draw: st.DrawFn) -> dict[str, Any]:
    """Accounts of few people, so that many of them share something."""
    pick = {
        "name": ["Nguyễn Thị Ánh Đào", "Nguyen Anh Dao", "Lê Văn Bình", None],
        "born": ["1985-09-02", "1985-02-09", "1985", "1990-01-01", None],
        "gender": ["female", "male", None],
        "phone": ["0900000001", None],
    }
    numbers = {"cccd": [CCCD_1, CCCD_2], "bhxh": ["7900000123", "7900000124"], "card": ["GD4797900000123"]}
    drawn = {name: draw(st.sampled_from(values)) for name, values in pick.items()}
    told = {name: draw(st.sampled_from(values)) for name, values in numbers.items() if draw(st.booleans())}
    return person(**drawn, **told)


@pytest.mark.parametrize(
    ("one", "other", "grade", "score"),
    [
        # CCCD makes certain alone, or with the birth date and a name that resembles.
        (person(cccd=CCCD_1), person(cccd=CCCD_1), "certain", "1.00"),
        (person(cccd=CCCD_1, name=None, born=None), person(cccd=CCCD_1), "certain", "0.95"),
        (person(cccd=CCCD_1), person(cccd=CCCD_1, name="Nguyễn Thị Ánh Đàoo"), "certain", "1.00"),
        (person(cccd=CCCD_1), person(cccd=CCCD_1, name="Đào Thị Khác"), "probable", "0.90"),
        (person(cccd=CCCD_1), person(cccd=CCCD_1, name="Lê Văn Bình", born="1990-01-01"), "possible", "0.35"),
        # 10 digits need name and birth date.
        (person(bhxh="7900000123"), person(bhxh="7900000123"), "certain", "1.00"),
        (person(bhxh="7900000123", name=None), person(bhxh="7900000123"), "probable", "0.90"),
        (person(bhxh="7900000123", born=None), person(bhxh="7900000123"), "probable", "0.90"),
        (person(bhxh="7900000123"), person(bhxh="7900000123", born="1990-01-01"), "probable", "0.60"),
        # The 10 digits at the end of a card are the same number, and outlive the card.
        (person(card="GD 4 79 7900000123"), person(card="HN2797900000123"), "certain", "1.00"),
        # Another CCCD keeps everything else from being sure.
        (person(cccd=CCCD_1, bhxh="7900000123"), person(cccd=CCCD_2, bhxh="7900000123"), "possible", "0.59"),
        # No number at all.
        (person(), person(name="NGUYEN THI ANH DAO"), "possible", "0.55"),
        (person(), person(name="Đào Ánh Thị Nguyễn"), "possible", "0.45"),
        (person(phone="090 000 0001", born=None), person(phone="0900000001"), "possible", "0.45"),
        (person(born="1985"), person(), "possible", "0.40"),
        (person(), person(gender="male"), "certainly-not", "0.34"),
        (person(), person(born="1990-01-01"), "certainly-not", "0.00"),
    ],
)
def test_the_grade_follows_from_the_facts(one, other, grade, score) -> None:
    found = compare(one, other)
    assert (found.grade, found.score) == (grade, Decimal(score))
    assert compare(other, one) == found


@given(one=people(), other=people())
def test_what_the_imports_would_not_join_is_never_certain_here(one, other) -> None:
    found, verdict = compare(one, other), judge(one, other)
    assert (found.grade == "certain") == (verdict.grade == "certain")
    assert (found.grade == "certainly-not") == (verdict.grade == "none")
    assert found.facts == verdict.reasons
    assert (found.score >= CERTAIN_SCORE) == (found.grade == "certain")


def test_the_facts_are_told_apart() -> None:
    found = compare(person(cccd=CCCD_1), person(cccd=CCCD_1, gender="male", name="Lê Văn Khác"))
    assert found.agreed == ["cccd", "birth-date"]
    assert found.differed == ["name", "sex"]


def test_family_and_given_names_are_read_in_the_vietnamese_order() -> None:
    parts = {"name": [{"family": "Nguyễn", "given": ["Thị", "Ánh", "Đào"]}]}
    assert compare(parts, person(born=None, gender=None)).agreed == ["name"]


def test_people_without_anything_in_common_agree_in_nothing() -> None:
    found = compare({}, person())
    assert (found.facts, found.grade, found.score) == ((), "certainly-not", Decimal("0"))
