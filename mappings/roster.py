"""One row of a health-insurance (BHYT) roster into a Patient with its Coverages, or a refusal that says why.

https://hl7.org/fhir/R4/patient.html and https://hl7.org/fhir/R4/coverage.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mappings import person, profile_names
from mappings.addresses import read_address
from mappings.dates import parse_date, period
from mappings.names import clean, human_name
from mappings.numbers import BhytNumber, bare, facility_code, parse_bhyt_number
from mappings.problems import Problem, problem
from mappings.roster_headers import NUMBER_FIELDS, Layout

__all__ = ["Layout", "Refused", "RosterRow", "RosterSource", "map_row", "names_of"]


@dataclass(frozen=True, slots=True)
class RosterSource:
    """What is particular to a sender: how it codes sex, and the day it was sent, after which nobody in it is born."""

    sex: Mapping[str, str] = field(default_factory=lambda: person.SEX_CODINGS["auto"])
    sent_on: str = ""


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A row that can be stored. `full_url` is the Patient's urn:uuid, which the Coverages name as beneficiary."""

    number: int
    full_url: str
    patient: dict[str, Any]
    coverages: list[dict[str, Any]]
    match_keys: tuple[tuple[str, str], ...]
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that cannot be stored, with every reason."""

    number: int
    problems: tuple[Problem, ...]


def map_row(
    layout: Layout, number: int, values: Sequence[str], source: RosterSource | None = None
) -> RosterRow | Refused:
    """The row with the given number (for reports) and cell texts."""
    source = source or RosterSource()
    extra = [value for value in values[len(layout.headers) :] if value.strip()]
    if extra:
        return Refused(
            number,
            (
                problem(
                    "",
                    extra[0],
                    "Dòng có nhiều ô hơn số cột tiêu đề; hãy đặt ô có dấu phẩy trong dấu ngoặc kép",
                    "the row has more cells than there are columns; put quotes around a cell that holds the delimiter",
                ),
            ),
        )
    facts = layout.facts(values)
    refusals = _refusals(layout, facts, source)
    return Refused(number, tuple(refusals)) if refusals else _row(layout, number, facts, source)


def names_of(layout: Layout, values: Sequence[str]) -> set[str]:
    """What tells that two rows of a file are about one person: every number in a row, written in one way.

    The ten digits of a card count too, and a zero in front does not. What has no number in it at all names nobody.
    """
    found = set()
    for name in NUMBER_FIELDS:
        for position in layout.columns.get(name, ()):
            if position < len(values) and (value := bare(values[position])):
                number = parse_bhyt_number(value)
                found.add(value.lstrip("0") or value)
                if number is not None and number.bhxh:
                    found.add(number.bhxh.lstrip("0"))
    return found


def _refusals(layout: Layout, facts: Mapping[str, str], source: RosterSource) -> list[Problem]:
    found = []
    if not any(character.isalpha() for character in facts["name"]):
        found.append(problem(layout.header("name"), facts["name"], "Thiếu họ tên", "the name is missing"))
    text = facts["birth_date"]
    born = parse_date(text)
    if born is None:
        found.append(
            problem(
                layout.header("birth_date"),
                text,
                "Ngày sinh không đọc được; dùng ngày/tháng/năm, hoặc chỉ năm" if text else "Thiếu ngày sinh",
                "birth date not readable; write day/month/year, or the year alone" if text else "birth date is missing",
            )
        )
    elif source.sent_on and born.value > source.sent_on:
        found.append(
            problem(layout.header("birth_date"), text, "Ngày sinh ở tương lai", "the birth date lies in the future")
        )
    if not any(any(character.isalnum() for character in facts.get(name, "")) for name in NUMBER_FIELDS):
        found.append(
            problem(
                layout.header("card"),
                "",
                "Không có số thẻ BHYT, mã số BHXH hay CCCD nào để tìm lại người này",
                "no BHYT card, BHXH number or CCCD by which this person could be found again",
            )
        )
    return found


def _row(layout: Layout, number: int, facts: Mapping[str, str], source: RosterSource) -> RosterRow:
    warnings: list[Problem] = []
    born = parse_date(facts["birth_date"])
    assert born is not None  # _refusals has seen to it
    if born.doubtful:
        warnings.append(
            problem(
                layout.header("birth_date"),
                facts["birth_date"],
                "Ngày sinh 01/01 có thể chỉ là năm sinh",
                "a birth date of 1 January may mean that only the year is known",
            )
        )
    sex, found = person.gender(layout.header("sex"), facts.get("sex", ""), source.sex)
    warnings += found
    validity, found = _validity(layout, facts)
    warnings += found
    numbers, found = _bhyt_numbers(layout, facts)
    warnings += found
    identifiers: list[dict[str, Any]] = []
    for bhyt in numbers:
        warnings += person.bhyt_warnings(layout.header("card"), bhyt)
        _add(identifiers, person.bhyt_identifiers(bhyt, validity))
    for name in ("identity", "old_identity"):
        entry, found = person.identity_identifier(layout.header(name), facts.get(name, ""), sex, born.value)
        warnings += found
        _add(identifiers, [entry] if entry else [])
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "meta": {"profile": [profile_names.PATIENT]},
        "identifier": identifiers,
        "active": True,
    }
    patient["name"] = [human_name(facts["name"])]
    if telecom := person.phone(facts.get("phone", "")):
        patient["telecom"] = telecom
    patient["gender"] = sex
    patient["birthDate"] = born.value
    home, found = read_address(layout.header("address"), facts.get("address", ""))
    warnings += found
    if home:
        patient["address"] = [home]
    keys = person.match_keys(identifiers)
    full_url = person.urn(*keys[0])
    coverages, found = _coverages(layout, facts, numbers, full_url, validity)
    return RosterRow(number, full_url, patient, coverages, keys, tuple(warnings + found))


def _bhyt_numbers(layout: Layout, facts: Mapping[str, str]) -> tuple[list[BhytNumber], list[Problem]]:
    """The numbers of the card and BHXH columns; the latter only where it adds something."""
    card = parse_bhyt_number(facts.get("card", ""))
    bhxh = parse_bhyt_number(facts.get("bhxh", ""))
    if card is None or bhxh is None:
        return [number for number in (card, bhxh) if number], []
    if card.bhxh == bhxh.bhxh and card.bhxh:
        return [card], []
    if not card.bhxh:
        return [card, bhxh], []
    # The card names the person to the insurer; a second number that contradicts it would find someone else.
    return [card], [
        problem(
            layout.header("bhxh"),
            facts["bhxh"],
            "Mã số BHXH khác 10 số cuối của thẻ; đã dùng số trên thẻ",
            "BHXH number differs from the last 10 digits of the card; the card's was used",
        )
    ]


def _validity(layout: Layout, facts: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    bounds: dict[str, str | None] = {}
    warnings = []
    for name in ("valid_from", "valid_to"):
        text = clean(facts.get(name, "")).strip("-")
        date = parse_date(text)
        bounds[name] = date.value if date else None
        if text and not date:
            warnings.append(
                problem(layout.header(name), text, "Ngày không đọc được, đã bỏ trống", "date not readable, left empty")
            )
    start, end = bounds["valid_from"], bounds["valid_to"]
    if start and end and end < start:
        warnings.append(
            problem(
                layout.header("valid_to"),
                facts["valid_to"],
                "Ngày hết hạn trước ngày bắt đầu, đã bỏ trống",
                "the end is before the start, left empty",
            )
        )
        end = None
    return period(start, end), warnings


def _coverages(
    layout: Layout, facts: Mapping[str, str], numbers: list[BhytNumber], beneficiary: str, validity: dict[str, str]
) -> tuple[list[dict[str, Any]], list[Problem]]:
    warnings = []
    five_years = parse_date(facts.get("five_years", ""))
    if facts.get("five_years") and not five_years:
        warnings.append(
            problem(
                layout.header("five_years"),
                facts["five_years"],
                "Ngày không đọc được, đã bỏ trống",
                "date not readable, left empty",
            )
        )
    area = facts.get("area", "").upper()
    if area and area not in ("K1", "K2", "K3"):
        warnings.append(
            problem(
                layout.header("area"), area, "Mã khu vực không phải K1, K2, K3; đã bỏ", "area is not K1-K3; left out"
            )
        )
        area = ""
    covered = numbers[:1]  # one row is one card; a separate BHXH number only identifies
    return [
        person.coverage(
            number,
            beneficiary,
            period=validity,
            facility=facility_code(facts.get("facility", "")),
            area=area,
            five_years=five_years.value if five_years else "",
        )
        for number in covered
    ], warnings


def _add(identifiers: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    seen = {(entry["system"], entry["value"]) for entry in identifiers}
    identifiers.extend(entry for entry in more if (entry["system"], entry["value"]) not in seen)
