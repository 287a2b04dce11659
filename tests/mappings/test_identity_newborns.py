"""A newborn may come with a parent's name and card: whatever else it says, it is never matched on the name."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from mappings import systems
from mappings.identity import judge, match, numbers

NAMES = ("Nguyễn Thị Ánh Đào", "Nguyen Thi Anh Dao", "Đào Nguyễn", "Lê Văn Bình")
NUMBERS = (
    (systems.CCCD, "000185000123"),
    (systems.BHXH_NUMBER, "7900000123"),
    (systems.BHYT_CARD, "GD4797900000123"),
    (systems.CMND, "000000123"),
    (systems.PASSPORT, "X0000123"),
)


@st.composite
def accounts(draw: st.DrawFn, years: st.SearchStrategy[int]) -> dict[str, Any]:
    born = f"{draw(years):04}-{draw(st.integers(1, 12)):02}-{draw(st.integers(1, 28)):02}"
    carried = draw(st.lists(st.sampled_from(NUMBERS), unique=True))
    return {
        "name": [{"text": draw(st.sampled_from(NAMES))}],
        "gender": draw(st.sampled_from(["male", "female", "unknown"])),
        "birthDate": draw(st.sampled_from([born, born[:4]])),
        "identifier": [{"system": system, "value": value} for system, value in carried],
    }


PARENTS, NEWBORNS = accounts(st.integers(1960, 2008)), accounts(st.integers(2025, 2026))


def born(day: str, *numbers: tuple[str, str]) -> dict[str, Any]:
    identifiers = [{"system": system, "value": value} for system, value in numbers]
    return {"name": [{"text": NAMES[0]}], "gender": "female", "birthDate": day, "identifier": identifiers}


@given(parent=PARENTS, child=NEWBORNS)
# Born on the same day of the year, twenty years apart: one digit, and no slip of the pen.
@example(parent=born("2005-01-01"), child=born("2025-01-01"))
@example(parent=born("2005-03-08", NUMBERS[1], NUMBERS[2]), child=born("2025-03-08", NUMBERS[1], NUMBERS[2]))
def test_a_newborn_is_never_its_parent(parent: dict[str, Any], child: dict[str, Any]) -> None:
    for by_name in (True, False):
        assert judge(child, parent, by_name=by_name).grade != "certain"
        known = {key: [parent] for key in numbers(parent)}
        found = match(child, sorted(numbers(child)), known, others=[parent], by_name=by_name)
        assert found.patient is None
        # Without a number in common it is not even a question.
        assert bool(found.possible) == bool(numbers(child) & numbers(parent))


@given(one=NEWBORNS, other=NEWBORNS)
def test_where_a_name_may_be_a_parents_it_tells_nothing(one: dict[str, Any], other: dict[str, Any]) -> None:
    renamed = {**one, "name": [{"text": "Tên Khác Hẳn"}]}
    assert judge(one, other, by_name=False) == judge(renamed, other, by_name=False)
