"""The parts of a Patient and a Coverage that every Vietnamese source has in common: dated identifiers, sex, insurance.

https://hl7.org/fhir/R4/patient.html and https://hl7.org/fhir/R4/coverage.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uuid_utils

from mappings import profile_names, systems
from mappings.code_lists import object_codes
from mappings.names import clean, fold
from mappings.numbers import BhytNumber, bare, cccd_sex_and_year, identity_kind
from mappings.problems import Problem, problem

PAYOR = "Bảo hiểm xã hội Việt Nam"


@dataclass(frozen=True, slots=True)
class Account:
    """What a card or a form tells of one person. Each of `coverages` names the Patient by `full_url`."""

    full_url: str
    patient: dict[str, Any]
    coverages: tuple[dict[str, Any], ...] = ()
    warnings: tuple[Problem, ...] = ()


# system of the number, HL7 v2 identifier type, what people call it
_IDENTITY = {
    "cccd": (systems.CCCD, "NI", "Căn cước công dân"),
    "cmnd": (systems.CMND, "NI", "Chứng minh nhân dân"),
    "passport": (systems.PASSPORT, "PPN", "Hộ chiếu"),
    "other": (systems.OTHER_NUMBER, "", "Giấy tờ khác"),
    "card": (systems.BHYT_CARD, "SB", "Thẻ bảo hiểm y tế"),
    "bhxh": (systems.BHXH_NUMBER, "SS", "Mã số bảo hiểm xã hội"),
    "facility": ("", "MR", "Mã người bệnh tại cơ sở"),
    "temporary": (systems.TEMPORARY_NUMBER, "", "Số tạm"),
}


def concept(system: str, code: str, display: str = "", text: str = "") -> dict[str, Any]:
    """A CodeableConcept of one coding; `display` only where the code list gives one."""
    coding = {"system": system, "code": code}
    if display:
        coding["display"] = display
    return {"coding": [coding], "text": text} if text else {"coding": [coding]}


def identifier(kind: str, value: str, *, system: str = "", period: Mapping[str, str] | None = None) -> dict[str, Any]:
    """An Identifier of a kind of number. `system` overrides the kind's own (facility numbers have one per facility)."""
    own_system, type_code, text = _IDENTITY[kind]
    result: dict[str, Any] = {"use": "secondary" if kind in ("other", "facility") else "official"}
    result["type"] = concept(systems.V2_IDENTIFIER_TYPE, type_code, text=text) if type_code else {"text": text}
    result["system"] = system or own_system
    result["value"] = value
    if period:
        result["period"] = dict(period)
    return result


def bhyt_identifiers(number: BhytNumber, period: Mapping[str, str]) -> list[dict[str, Any]]:
    """The identifiers a BHYT number gives: the card with its period, and the BHXH number that stays when cards change.

    A number of unknown form is kept as a card, since that is where people will look for what is printed.
    """
    if number.kind == "cccd":
        return [identifier("cccd", number.value)]
    if number.kind == "bhxh":
        return [identifier("bhxh", number.value)]
    card = identifier("card", number.value, period=period)
    return [card, identifier("bhxh", number.bhxh)] if number.bhxh else [card]


def bhyt_warnings(field: str, number: BhytNumber) -> list[Problem]:
    """What is unusual about a BHYT number, none of it a reason to refuse it."""
    if number.kind == "other":
        return [
            problem(
                field,
                number.value,
                "Số BHYT không phải 10, 12 hay 15 ký tự đúng dạng; vẫn được giữ nguyên, hãy kiểm tra lại",
                "not a BHYT number of 10, 12 or 15 characters; kept as it is, please check",
            )
        ]
    if number.kind == "card" and number.object_code not in object_codes():
        return [
            problem(
                field,
                number.object_code,
                "Mã đối tượng trên thẻ BHYT không có trong danh mục",
                "the object code of the BHYT card is not in the published list",
            )
        ]
    return []


def identity_identifier(
    field: str, text: str, sex: str, birth_date: str
) -> tuple[dict[str, Any] | None, list[Problem]]:
    """The Identifier of a CCCD, CMND or passport number, and what is doubtful about it."""
    value = bare(text)
    if not value:
        return None, []
    warnings = []
    # Spreadsheets that take a CCCD for a number drop its leading zero; sex and year inside it tell when that happened.
    if (
        len(value) == 11
        and value.isascii()
        and value.isdigit()
        and cccd_sex_and_year("0" + value) == (sex, birth_date[:4])
    ):
        warnings.append(problem(field, value, "Số CCCD thiếu số 0 ở đầu, đã thêm", "leading zero of the CCCD restored"))
        value = "0" + value
    kind = identity_kind(value)
    if kind == "other":
        warnings.append(
            problem(
                field,
                value,
                "Không phải số CCCD (12 số), CMND (9 số) hay hộ chiếu; vẫn được giữ nguyên",
                "not a CCCD (12 digits), CMND (9 digits) or passport number; kept as it is",
            )
        )
    elif kind == "cccd" and cccd_sex_and_year(value) != (sex, birth_date[:4]):
        warnings.append(
            problem(
                field,
                value,
                "Giới tính hoặc năm sinh trong số CCCD khác với khai báo",
                "sex or birth year inside the CCCD differs from what is declared",
            )
        )
    return identifier(kind, value), warnings


# How sources write sex, folded. Which digits a source uses is the source's own affair: see SEX_CODINGS.
_SEX_WORDS = {
    "nam": "male",
    "nu": "female",
    "male": "male",
    "female": "female",
    "m": "male",
    "f": "female",
    "chua xac dinh": "unknown",
    "khong xac dinh": "unknown",
    "khac": "other",
}
SEX_CODINGS: Mapping[str, Mapping[str, str]] = {
    "auto": _SEX_WORDS | {"1": "male", "2": "female", "0": "female", "3": "unknown"},
    "1-2-3": _SEX_WORDS | {"1": "male", "2": "female", "3": "unknown"},
    "1-0": _SEX_WORDS | {"1": "male", "0": "female"},
    "0-1": _SEX_WORDS | {"0": "male", "1": "female"},
}


def gender(field: str, text: str, coding: Mapping[str, str]) -> tuple[str, list[Problem]]:
    """The administrative gender, "unknown" with a warning when the text says none that the source's coding has."""
    known = coding.get(fold(text))
    if known:
        return known, []
    return "unknown", [
        problem(field, clean(text), "Không rõ giới tính, ghi là chưa xác định", "sex not recognised, stored as unknown")
    ]


def phone(text: str) -> list[dict[str, Any]]:
    """ContactPoints of a phone text: digits only, a leading + kept; empty when there is none."""
    digits = "".join(character for character in bare(text) if character.isdigit() or character == "+")
    return [{"system": "phone", "value": digits}] if digits else []


def urn(system: str, value: str) -> str:
    """The urn:uuid a resource has inside bundles: the same for the same identifier, whoever computes it."""
    return f"urn:uuid:{uuid_utils.uuid5(uuid_utils.NAMESPACE_URL, f'{system}|{value}')}"


def coverage(
    number: BhytNumber,
    beneficiary: str,
    *,
    period: Mapping[str, str],
    facility: str = "",
    area: str = "",
    five_years: str = "",
) -> dict[str, Any]:
    """The Coverage of a BHYT number. `beneficiary` is a reference, `five_years` the FHIR date of five years' cover."""
    kind = "card" if number.kind == "other" else number.kind
    result: dict[str, Any] = {"resourceType": "Coverage", "meta": {"profile": [profile_names.COVERAGE]}}
    extensions: list[dict[str, Any]] = []
    if area:
        extensions.append({"url": systems.LIVING_AREA, "valueCode": area})
    if five_years:
        extensions.append({"url": systems.FIVE_YEAR_DATE, "valueDate": five_years})
    if extensions:
        result["extension"] = extensions
    result["identifier"] = [{"system": _IDENTITY[kind][0], "value": number.value}]
    result["status"] = "active"
    result["type"] = concept(systems.V3_ACT_CODE, "PUBLICPOL", text="Bảo hiểm y tế")
    result["subscriberId"] = number.value
    result["beneficiary"] = {"reference": beneficiary}
    if period:
        result["period"] = dict(period)
    result["payor"] = [{"display": PAYOR}]
    if number.object_code:
        group: dict[str, Any] = {"type": concept(systems.COVERAGE_CLASS, "group"), "value": number.object_code}
        if object_codes().get(number.object_code):
            group["name"] = object_codes()[number.object_code]
        plan = {"type": concept(systems.COVERAGE_CLASS, "plan"), "value": number.benefit}
        result["class"] = [group, plan]
    if facility:
        result["network"] = facility
    return result


def if_none_exist(patient: Mapping[str, Any], keys: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The condition of a transaction entry that creates a Patient: none with the most certain number and birth date.

    Empty for somebody without a number. Two imports that meet the same new person at once make one Patient this way.
    """
    if not keys:
        return {}
    criteria = systems.identifier_criteria(*keys[0])
    born = patient.get("birthDate", "")
    return {"ifNoneExist": f"{criteria}&birthdate={born}" if born else criteria}


def match_keys(identifiers: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """(system, value) of the numbers that can find a person, the most certain first."""
    order = [systems.CCCD, systems.BHXH_NUMBER, systems.BHYT_CARD, systems.CMND, systems.PASSPORT]
    keys = [(entry["system"], entry["value"]) for entry in identifiers]
    ranked = [key for system in order for key in keys if key[0] == system]
    return tuple(ranked + [key for key in keys if key not in ranked])
