"""Rows of XML4 (results of laboratory, imaging and functional tests) into Observations, and a report for each service.

https://hl7.org/fhir/R4/observation.html, https://hl7.org/fhir/R4/diagnosticreport.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from mappings import profile_names, systems
from mappings.dates import parse_timestamp
from mappings.giamdinhhs import Row
from mappings.names import fold
from mappings.person import concept
from mappings.problems import Problem, problem
from mappings.qd130.parts import Gathering, Part, keyed, shaped

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

_REPORT = "XML4/BAO_CAO/"  # with the code of the service: the row key of its report
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


def results(gathering: Gathering) -> Iterator[Part]:
    """An Observation for each row of XML4, then a DiagnosticReport for each service they are results of."""
    visit = gathering.visit
    # Results may be sent alone, weeks after what was ordered.
    services = _ordered_now(gathering) if "XML3" in visit.rows else _ordered_before(gathering)
    ordered = {row.get("MA_DICH_VU", ""): (reference, row) for reference, row in services}
    by_service: dict[str, list[tuple[str, Row, dict[str, Any]]]] = {}
    for position, key, row in keyed(visit, "XML4"):
        service = row.get("MA_DICH_VU", "")
        category = _CATEGORY_OF_GROUP.get(ordered.get(service, ("", {}))[1].get("MA_NHOM", ""), "laboratory")
        observation = _observation(gathering, row, category, position)
        by_service.setdefault(service, []).append((key, row, observation))
        yield key, observation
    for service, rows in by_service.items():
        if service:
            yield f"{_REPORT}{service}", _report(gathering, service, ordered.get(service, ("", {})), rows)


def _ordered_now(gathering: Gathering) -> Iterator[tuple[str, Row]]:
    """(reference, row) of each service of XML3. A supply names the service it was used in, and is none."""
    for _, key, row in keyed(gathering.visit, "XML3"):
        if row.get("TEN_DICH_VU") or not row.get("MA_VAT_TU"):
            yield gathering.row_reference(key), row


def _ordered_before(gathering: Gathering) -> Iterator[tuple[str, Row]]:
    """(reference, what is known of its row of XML3) of each service that an earlier sending ordered."""
    for key, stored in gathering.earlier.items():
        if stored["resourceType"] == "ServiceRequest" and key.startswith("XML3/") and stored["status"] == "completed":
            service = _code_in(systems.TECHNICAL_SERVICE, [stored["code"]])
            group = _code_in(systems.COST_GROUP, stored.get("category", ()))
            row = {"MA_DICH_VU": service, "TEN_DICH_VU": stored["code"].get("text", ""), "MA_NHOM": group}
            yield f"ServiceRequest/{stored['id']}", row


def _code_in(system: str, concepts: Iterable[Mapping[str, Any]]) -> str:
    codings = [coding for each in concepts for coding in each.get("coding", ())]
    return next((coding["code"] for coding in codings if coding.get("system") == system), "")


def _report(
    gathering: Gathering, service: str, order: tuple[str, Row], rows: list[tuple[str, Row, dict[str, Any]]]
) -> dict[str, Any]:
    reference, ordered = order
    statuses = {observation["status"] for _, _, observation in rows}
    issued = parse_timestamp(ordered.get("NGAY_KQ", ""))
    if "XML3" not in gathering.visit.rows:
        issued = gathering.earlier.get(f"{_REPORT}{service}", {}).get("issued")
    measured = sorted(observation.get("effectiveDateTime", "") for _, _, observation in rows)
    conclusions = dict.fromkeys(row["KET_LUAN"] for _, row, _ in rows if row.get("KET_LUAN"))
    return shaped(
        "DiagnosticReport",
        profile_names.DIAGNOSTIC_REPORT,
        basedOn=[{"reference": reference}] if reference else None,
        status=statuses.pop() if len(statuses) == 1 else "partial",
        category=rows[0][2]["category"][:1],
        code=concept(systems.TECHNICAL_SERVICE, service, text=ordered.get("TEN_DICH_VU", "")),
        effectiveDateTime=measured[-1],
        # An instant: https://hl7.org/fhir/R4/datatypes.html#instant
        issued=issued if issued and "T" in issued else None,
        resultsInterpreter=gathering.practitioners(";".join(row.get("MA_BS_DOC_KQ", "") for _, row, _ in rows)),
        result=[{"reference": gathering.row_reference(key)} for key, _, _ in rows],
        conclusion="\n".join(conclusions),
    )


def _observation(gathering: Gathering, row: Row, category: str, position: int) -> dict[str, Any]:
    value, status = _value(row, f"XML4/{position}", gathering.remarks)
    categories = [concept(systems.OBSERVATION_CATEGORY, category)]
    if row.get("MA_DICH_VU"):
        # The ordered service groups the rows of one order; it is not what the single value measures.
        categories.append(concept(systems.TECHNICAL_SERVICE, row["MA_DICH_VU"]))
    conclusion = row.get("KET_LUAN", "")
    return shaped(
        "Observation",
        profile_names.LABORATORY,
        status=status,
        category=categories,
        code=_code(row, value),
        effectiveDateTime=gathering.moment("XML4", position, "NGAY_KQ", row),
        performer=gathering.practitioners(row.get("MA_BS_DOC_KQ", "")),
        interpretation=[{"text": conclusion}] if conclusion and value.get("valueString") != conclusion else None,
        note=[{"text": row["MO_TA"]}] if row.get("MO_TA") else None,
        **value,
    )


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
