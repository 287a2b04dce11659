"""A Patient and what is known of them into a QĐ 831 record, whoever told it: the way back of `into`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from mappings import systems
from mappings.qd831.codes import BLOOD, after, own_codes, text_of_value
from mappings.qd831.history import allergy_row, disability_row, dose_row, factor_row, family_rows, illness_row
from mappings.qd831.person import row_of, vietnamese_date
from mappings.qd831.record import HealthRecord, RecordedVisit, Row
from mappings.qd831.table import (
    ALLERGY,
    DIAGNOSIS,
    DISABILITY,
    DOSE,
    FACTOR,
    FAMILY_ALLERGY,
    FAMILY_ILLNESS,
    HEADER,
    ILLNESS,
    PERSON,
    RELATIVE,
    SERVICE,
    VISIT,
    FieldRow,
    fields,
)
from mappings.qd831.visit import diagnosis_row, encounter_row, service_row

Resource = dict[str, Any]
# What of a person's record an export reads.
TYPES = (
    *("Encounter", "Observation", "AllergyIntolerance", "Condition"),
    *("FamilyMemberHistory", "Immunization", "RelatedPerson"),
)
_BOTH_BLOOD_GROUPS = "882-1"
_GROUPS = {"laboratory": "1", "imaging": "2"}


def record_of(
    patient: Resource, resources: Sequence[Resource], *, sender: str, day: str, request_id: str
) -> HealthRecord:
    """The record of a Patient as `sender` (a facility's code) sends it on `day` (a FHIR date). Nothing in error is told.

    `resources` are the person's, of TYPES, in any order but that the newest of two accounts of one fact comes last.
    """
    record = HealthRecord()
    header = {
        "SENDER_CODE": sender,
        "TRANSACTION_DATE": vietnamese_date(day),
        "TRANSACTION_ID": request_id,
        "REQUEST_ID": request_id,
    }
    record.single = {HEADER: {name: text for name, text in header.items() if text}, PERSON: row_of(patient)}
    told = [resource for resource in resources if not _in_error(resource)]
    visits = {f"Encounter/{it['id']}": RecordedVisit(_filled(encounter_row(it))) for it in _of_type(told, "Encounter")}
    for resource in told:
        reference = resource.get("encounter", {}).get("reference", "")
        visit = visits.get(reference)
        if visit is not None:
            _add_to_visit(visit, resource)
        elif not reference:
            _add(record, resource)
    record.visits = list(visits.values())
    return record


def _of_type(resources: Iterable[Resource], kind: str) -> Iterable[Resource]:
    return (resource for resource in resources if resource["resourceType"] == kind)


def _in_error(resource: Resource) -> bool:
    verification = resource.get("verificationStatus", {}).get("coding", ())
    in_error = any(coding.get("code") in ("entered-in-error", "refuted") for coding in verification)
    return in_error or resource.get("status") in ("entered-in-error", "cancelled") or resource.get("active") is False


def _add(record: HealthRecord, resource: Resource) -> None:
    kind = resource["resourceType"]
    if kind == "Observation":
        _add_observation(record, resource)
    elif kind == "Condition":
        disabled = any("KHUYETTAT" in own_codes(it) for it in resource.get("category", ()))
        _append(
            record.rows,
            *((DISABILITY, disability_row(resource)) if disabled else (ILLNESS, illness_row(resource))),
        )
    elif kind == "AllergyIntolerance":
        _append(record.rows, ALLERGY, allergy_row(resource))
    elif kind == "Immunization":
        _append(record.rows, DOSE, dose_row(resource))
    elif kind == "FamilyMemberHistory":
        for about, row in family_rows(resource):
            _append(record.rows, FAMILY_ALLERGY if about == "DIUNG" else FAMILY_ILLNESS, row)
    elif kind == "RelatedPerson":
        _append(record.rows, RELATIVE, _relative(resource))


def _append(rows: dict[str, list[Row]], path: str, row: Row) -> None:
    if filled := _filled(row):
        rows.setdefault(path, []).append(filled)


def _filled(row: Row) -> Row:
    return {field: text for field, text in row.items() if text}


@cache
def _by_code() -> dict[tuple[str, str], FieldRow]:
    """(system, code) -> the field that an Observation with it fills, our own code before LOINC's."""
    own = {("", row.code): row for row in fields()}
    return own | {(systems.LOINC, row.loinc): row for row in fields() if row.loinc}


def _field(code: Resource) -> FieldRow | None:
    for own in own_codes(code):
        if found := _by_code().get(("", own)):
            return found
    codings = ((it.get("system", ""), it.get("code", "")) for it in code.get("coding", ()))
    return next((_by_code()[coding] for coding in codings if coding in _by_code()), None)


def _add_observation(record: HealthRecord, resource: Resource) -> None:
    codes = {(it.get("system"), it.get("code")) for it in resource["code"].get("coding", ())}
    field = _field(resource["code"])
    if any(own.startswith("DSYEUTO/") for own in own_codes(resource["code"])):
        _append(record.rows, FACTOR, factor_row(resource))
    elif (systems.LOINC, _BOTH_BLOOD_GROUPS) in codes:
        record.single[PERSON] |= _blood_groups(resource)
    elif field is not None and field.path != VISIT:
        text = _blood(field, resource) if field.field in BLOOD else text_of_value(resource)
        if text:
            record.single.setdefault(field.path, {})[field.field] = text


def _blood(field: FieldRow, resource: Resource) -> str:
    code = text_of_value(resource)
    # Some systems write "Rh+" or "pos"; QĐ 831 has + and -.
    plain = code.removeprefix("Rh").strip()
    return {"pos": "+", "neg": "-"}.get(plain, plain)


def _blood_groups(resource: Resource) -> Row:
    codings = resource.get("valueCodeableConcept", {}).get("coding", ())
    code = next((it.get("code", "") for it in codings if it.get("system") == systems.BLOOD_GROUP), "")
    abo, _, rh = code.partition("-")
    return _filled({"NHOMMAU_HEABO": abo, "NHOMMAU_HERH": {"pos": "+", "neg": "-"}.get(rh, "")})


def _relative(resource: Resource) -> Row:
    row: Row = {}
    for concept in resource.get("relationship", ()):
        codes = list(own_codes(concept))
        if any(coding.get("code") == "GUARD" for coding in concept.get("coding", ())):
            row["GIAMHO"] = "1"
        elif guardian := after("GIAMHO/", codes):
            row["GIAMHO"] = guardian
        else:
            row |= {"LOAI_QUANHE": after("QUANHE/", codes), "TEN_QUANHE": concept.get("text", "")}
    numbers = [it for it in resource.get("identifier", ()) if it.get("system") in (systems.CCCD, systems.CMND)]
    row["MADINHDANH"] = next((it["value"] for it in numbers), "")
    row["HOTEN"] = next((it["text"] for it in resource.get("name", ()) if it.get("text")), "")
    for contact in resource.get("telecom", ()):
        row.setdefault("DIENTHOAI" if contact.get("use") == "home" else "DIDONG", contact.get("value", ""))
    return row


def _add_to_visit(visit: RecordedVisit, resource: Resource) -> None:
    kind = resource["resourceType"]
    if kind == "Condition":
        _append(visit.rows, DIAGNOSIS, diagnosis_row(resource))
    elif kind == "Observation":
        group = _group(resource)
        if group is not None:
            _append(visit.rows, SERVICE, service_row(resource, group, text_of_value(resource)))
        for holder in (resource, *resource.get("component", ())):
            field = _field(holder["code"])
            if field is not None and field.path == VISIT and (text := text_of_value(holder)):
                visit.fields[field.field] = text


def _group(resource: Resource) -> str | None:
    """MANHOM of a test or picture, "" where it has none; None of anything else."""
    for category in resource.get("category", ()):
        for code in own_codes(category):
            if code.startswith("DICHVU/"):
                return code.removeprefix("DICHVU/")
        for coding in category.get("coding", ()):
            if coding.get("code") in _GROUPS:
                return _GROUPS[coding["code"]]
    return None
