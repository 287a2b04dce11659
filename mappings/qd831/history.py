"""The rows of TIENSU and TIEMCHUNG, each into a resource and back.

https://hl7.org/fhir/R4/allergyintolerance.html, https://hl7.org/fhir/R4/familymemberhistory.html
"""

from __future__ import annotations

from typing import Any

from mappings import profile_names, systems
from mappings.person import concept
from mappings.qd831.codes import after, item, own_codes, text_of_value
from mappings.qd831.person import fhir_date, vietnamese_date
from mappings.qd831.record import Row

Resource = dict[str, Any]
ALLERGY_CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
ALLERGY_CATEGORIES = {"1": "medication", "2": "environment", "3": "food"}
SMOKING = {"system": systems.LOINC, "code": "72166-2", "display": "Tobacco smoking status"}
SMOKES = {"1": ("LA18977-1", "Current some day smoker"), "2": ("LA18976-3", "Current every day smoker")}
FORMER = ("LA15920-4", "Former smoker")
CLINICAL = {"1": "active", "0": "inactive"}
STATUSES = {"1": "completed", "0": "not-done"}
UNKNOWN_RELATIVE, UNKNOWN_DAY = "Không rõ người mắc", "Không rõ ngày"


def factor(row: Row) -> Resource:
    """A risk factor. A smoker's "no" gives no value: a known exporter writes it for people who smoke."""
    kind = row.get("LOAI", "")
    code = item(f"DSYEUTO/{kind}", row.get("TENLOAI", ""))
    value: Resource = {}
    if kind == "1":
        code["coding"].insert(0, SMOKING)
        answer = FORMER if row.get("DABO") == "1" else SMOKES.get(row.get("TRANGTHAI", ""))
        if answer:
            value = {"valueCodeableConcept": concept(systems.LOINC, *answer)}
        else:
            value = {"dataAbsentReason": concept(systems.DATA_ABSENT_REASON, "unknown")}
    fields = [name for name in ("TRANGTHAI", "DABO", "SOLUONG") if name in row]
    components = [{"code": item(f"DSYEUTO/{name}"), "valueString": row[name]} for name in fields]
    return {
        "resourceType": "Observation",
        "meta": {"profile": [profile_names.PATIENT_HISTORY]},
        "status": "final",
        "category": [concept(systems.OBSERVATION_CATEGORY, "social-history")],
        "code": code,
        **value,
        **({"component": components} if components else {}),
    }


def factor_row(resource: Resource) -> Row:
    """DSYEUTO of an Observation that factor() made."""
    row = {"LOAI": after("DSYEUTO/", own_codes(resource["code"])), "TENLOAI": resource["code"].get("text", "")}
    for component in resource.get("component", ()):
        row[after("DSYEUTO/", own_codes(component["code"]))] = text_of_value(component)
    return row


def _condition(category: str, code: Resource, note: str, status: str) -> Resource:
    resource: Resource = {"resourceType": "Condition", "meta": {"profile": [profile_names.CONDITION]}}
    if status:
        resource["clinicalStatus"] = concept(systems.CONDITION_CLINICAL, status)
    resource["verificationStatus"] = concept(systems.CONDITION_VERIFICATION, "unconfirmed")
    resource |= {"category": [item(category)], "code": code}
    return {**resource, **({"note": [{"text": note}]} if note else {})}


def disability(row: Row) -> Resource:
    """A disability as a Condition."""
    code = item(f"KHUYETTAT/{row.get('LOAI', '')}", row.get("TENLOAI", ""))
    return _condition("KHUYETTAT", code, row.get("MOTA", ""), "active")


def illness(row: Row) -> Resource:
    """An illness of the past, or of today where TRANGTHAI says so."""
    code = item(f"BENHTAT/{row.get('LOAIBENH', '')}", row.get("TENBENH", ""))
    return _condition("BENHTAT", code, row.get("MOTA", ""), CLINICAL.get(row.get("TRANGTHAI", ""), ""))


def disability_row(resource: Resource) -> Row:
    """DSKHUYETTAT of a Condition of the category KHUYETTAT."""
    code = resource["code"]
    return {"LOAI": after("KHUYETTAT/", own_codes(code)), "TENLOAI": code.get("text", ""), "MOTA": _note(resource)}


def illness_row(resource: Resource) -> Row:
    """DSBENH of any other Condition without a visit."""
    status = _code(resource.get("clinicalStatus"))
    return {
        "LOAIBENH": after("BENHTAT/", own_codes(resource.get("code"))),
        "TENBENH": _words(resource.get("code", {})),
        "MOTA": _note(resource),
        "TRANGTHAI": {status_: code for code, status_ in CLINICAL.items()}.get(status, ""),
    }


def allergy(row: Row) -> Resource:
    """An allergy; its kind is both the category, where FHIR has one, and a code of ours."""
    kind = row.get("LOAI", "")
    code = item(f"DIUNG/{kind}", row.get("TEN", ""))
    if "MASO" in row:
        code["coding"].append({"system": systems.HEALTH_RECORD_ITEM, "code": f"MASO/{row['MASO']}"})
    resource: Resource = {
        "resourceType": "AllergyIntolerance",
        "meta": {"profile": [profile_names.ALLERGY]},
        "clinicalStatus": concept(ALLERGY_CLINICAL, "active"),
        "code": code,
    }
    resource |= {"category": [ALLERGY_CATEGORIES[kind]]} if kind in ALLERGY_CATEGORIES else {}
    if described := row.get("MOTA"):
        resource["reaction"] = [{"manifestation": [{"text": described}], "description": described}]
    return resource


def allergy_row(resource: Resource) -> Row:
    """DSDIUNG of an AllergyIntolerance."""
    code = resource.get("code", {})
    category = next(iter(resource.get("category", ())), "")
    kinds = {name: kind for kind, name in ALLERGY_CATEGORIES.items()}
    reactions = resource.get("reaction", ())
    return {
        "LOAI": after("DIUNG/", own_codes(code)) or kinds.get(category, ""),
        "MASO": after("MASO/", own_codes(code)),
        "TEN": _words(code),
        "MOTA": next((it["description"] for it in reactions if it.get("description")), ""),
    }


def family(kind: str, row: Row, code: str) -> Resource:
    """What somebody in the family has or had. `kind` is DIUNG or BENHTAT."""
    name = item(f"{kind}/{code}", row.get("TEN", row.get("TENBENH", "")))
    if "MASO" in row:
        name["coding"].append({"system": systems.HEALTH_RECORD_ITEM, "code": f"MASO/{row['MASO']}"})
    condition: Resource = {"code": name}
    condition |= {"note": [{"text": row["MOTA"]}]} if "MOTA" in row else {}
    return {
        "resourceType": "FamilyMemberHistory",
        "meta": {"profile": [profile_names.FAMILY_HISTORY]},
        "status": "partial",
        "relationship": {"text": row.get("NGUOIMAC", UNKNOWN_RELATIVE)},
        "condition": [condition],
    }


def family_rows(resource: Resource) -> list[tuple[str, Row]]:
    """(DIUNG or BENHTAT, row) of each condition of a FamilyMemberHistory."""
    who = _words(resource.get("relationship", {}))
    found = []
    for condition in resource.get("condition", ()):
        codes = list(own_codes(condition.get("code")))
        kind = "DIUNG" if any(code.startswith("DIUNG/") for code in codes) else "BENHTAT"
        numbered, named = ("LOAI", "TEN") if kind == "DIUNG" else ("LOAIBENH", "TENBENH")
        row = {numbered: after(f"{kind}/", codes), named: _words(condition.get("code", {})), "MOTA": _note(condition)}
        row |= {"MASO": after("MASO/", codes), "NGUOIMAC": "" if who == UNKNOWN_RELATIVE else who}
        found.append((kind, row))
    return found


def dose(row: Row) -> Resource:
    """A vaccination that was given, or stands out."""
    codes = [f"{field}/{row[field]}" for field in ("MAVACXIN", "LOAIVACXIN") if field in row] or ["MAVACXIN/"]
    vaccine = item(codes[0], row.get("TENVACXIN", ""))
    vaccine["coding"] += [{"system": systems.HEALTH_RECORD_ITEM, "code": code} for code in codes[1:]]
    day = fhir_date(row.get("NGAYTIEM", ""))
    resource: Resource = {
        "resourceType": "Immunization",
        "meta": {"profile": [profile_names.IMMUNIZATION]},
        "status": STATUSES.get(row.get("TRANGTHAI", ""), "completed"),
        "vaccineCode": vaccine,
        **({"occurrenceDateTime": day} if day else {"occurrenceString": UNKNOWN_DAY}),
    }
    if reaction := row.get("PHANUNGSAUTIEM"):
        resource["note"] = [{"text": reaction}]
    if number := row.get("SOMUIUONVANMETIEM"):
        positive = number.isascii() and number.isdigit() and str(int(number)) == number and 0 < int(number) < 1000
        said: Resource = {"doseNumberPositiveInt": int(number)} if positive else {"doseNumberString": number}
        resource["protocolApplied"] = [said]
    return resource


def dose_row(resource: Resource) -> Row:
    """THONGTINMUITIEM of an Immunization."""
    codes = list(own_codes(resource["vaccineCode"]))
    applied: Resource = next(iter(resource.get("protocolApplied", ())), {})
    return {
        "MAVACXIN": after("MAVACXIN/", codes),
        "TENVACXIN": _words(resource["vaccineCode"]),
        "LOAIVACXIN": after("LOAIVACXIN/", codes),
        "TRANGTHAI": {status: code for code, status in STATUSES.items()}.get(resource.get("status", ""), ""),
        "NGAYTIEM": vietnamese_date(resource.get("occurrenceDateTime", "")),
        "PHANUNGSAUTIEM": _note(resource),
        "SOMUIUONVANMETIEM": str(applied.get("doseNumberPositiveInt", applied.get("doseNumberString", ""))),
    }


def _note(resource: Resource) -> str:
    return next((note["text"] for note in resource.get("note", ()) if note.get("text")), "")


def _code(concept_: Resource | None) -> str:
    return next((coding.get("code", "") for coding in (concept_ or {}).get("coding", ())), "")


def _words(concept_: Resource) -> str:
    """The text of a concept, else the display of a coding."""
    displays = (coding["display"] for coding in concept_.get("coding", ()) if coding.get("display"))
    return concept_.get("text") or next(displays, "")
