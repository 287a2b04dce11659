"""A visit of QĐ 831 into an Encounter and what was found in it, and back. https://hl7.org/fhir/R4/encounter.html"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from mappings import profile_names, systems
from mappings.dates import period
from mappings.person import concept
from mappings.qd831.codes import item, observation_code, value_of_text
from mappings.qd831.person import fhir_date, vietnamese_date
from mappings.qd831.record import Row
from mappings.qd831.table import VISIT, fields_of

Resource = dict[str, Any]
# By this type an Encounter is known to have been told of by a health record alone.
RECORDED_VISIT = "HOSOKHAMCHUABENH"
PRESSURE = ("HUYETAPTT", "HUYETAPTD")
_PANEL = {"system": systems.LOINC, "code": "85354-9", "display": "Blood pressure panel with all children optional"}
UNNAMED_SERVICE = "Dịch vụ"
_GROUPS = {"1": "laboratory", "2": "imaging"}


def encounter(row: Row, sender: str) -> Resource:
    """The Encounter of a visit; `sender` is the code of the facility. The participant's period begins on NGAYKHAM."""
    begun, seen = (fhir_date(row.get(field, "")) for field in ("NGAYBATDAU", "NGAYKHAM"))
    doctor: Resource = {"period": {"start": seen or begun}}
    individual: Resource = {}
    if number := row.get("MABACSI"):
        individual["identifier"] = {"system": systems.PRACTITIONER, "value": number}
    if name := row.get("BACSIKHAM"):
        individual["display"] = name
    doctor |= {"individual": individual} if individual else {}
    resource: Resource = {
        "resourceType": "Encounter",
        "meta": {"profile": [profile_names.ENCOUNTER]},
        "status": "finished",
        "class": {"system": systems.V3_ACT_CODE, "code": "AMB"},
        "type": [item(RECORDED_VISIT)],
        "participant": [doctor],
        "period": period(begun or seen, fhir_date(row.get("NGAYKETTHUC", ""))),
        "serviceProvider": {"identifier": {"system": systems.FACILITY, "value": sender}},
    }
    return {**resource, **({"reasonCode": [{"text": row["LYDOKHAM"]}]} if "LYDOKHAM" in row else {})}


def encounter_row(resource: Resource) -> Row:
    """The fields of any Encounter as those of a visit."""
    times = resource.get("period", {})
    named = (it["value"] for it in resource.get("identifier", ()) if it["system"].startswith(systems.VISIT_BASE))
    doctor: Resource = next(iter(resource.get("participant", ())), {})
    individual = doctor.get("individual", {})
    return {
        "MA_LK": next(named, resource.get("id", "")),
        "NGAYKHAM": vietnamese_date(doctor.get("period", {}).get("start", times.get("start", ""))),
        "NGAYBATDAU": vietnamese_date(times.get("start", "")),
        "NGAYKETTHUC": vietnamese_date(times.get("end", "")),
        "MABACSI": individual.get("identifier", {}).get("value", ""),
        "BACSIKHAM": individual.get("display", ""),
        "LYDOKHAM": next((it["text"] for it in resource.get("reasonCode", ()) if it.get("text")), ""),
    }


def vital_signs(row: Row, when: str) -> Iterator[tuple[str, Resource]]:
    """(key, Observation) of each vital sign, the two blood pressures in one."""
    known = fields_of(VISIT)
    for field, about in known.items():
        if about.kind == "number" and field in row and field not in PRESSURE:
            yield field, {**_vital(when), "code": observation_code(about), **value_of_text(about, row[field])}
    components = [
        {"code": observation_code(known[field]), **value_of_text(known[field], row[field])}
        for field in PRESSURE
        if field in row
    ]
    if components:
        yield "HUYETAP", {**_vital(when), "code": {"coding": [_PANEL]}, "component": components}


def _vital(when: str) -> Resource:
    return {
        "resourceType": "Observation",
        "meta": {"profile": [profile_names.VITAL_SIGN]},
        "status": "final",
        "category": [concept(systems.OBSERVATION_CATEGORY, "vital-signs")],
        "effectiveDateTime": when,
    }


def service(row: Row, when: str) -> Resource:
    """A test or picture with its result as text."""
    group = row.get("MANHOM", "")
    known = [concept(systems.OBSERVATION_CATEGORY, _GROUPS[group])] if group in _GROUPS else []
    code: Resource = {"text": row.get("TENDICHVU") or row.get("MADICHVU") or UNNAMED_SERVICE}
    if "MADICHVU" in row:
        code["coding"] = [{"system": systems.TECHNICAL_SERVICE, "code": row["MADICHVU"]}]
    return {
        "resourceType": "Observation",
        "meta": {"profile": [profile_names.LABORATORY]},
        "status": "final",
        "category": [*known, item(f"DICHVU/{group}")],
        "code": code,
        "effectiveDateTime": when,
        **({"valueString": row["KETQUA"]} if "KETQUA" in row else {}),
    }


def diagnosis(row: Row, when: str) -> Resource:
    """A diagnosis of the visit, coded in ICD-10."""
    code: Resource = {"text": row["TENBENH"]} if "TENBENH" in row else {}
    if "MABENH" in row:
        code["coding"] = [{"system": systems.ICD_10, "code": row["MABENH"]}]
    return {
        "resourceType": "Condition",
        "meta": {"profile": [profile_names.CONDITION]},
        "clinicalStatus": concept(systems.CONDITION_CLINICAL, "active"),
        "verificationStatus": concept(systems.CONDITION_VERIFICATION, "confirmed"),
        "category": [concept(systems.CONDITION_CATEGORY, "encounter-diagnosis")],
        "code": code or {"text": row["KETLUAN"]},
        "recordedDate": when,
        **({"note": [{"text": row["KETLUAN"]}]} if "KETLUAN" in row else {}),
    }


def medicine(row: Row, when: str) -> Resource:
    """A prescribed medicine: name, code, dose (how it is taken), quantity (a decimal text), unit, days."""
    code: Resource = {"text": row["name"]}
    if "code" in row:
        code["coding"] = [{"system": systems.ACTIVE_INGREDIENT, "code": row["code"]}]
    supply: Resource = {}
    if "quantity" in row:
        supply["quantity"] = {"value": Decimal(row["quantity"]), **({"unit": row["unit"]} if "unit" in row else {})}
    if "days" in row:
        supply["expectedSupplyDuration"] = {
            "value": int(row["days"]),
            "unit": "ngày",
            "system": systems.UCUM,
            "code": "d",
        }
    return {
        "resourceType": "MedicationRequest",
        "meta": {"profile": [profile_names.MEDICATION_REQUEST]},
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": code,
        "authoredOn": when,
        **({"dosageInstruction": [{"text": row["dose"]}]} if "dose" in row else {}),
        **({"dispenseRequest": supply} if supply else {}),
    }


def diagnosis_row(resource: Resource) -> Row:
    """CHANDOANBENH of a Condition of a visit."""
    code = resource.get("code", {})
    return {
        "MABENH": _coded(code, systems.ICD_10),
        "TENBENH": code.get("text", ""),
        "KETLUAN": next((note.get("text", "") for note in resource.get("note", ())), ""),
    }


def service_row(resource: Resource, group: str, result: str) -> Row:
    """DICHVU of an Observation that is a test or picture."""
    code = resource.get("code", {})
    number, text = _coded(code, systems.TECHNICAL_SERVICE), code.get("text", "")
    return {
        "MADICHVU": number,
        "MANHOM": group,
        # What stands in for a name that was not told is none.
        "TENDICHVU": "" if text in (number, UNNAMED_SERVICE) else text,
        "KETQUA": result,
    }


def _coded(code: Resource, system: str) -> str:
    return next((it.get("code", "") for it in code.get("coding", ()) if it.get("system") == system), "")
