"""A visit of QĐ 130/QĐ-BYT into a FHIR transaction: Encounter, Conditions, Observations, ClinicalImpressions.

Every resource carries an identifier made from facility, MA_LK and row, and is written by a conditional update on it, so
sending a visit again replaces what was sent before. https://hl7.org/fhir/R4/encounter.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mappings import laboratory, person, systems
from mappings.addresses import address
from mappings.code_lists import discharges, outcomes, visit_kinds
from mappings.dates import parse_date, parse_timestamp, period
from mappings.giamdinhhs import Row, Visit, read_envelope
from mappings.identity import Key
from mappings.names import clean, human_name
from mappings.numbers import BhytNumber, parse_bhyt_number
from mappings.person import concept
from mappings.problems import Problem, problem

__all__ = ["mapped", "patient_from_visit", "patient_keys", "read_envelope", "refusals", "visit_bundle"]

_BLOOD_GROUP = re.compile(r"(AB|A|B|O)\s*[,/ ]?\s*(?:RH|RHESUS)?\s*(?:\(?D\)?)?\s*\(?\s*(\+|-|DUONG|AM|POS|NEG)?\s*\)?")
_RHESUS = {"+": "pos", "-": "neg", "DUONG": "pos", "AM": "neg", "POS": "pos", "NEG": "neg"}
_HEAVIEST_KG = 500
Resource = dict[str, Any]


def refusals(visit: Visit) -> list[Problem]:
    """Why a visit cannot be stored; empty when it can."""
    start = visit.summary.get("NGAY_VAO", "")
    if parse_timestamp(start) is None:
        return [
            problem(
                "XML1/NGAY_VAO",
                start,
                "Thiếu thời điểm vào, hoặc không đúng dạng yyyymmddHHMM",
                "time of arrival missing or not in the form yyyymmddHHMM",
            )
        ]
    return []


def visit_bundle(visit: Visit, patient: str) -> Resource:
    """The transaction Bundle of a visit that has no refusals(). `patient` is a reference, such as Patient/123."""
    return mapped(visit, patient)[0]


def mapped(visit: Visit, patient: str) -> tuple[Resource, list[Problem]]:
    """visit_bundle with the remarks of the mapping: what was doubtful or left out."""
    remarks = list(visit.remarks)
    encounter_url = person.urn(systems.visit_system(visit.facility), visit.ma_lk)
    parts: list[tuple[str, Resource]] = [*_conditions(visit), *_vital_signs(visit, remarks)]
    observations, found = laboratory.results(visit)
    remarks += found
    parts += observations
    parts += _impressions(visit)
    entries = []
    for key, resource in parts:
        identifier = {"system": systems.visit_row_system(visit.facility), "value": f"{visit.ma_lk}/{key}"}
        complete = {
            "resourceType": resource["resourceType"],
            "identifier": [identifier],
            **resource,
            "subject": {"reference": patient},
            "encounter": {"reference": encounter_url},
        }
        entries.append(_entry(complete, identifier))
    diagnoses = [entry for entry in entries if entry["resource"]["resourceType"] == "Condition"]
    encounter = _encounter(visit, patient, [entry["fullUrl"] for entry in diagnoses], remarks)
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    return {**bundle, "entry": [_entry(encounter, encounter["identifier"][0]), *entries]}, remarks


def _entry(resource: Resource, identifier: Resource) -> Resource:
    system, value = identifier["system"], identifier["value"]
    url = f"{resource['resourceType']}?{systems.identifier_criteria(system, value)}"
    return {"fullUrl": person.urn(system, value), "resource": resource, "request": {"method": "PUT", "url": url}}


def _encounter(visit: Visit, patient: str, conditions: list[str], remarks: list[Problem]) -> Resource:
    summary = visit.summary
    start, end = parse_timestamp(summary["NGAY_VAO"]), parse_timestamp(summary.get("NGAY_RA", ""))
    if summary.get("NGAY_RA") and (end is None or (start and end[:10] < start[:10])):
        remarks.append(
            problem(
                "XML1/NGAY_RA",
                summary["NGAY_RA"],
                "Thời điểm ra không đọc được hoặc trước thời điểm vào, đã bỏ trống",
                "time of leaving not readable or before arrival, left empty",
            )
        )
        end = None
    encounter: Resource = {"resourceType": "Encounter"}
    outcome = summary.get("KET_QUA_DTRI", "")
    if outcome:
        value = concept(systems.OUTCOME, outcome, outcomes().get(outcome, ""))
        encounter["extension"] = [{"url": systems.TREATMENT_OUTCOME, "valueCodeableConcept": value}]
    encounter["identifier"] = _encounter_identifiers(visit)
    # NGAY_RA of outpatients is the last day of their medicine and may lie ahead; that it is sent ends the visit.
    encounter["status"] = "finished" if summary.get("NGAY_RA") else "in-progress"
    kind = summary.get("MA_LOAI_KCB", "")
    encounter["class"] = _class(kind, remarks)
    encounter["type"] = (
        [concept(systems.VISIT_KIND, kind, visit_kinds().get(kind, {}).get("display", ""))] if kind else []
    )
    if entitlement := summary.get("MA_DOITUONG_KCB"):
        encounter["type"].append(concept(systems.ENTITLEMENT, entitlement))
        if entitlement == "2":
            encounter["priority"] = concept(systems.V3_ACT_PRIORITY, "EM", "emergency")
    encounter["subject"] = {"reference": patient}
    encounter["period"] = period(start, end)
    if reason := summary.get("LY_DO_VV"):
        encounter["reasonCode"] = [{"text": clean(reason)}]
    encounter["diagnosis"] = [
        {"condition": {"reference": url}, "use": concept(systems.DIAGNOSIS_ROLE, "CM" if position else "DD")}
        for position, url in enumerate(conditions)
    ]
    if leaving := summary.get("MA_LOAI_RV"):
        encounter["hospitalization"] = {"dischargeDisposition": _disposition(leaving)}
    encounter["serviceProvider"] = {
        "identifier": {"system": systems.FACILITY, "value": visit.facility},
        "display": f"Cơ sở KCB {visit.facility}",
    }
    return {key: value for key, value in encounter.items() if value not in ([], {})}


def _encounter_identifiers(visit: Visit) -> list[Resource]:
    visit_number = concept(systems.V2_IDENTIFIER_TYPE, "VN", text="MA_LK")
    system = systems.visit_system(visit.facility)
    identifiers: list[Resource] = [{"use": "official", "type": visit_number, "system": system, "value": visit.ma_lk}]
    if archive := visit.summary.get("MA_HSBA"):
        # Unique within its facility only, hence secondary and never a key.
        identifiers.append(
            {
                "use": "secondary",
                "type": concept(systems.V2_IDENTIFIER_TYPE, "MR", text="MA_HSBA"),
                "system": systems.ARCHIVE_NUMBER,
                "value": archive,
                "assigner": {"display": f"Cơ sở KCB {visit.facility}"},
            }
        )
    return identifiers


def _class(kind: str, remarks: list[Problem]) -> Resource:
    if known := visit_kinds().get(kind):
        return {"system": systems.V3_ACT_CODE, "code": known["class"]}
    remarks.append(
        problem(
            "XML1/MA_LOAI_KCB", kind, "Hình thức KCB không có trong danh mục", "kind of visit not in the published list"
        )
    )
    return {"system": systems.VISIT_KIND, "code": kind or "10"}


def _disposition(code: str) -> Resource:
    known = discharges().get(code, {})
    own = {"system": systems.DISCHARGE, "code": code}
    if not known:
        return {"coding": [own]}
    general = {"system": systems.DISCHARGE_DISPOSITION, "code": known["fhir"]}
    return {"coding": [general, {**own, "display": known["display"]}], "text": known["display"]}


def _conditions(visit: Visit) -> Iterator[tuple[str, Resource]]:
    """The main diagnosis first, then the accompanying ones, each code once."""
    summary = visit.summary
    codes = [
        code.strip().upper()
        for code in f"{summary.get('MA_BENH_CHINH', '')};{summary.get('MA_BENH_KT', '')}".split(";")
    ]
    codes = list(dict.fromkeys(code for code in codes if code))
    written = [clean(text) for text in summary.get("CHAN_DOAN_RV", "").split(";") if clean(text)]
    # The diagnosis text lists all diagnoses; only when there are as many as codes does each name one.
    texts = written if len(written) == len(codes) else ["; ".join(written)]
    for position, code in enumerate(codes):
        status = "resolved" if position == 0 and summary.get("KET_QUA_DTRI") == "1" else "active"
        diagnosis: Resource = {"coding": [{"system": systems.ICD_10, "code": code}]}
        if position < len(texts) and texts[position]:
            diagnosis["text"] = texts[position]
        condition: Resource = {
            "resourceType": "Condition",
            "clinicalStatus": concept(systems.CONDITION_CLINICAL, status),
            "verificationStatus": concept(systems.CONDITION_VERIFICATION, "confirmed"),
            "category": [concept(systems.CONDITION_CATEGORY, "encounter-diagnosis")],
            "code": diagnosis,
        }
        if recorded := parse_timestamp(summary.get("NGAY_VAO", "")):
            condition["recordedDate"] = recorded
        yield f"XML1/MA_BENH/{code}", condition


def _vital_signs(visit: Visit, remarks: list[Problem]) -> Iterator[tuple[str, Resource]]:
    summary = visit.summary
    if weight := summary.get("CAN_NANG"):
        number = laboratory.parse_number(weight)
        if number and not number[0] and 0 < number[1] <= _HEAVIEST_KG:
            code = concept(systems.LOINC, "29463-7", "Body weight", "Cân nặng")
            value = {"valueQuantity": laboratory.quantity(number[1], "kg")}
            yield "XML1/CAN_NANG", _measured(visit, "vital-signs", code, value)
        else:
            remarks.append(
                problem("XML1/CAN_NANG", weight, "Cân nặng không đọc được, đã bỏ", "weight not readable, left out")
            )
    if group := summary.get("NHOM_MAU"):
        yield "XML1/NHOM_MAU", _measured(visit, "laboratory", *_blood_group(group))


def _measured(visit: Visit, category: str, code: Resource, value: Resource) -> Resource:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [concept(systems.OBSERVATION_CATEGORY, category)],
        "code": code,
        "effectiveDateTime": parse_timestamp(visit.summary["NGAY_VAO"]),
        **value,
    }


def _blood_group(text: str) -> tuple[Resource, Resource]:
    """Code and value of a blood group text such as "O+", "AB Rh-" or "B"; kept as text alone where it is neither."""
    both = concept(systems.LOINC, "882-1", "ABO and Rh group [Type] in Blood", "Nhóm máu")
    plain = text.upper().replace("Ư", "U").replace("Ơ", "O").replace("Â", "A").replace("−", "-")
    found = _BLOOD_GROUP.fullmatch(plain.strip())
    if not found:
        return both, {"valueCodeableConcept": {"text": clean(text)}}
    rhesus = _RHESUS.get(found[2] or "", "")
    code = f"{found[1]}-{rhesus}" if rhesus else found[1]
    abo = concept(systems.LOINC, "883-9", "ABO group [Type] in Blood", "Nhóm máu ABO")
    return both if rhesus else abo, {"valueCodeableConcept": concept(systems.BLOOD_GROUP, code, text=clean(text))}


def _impressions(visit: Visit) -> Iterator[tuple[str, Resource]]:
    rows = visit.rows.get("XML5", [])
    for key, row in zip(laboratory.row_keys("XML5", rows), rows, strict=True):
        impression: Resource = {"resourceType": "ClinicalImpression", "status": "completed"}
        if at := parse_timestamp(row.get("THOI_DIEM_DBLS", "")):
            impression["effectiveDateTime"] = at
        if row.get("DIEN_BIEN_LS"):
            impression["summary"] = row["DIEN_BIEN_LS"]
        notes = [
            {"text": f"{label}: {row[field]}"}
            for field, label in (
                ("GIAI_DOAN_BENH", "Giai đoạn bệnh"),
                ("HOI_CHAN", "Hội chẩn"),
                ("PHAU_THUAT", "Phẫu thuật"),
            )
            if row.get(field)
        ]
        if notes:
            impression["note"] = notes
        if "summary" in impression or notes:
            yield key, impression


def patient_from_visit(visit: Visit) -> tuple[Resource, list[Problem]]:
    """The Patient that a visit describes, for people nobody has told of before, and what is doubtful about it."""
    summary = visit.summary
    sex, remarks = person.gender("XML1/GIOI_TINH", summary.get("GIOI_TINH", ""), person.SEX_CODINGS["1-2-3"])
    born = parse_date(summary.get("NGAY_SINH", ""))
    birth_date = born.value if born else ""
    if not born:
        remarks.append(
            problem(
                "XML1/NGAY_SINH", summary.get("NGAY_SINH", ""), "Ngày sinh không đọc được", "birth date not readable"
            )
        )
    identifiers: list[Resource] = []
    for number, validity in _cards(summary):
        remarks += person.bhyt_warnings("XML1/MA_THE_BHYT", number)
        identifiers += person.bhyt_identifiers(number, validity)
    identity, found = person.identity_identifier("XML1/SO_CCCD", summary.get("SO_CCCD", ""), sex, birth_date)
    remarks += found
    identifiers += [identity] if identity else []
    if own := summary.get("MA_BN"):
        identifiers.append(person.identifier("facility", own, system=systems.facility_patient_system(visit.facility)))
    unique = {(entry["system"], entry["value"]): entry for entry in identifiers}
    patient: Resource = {"resourceType": "Patient", "identifier": list(unique.values()), "active": True}
    name = human_name(summary.get("HO_TEN", ""))
    patient |= {"name": [name]} if name else {}
    telecom = person.phone(summary.get("DIEN_THOAI", ""))
    patient |= {"telecom": telecom} if telecom else {}
    patient["gender"] = sex
    patient |= {"birthDate": birth_date} if birth_date else {}
    home = address(summary.get("DIA_CHI", ""))
    patient |= {"address": [home]} if home else {}
    return {key: value for key, value in patient.items() if value != []}, remarks


def patient_keys(patient: Resource) -> tuple[Key, ...]:
    """(system, value) of the numbers by which the Patient of a visit may be found, the most certain first."""
    return person.match_keys(patient.get("identifier", []))


def _cards(summary: Row) -> Iterator[tuple[BhytNumber, dict[str, str]]]:
    """(number, period) of the parallel lists that one visit gives when the card changed while it lasted."""
    starts, ends = (summary.get(field, "").split(";") for field in ("GT_THE_TU", "GT_THE_DEN"))
    for position, text in enumerate(summary.get("MA_THE_BHYT", "").split(";")):
        number = parse_bhyt_number(text)
        if number is None:
            continue
        start, end = (parse_date(dates[position]) if position < len(dates) else None for dates in (starts, ends))
        yield number, period(start.value if start else None, end.value if end else None)
