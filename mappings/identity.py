"""Whether an incoming person is one who is already known: by number, and never by number alone.

A number is typed and read by people, so it counts when birth date or name agree with it. A number that leads to
somebody who agrees in neither, and numbers that lead to two people, are for a person to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.dates import agree
from mappings.names import fold
from mappings.problems import Problem, problem

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Match:
    """`patient` is the known person or None; `doubt` says why nobody may be chosen; `corrected` what differs."""

    patient: dict[str, Any] | None = None
    doubt: Problem | None = None
    corrected: Problem | None = None


def same_birth_date(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the birth dates of two Patients agree as far as both are known."""
    return agree(one.get("birthDate", ""), other.get("birthDate", ""))


def same_name(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two Patients share a name, whatever its case and diacritics."""
    return bool(_names(one) & _names(other))


def _names(patient: Mapping[str, Any]) -> set[str]:
    return {fold(name["text"]) for name in patient.get("name", ()) if name.get("text")}


def match(
    incoming: Mapping[str, Any], keys: Iterable[Key], known: Mapping[Key, list[dict[str, Any]]], *, by_name: bool = True
) -> Match:
    """Find the incoming Patient among the known ones, which stand under the numbers they carry.

    A known Patient that stands under several numbers is one and the same object.

    `by_name=False` is for sources that may give a newborn the name of a parent: there only the birth date confirms.
    """
    corrected = None
    chosen: dict[str, Any] | None = None
    for system, value in keys:
        for candidate in known.get((system, value), ()):
            if chosen is not None:
                if candidate is not chosen:
                    return Match(doubt=_two_people(value))
                continue
            born = same_birth_date(incoming, candidate)
            named = same_name(incoming, candidate)
            if not (born or (by_name and named)):
                return Match(doubt=_someone_else(value))
            if by_name and not (born and named):
                corrected = _corrected(value, "birthDate" if named else "name")
            chosen = candidate
    return Match(patient=chosen, corrected=corrected)


def _two_people(value: str) -> Problem:
    return problem(
        "identifier",
        value,
        "Các số giấy tờ trỏ đến hai người khác nhau; cần cán bộ xem xét",
        "the numbers lead to two different people; somebody has to decide",
    )


def _someone_else(value: str) -> Problem:
    return problem(
        "identifier",
        value,
        "Số này đã thuộc về người có họ tên và ngày sinh khác; cần cán bộ xem xét",
        "this number belongs to somebody with another name and birth date; somebody has to decide",
    )


def _corrected(value: str, element: str) -> Problem:
    what_vi, what_en = ("Ngày sinh", "birth date") if element == "birthDate" else ("Họ tên", "name")
    return problem(
        element,
        value,
        f"{what_vi} khác với hồ sơ đã có, đã cập nhật",
        f"the {what_en} differs from the record and has been updated",
    )
