"""Rows of XML4 (results of laboratory, imaging and functional tests) into Observations.

https://hl7.org/fhir/R4/observation.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from mappings import systems
from mappings.dates import parse_timestamp
from mappings.giamdinhhs import Row, Visit
from mappings.names import fold
from mappings.person import concept
from mappings.problems import Problem, problem

_NUMBER = re.compile(r"(<=|>=|≤|≥|<|>)?\s*([+-]?\d{1,12}(?:[.,]\d{1,12})?)")
# "12,400" may be 12.4 with three digits or 12,400 with a thousands separator: a factor of 1,000 is not to be guessed.
_AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_COMPARATORS = {"<": "<", ">": ">", "<=": "<=", ">=": ">=", "≤": "<=", "≥": ">="}

# Units as laboratories write them -> UCUM, where there is no doubt. G/L and g/L differ, so case counts.
_UCUM: Mapping[str, str] = {
    "%": "%",
    "g/dL": "g/dL",
    "g/dl": "g/dL",
    "g/L": "g/L",
    "g/l": "g/L",
    "G/L": "10*9/L",
    "G/l": "10*9/L",
    "10^9/L": "10*9/L",
    "T/L": "10*12/L",
    "T/l": "10*12/L",
    "10^12/L": "10*12/L",
    "fL": "fL",
    "fl": "fL",
    "pg": "pg",
    "mmol/L": "mmol/L",
    "mmol/l": "mmol/L",
    "umol/L": "umol/L",
    "µmol/L": "umol/L",
    "μmol/L": "umol/L",
    "umol/l": "umol/L",
    "µmol/l": "umol/L",
    "μmol/l": "umol/L",
    "mg/dL": "mg/dL",
    "mg/dl": "mg/dL",
    "mg/L": "mg/L",
    "mg/l": "mg/L",
    "ng/mL": "ng/mL",
    "ng/ml": "ng/mL",
    "pg/mL": "pg/mL",
    "pg/ml": "pg/mL",
    "U/L": "U/L",
    "U/l": "U/L",
    "IU/L": "[IU]/L",
    "mm/h": "mm/h",
    "mmHg": "mm[Hg]",
    "kg": "kg",
    "cm": "cm",
}

# (indicator name folded, UCUM unit) -> LOINC, for the few that name and unit settle together.
_LOINC: Mapping[tuple[str, str], tuple[str, str]] = {
    (name, unit): loinc
    for names, unit, loinc in (
        (
            ("hemoglobin", "hgb", "huyet sac to", "hemoglobin (hgb)"),
            "g/dL",
            ("718-7", "Hemoglobin [Mass/volume] in Blood"),
        ),
        (
            ("wbc", "bach cau", "wbc (bach cau)"),
            "10*9/L",
            ("6690-2", "Leukocytes [#/volume] in Blood by Automated count"),
        ),
        (
            ("rbc", "hong cau", "rbc (hong cau)"),
            "10*12/L",
            ("789-8", "Erythrocytes [#/volume] in Blood by Automated count"),
        ),
        (
            ("plt", "tieu cau", "plt (tieu cau)"),
            "10*9/L",
            ("777-3", "Platelets [#/volume] in Blood by Automated count"),
        ),
        (("hba1c",), "%", ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood")),
        (
            ("glucose mau", "duong huyet", "glucose huyet thanh"),
            "mmol/L",
            ("14749-6", "Glucose [Moles/volume] in Serum or Plasma"),
        ),
    )
    for name in names
}

# MA_NHOM of the service in XML3 -> what kind of observation its result is.
_CATEGORY_OF_GROUP = {"1": "laboratory", "2": "imaging", "3": "exam"}


def parse_number(text: str) -> tuple[str, Decimal | int] | None:
    """(comparator or "", value) of a number with point or comma, digits kept; None for anything else or in doubt."""
    found = _NUMBER.fullmatch(text.strip())
    if not found or _AMBIGUOUS.fullmatch(found[2]):
        return None
    literal = found[2].replace(",", ".").removeprefix("+")
    return _COMPARATORS.get(found[1] or "", ""), Decimal(literal) if "." in literal else int(literal)


def quantity(value: Decimal | int, unit: str, comparator: str = "") -> dict[str, Any]:
    """A Quantity; system and code only where the unit is known to be one of UCUM."""
    result: dict[str, Any] = {"value": value}
    if comparator:
        result["comparator"] = comparator
    if unit:
        result["unit"] = unit
    if unit in _UCUM:
        result |= {"system": systems.UCUM, "code": _UCUM[unit]}
    return result


def results(visit: Visit) -> tuple[list[tuple[str, dict[str, Any]]], list[Problem]]:
    """(row key, Observation without identifier, subject and encounter) for each row of XML4, and what is doubtful."""
    rows = visit.rows.get("XML4", [])
    groups = {row.get("MA_DICH_VU", ""): row.get("MA_NHOM", "") for row in visit.rows.get("XML3", [])}
    remarks: list[Problem] = []
    made = []
    for key, row in zip(row_keys("XML4", rows), rows, strict=True):
        category = _CATEGORY_OF_GROUP.get(groups.get(row.get("MA_DICH_VU", ""), ""), "laboratory")
        made.append((key, _observation(row, category, key, remarks)))
    return made, remarks


def row_keys(table: str, rows: list[Row]) -> list[str]:
    """A key for each row, the same in a resend: table/STT, or table/position where STT does not tell rows apart."""
    numbers = [row.get("STT", "") for row in rows]
    if not all(numbers) or len(set(numbers)) < len(numbers):
        numbers = [str(position) for position in range(1, len(rows) + 1)]
    return [f"{table}/{number}" for number in numbers]


def _observation(row: Row, category: str, key: str, remarks: list[Problem]) -> dict[str, Any]:
    value, status = _value(row, key, remarks)
    observation: dict[str, Any] = {"resourceType": "Observation", "status": status}
    observation["category"] = [concept(systems.OBSERVATION_CATEGORY, category)]
    if row.get("MA_DICH_VU"):
        # The ordered service groups the rows of one order; it is not what the single value measures.
        observation["category"].append(concept(systems.TECHNICAL_SERVICE, row["MA_DICH_VU"]))
    observation["code"] = _code(row, value)
    if measured := parse_timestamp(row.get("NGAY_KQ", "")):
        observation["effectiveDateTime"] = measured
    elif row.get("NGAY_KQ"):
        remarks.append(problem(f"{key}/NGAY_KQ", row["NGAY_KQ"], "Thời điểm không đọc được", "time not readable"))
    observation |= value
    if row.get("KET_LUAN") and value.get("valueString") != row["KET_LUAN"]:
        observation["interpretation"] = [{"text": row["KET_LUAN"]}]
    if row.get("MO_TA"):
        observation["note"] = [{"text": row["MO_TA"]}]
    return observation


def _value(row: Row, key: str, remarks: list[Problem]) -> tuple[dict[str, Any], str]:
    """The value[x] or dataAbsentReason of a row, and the status that goes with it."""
    text = row.get("GIA_TRI", "") or row.get("KET_LUAN", "") or row.get("MO_TA", "")
    if not text:
        # Sent without a result that may arrive up to 60 days later.
        absent = concept(systems.DATA_ABSENT_REASON, "temp-unknown", text="Chưa có kết quả")
        return {"dataAbsentReason": absent}, "registered"
    unit = row.get("DON_VI_DO", "")
    number = parse_number(row.get("GIA_TRI", ""))
    if number:
        return {"valueQuantity": quantity(number[1], unit, number[0])}, "final"
    if _AMBIGUOUS.fullmatch(text):
        remarks.append(
            problem(
                f"{key}/GIA_TRI",
                text,
                "Dấu phẩy có thể là phần nghìn hoặc thập phân; giữ nguyên dạng chữ",
                "the comma may separate thousands or decimals; kept as text",
            )
        )
    return {"valueString": f"{text} {unit}" if unit and text == row.get("GIA_TRI") else text}, "final"


def _code(row: Row, value: Mapping[str, Any]) -> dict[str, Any]:
    name = row.get("TEN_CHI_SO", "")
    unit = value.get("valueQuantity", {}).get("code", "")
    codings = []
    if loinc := _LOINC.get((fold(name), unit)):
        codings.append({"system": systems.LOINC, "code": loinc[0], "display": loinc[1]})
    if row.get("MA_CHI_SO"):
        codings.append({"system": systems.LAB_INDICATOR, "code": row["MA_CHI_SO"]})
    code: dict[str, Any] = {"coding": codings} if codings else {}
    text = name or row.get("MA_CHI_SO", "") or row.get("MA_DICH_VU", "")
    return {**code, "text": text or "Kết quả cận lâm sàng"}
