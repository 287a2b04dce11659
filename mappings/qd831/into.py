"""A QĐ 831 record into FHIR resources: each carries an identifier made from sender, person, element and position.

https://hl7.org/fhir/R4/observation.html, https://hl7.org/fhir/R4/immunization.html
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

from mappings import profile_names, systems
from mappings.names import human_name
from mappings.person import concept, identity_identifier, phone, urn
from mappings.problems import Problem, problem
from mappings.qd831.codes import item, observation_code, value_of_text
from mappings.qd831.history import allergy, disability, dose, factor, family, illness
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
    single_values,
)
from mappings.qd831.visit import diagnosis, encounter, medicine, service, vital_signs

Resource = dict[str, Any]
_NUMBERS = ("MADINHDANH", "MABHXH", "MATHE", "SOCMND")
# Where a value of its own stands -> its category and profile; everywhere else it is of the person's past.
_KINDS = {
    PERSON: ("laboratory", profile_names.BLOOD_GROUP),
    VISIT: ("exam", profile_names.EXAM_FINDING),
}
_HISTORY: dict[str, Callable[[Row], Resource]] = {
    FACTOR: factor,
    DISABILITY: disability,
    ALLERGY: allergy,
    ILLNESS: illness,
    FAMILY_ALLERGY: lambda row: family("DIUNG", row, row.get("LOAI", "")),
    FAMILY_ILLNESS: lambda row: family("BENHTAT", row, row.get("LOAIBENH", "")),
    DOSE: dose,
}


def record_system(sender: str) -> str:
    """Identifier system of what a sender's records say, element by element."""
    return systems.HEALTH_RECORD_BASE + sender


def refusals(record: HealthRecord) -> list[Problem]:
    """Why a record cannot be stored; empty when it can."""
    found = []
    if not record.of(HEADER).get("SENDER_CODE", "").isalnum():
        found.append(
            problem(
                "HEADER/SENDER_CODE", "", "Thiếu hoặc sai mã cơ sở gửi", "the sender's code is missing or malformed"
            )
        )
    if not any(record.of(PERSON).get(field) for field in _NUMBERS):
        found.append(
            problem(
                f"{PERSON}/MADINHDANH",
                "",
                "Cần ít nhất một số: MADINHDANH, MABHXH, MATHE hoặc SOCMND",
                "at least one number is needed: MADINHDANH, MABHXH, MATHE or SOCMND",
            )
        )
    if not record.of(PERSON).get("HOTEN"):
        found.append(problem(f"{PERSON}/HOTEN", "", "Thiếu họ tên", "the name is missing"))
    return found


def record_key(record: HealthRecord) -> str:
    """What a record without refusals() is known by within its sender's; no number can be read from it."""
    person = record.of(PERSON)
    field = next(field for field in _NUMBERS if person.get(field))
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{field}|{person[field]}").hex


def mapped(record: HealthRecord, patient: str, key: str) -> tuple[Resource, list[Problem]]:
    """The transaction Bundle of a record without refusals(), but for the Patient, and remarks on what was left out.

    `patient` is the reference of the person, `key` what their record is known by within its sender's.
    """
    sender = record.of(HEADER)["SENDER_CODE"]
    system = record_system(sender)
    remarks: list[Problem] = []
    entries = [_entry(_placed(it, patient), system, f"{key}/{code}") for code, it in _of_the_person(record, remarks)]
    for position, visit in enumerate(record.visits, start=1):
        if doubt := _unplaceable(visit, position):
            remarks.append(doubt)
            continue
        ma_lk = visit.fields["MA_LK"]
        url = urn(systems.visit_system(sender), ma_lk)
        visited = _placed(encounter(visit.fields, sender), patient)
        entries.append(_entry(visited, systems.visit_system(sender), ma_lk))
        for code, resource in _of_a_visit(visit):
            complete = {**_placed(resource, patient), "encounter": {"reference": url}}
            entries.append(_entry(complete, system, f"{key}/{ma_lk}/{code}"))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}, remarks


def _unplaceable(visit: RecordedVisit, position: int) -> Problem | None:
    started = any(visit.fields.get(field) for field in ("NGAYBATDAU", "NGAYKHAM"))
    ma_lk = visit.fields.get("MA_LK", "")
    if started and 0 < len(ma_lk) <= 100 and encounter(visit.fields, "")["period"].get("start"):
        return None
    return problem(
        f"{VISIT}/{position}/MA_LK",
        ma_lk,
        "Lượt khám không có MA_LK hoặc ngày đọc được, đã bỏ qua",
        "a visit without MA_LK or a readable date, left out",
    )


def _of_the_person(record: HealthRecord, remarks: list[Problem]) -> Iterator[tuple[str, Resource]]:
    for row in single_values(visit=False):
        if text := record.of(row.path).get(row.field):
            yield row.code, _observation(row, text)
    for position, relative in enumerate(record.rows.get(RELATIVE, ()), start=1):
        related, doubts = _relative(relative)
        remarks += doubts
        yield f"{RELATIVE}/{position}", related
    for path, made in _HISTORY.items():
        for position, listed in enumerate(record.rows.get(path, ()), start=1):
            yield f"{path}/{position}", made(listed)


def _observation(row: FieldRow, text: str) -> Resource:
    kind, profile = _KINDS.get(row.path, ("social-history", profile_names.PATIENT_HISTORY))
    return {
        "resourceType": "Observation",
        "meta": {"profile": [profile]},
        "status": "final",
        "category": [concept(systems.OBSERVATION_CATEGORY, kind)],
        "code": observation_code(row),
        **value_of_text(row, text),
    }


def _relative(row: Row) -> tuple[Resource, list[Problem]]:
    identity, remarks = identity_identifier(f"{RELATIVE}/MADINHDANH", row.get("MADINHDANH", ""), "", "")
    relationship = []
    if "LOAI_QUANHE" in row or "TEN_QUANHE" in row:
        relationship.append(item(f"QUANHE/{row.get('LOAI_QUANHE', '')}", row.get("TEN_QUANHE", "")))
    if row.get("GIAMHO") == "1":
        relationship.append(concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "GUARD"))
    elif "GIAMHO" in row:
        relationship.append(item(f"GIAMHO/{row['GIAMHO']}"))
    name = human_name(row.get("HOTEN", ""))
    telecom = [{**it, "use": "home"} for it in phone(row.get("DIENTHOAI", ""))] + phone(row.get("DIDONG", ""))
    parts: Resource = {
        "identifier": [identity] if identity else [],
        "relationship": relationship,
        "name": [name] if name else [],
        "telecom": telecom,
    }
    # Sex and birth date are not told here, so what a number says of them contradicts nothing.
    doubts = [remark for remark in remarks if "Giới tính" not in remark.reason_vi]
    related: Resource = {"resourceType": "RelatedPerson", "meta": {"profile": [profile_names.RELATED_PERSON]}}
    return {**related, "active": True, **{element: value for element, value in parts.items() if value}}, doubts


def _of_a_visit(visit: RecordedVisit) -> Iterator[tuple[str, Resource]]:
    when = encounter(visit.fields, "")["participant"][0]["period"]["start"]
    yield from vital_signs(visit.fields, when)
    for row in single_values(visit=True):
        if row.kind != "number" and (text := visit.fields.get(row.field)):
            yield row.field, {**_observation(row, text), "effectiveDateTime": when}
    for path, made in ((SERVICE, service), (DIAGNOSIS, diagnosis)):
        for position, listed in enumerate(visit.rows.get(path, ()), start=1):
            yield f"{path.rpartition('/')[2]}/{position}", made(listed, when)
    for position, prescribed in enumerate(visit.prescriptions, start=1):
        yield f"THUOC/{position}", medicine(prescribed, when)


def _placed(resource: Resource, patient: str) -> Resource:
    named = ("AllergyIntolerance", "Immunization", "FamilyMemberHistory", "RelatedPerson")
    element = "patient" if resource["resourceType"] in named else "subject"
    return {**resource, element: {"reference": patient}}


def _entry(resource: Resource, system: str, value: str) -> Resource:
    complete = {**resource, "identifier": [{"system": system, "value": value}, *resource.get("identifier", ())]}
    url = f"{resource['resourceType']}?{systems.identifier_criteria(system, value)}"
    return {"fullUrl": urn(system, value), "resource": complete, "request": {"method": "PUT", "url": url}}
