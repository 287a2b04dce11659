"""XML1, or the check-in of XML0, into the Encounter. https://hl7.org/fhir/R4/encounter.html"""

from __future__ import annotations

from collections.abc import Iterator

from mappings import profile_names, systems
from mappings.code_lists import discharges, outcomes, visit_kinds
from mappings.dates import parse_timestamp, period
from mappings.giamdinhhs import Row, Visit
from mappings.names import clean
from mappings.person import concept
from mappings.problems import problem
from mappings.qd130.parts import Gathering, Resource, identifier, shaped, split


def encounter(gathering: Gathering, patient: str, diagnoses: list[Resource]) -> Resource:
    """The Encounter of a visit whose time of arrival is readable; `diagnoses` are its Encounter.diagnosis."""
    visit, summary = gathering.visit, gathering.visit.summary
    kind = _class(gathering)
    emergency = summary.get("MA_DOITUONG_KCB") == "2"
    return shaped(
        "Encounter",
        profile_names.ENCOUNTER,
        extension=_outcome(summary),
        identifier=_identifiers(visit),
        status=_status(visit),
        **{"class": kind},
        classHistory=_admission(gathering, kind),
        type=_types(summary),
        priority=concept(systems.V3_ACT_PRIORITY, "EM", "emergency") if emergency else None,
        subject={"reference": patient},
        period=period(parse_timestamp(summary["NGAY_VAO"]), _end(gathering)),
        length=_length(gathering),
        reasonCode=list(_reasons(summary)),
        diagnosis=diagnoses,
        hospitalization=_hospitalization(summary),
        location=_locations(gathering),
        serviceProvider={
            **gathering.facility(),
            "identifier": identifier(systems.FACILITY, visit.facility),
            "display": f"Cơ sở KCB {visit.facility}",
        },
    )


def _status(visit: Visit) -> str:
    # NGAY_RA of outpatients is the last day of their medicine and may lie ahead; that it is sent ends the visit.
    if visit.summary.get("NGAY_RA"):
        return "finished"
    return "arrived" if visit.source == "XML0" else "in-progress"


def _end(gathering: Gathering) -> str | None:
    summary = gathering.visit.summary
    text = summary.get("NGAY_RA", "")
    start, end = parse_timestamp(summary["NGAY_VAO"]), parse_timestamp(text)
    if text and (end is None or (start and end[:10] < start[:10])):
        gathering.remarks.append(
            problem(
                "XML1/NGAY_RA",
                text,
                "Thời điểm ra không đọc được hoặc trước thời điểm vào, đã bỏ trống",
                "time of leaving not readable or before arrival, left empty",
            )
        )
        return None
    return end


def _outcome(summary: Row) -> list[Resource]:
    code = summary.get("KET_QUA_DTRI", "")
    value = concept(systems.OUTCOME, code, outcomes().get(code, ""))
    return [{"url": systems.TREATMENT_OUTCOME, "valueCodeableConcept": value}] if code else []


def _identifiers(visit: Visit) -> list[Resource]:
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


def _class(gathering: Gathering) -> Resource:
    kind = gathering.visit.summary.get("MA_LOAI_KCB", "")
    if known := visit_kinds().get(kind):
        return {"system": systems.V3_ACT_CODE, "code": known["class"]}
    gathering.remarks.append(
        problem(
            f"{gathering.visit.source}/MA_LOAI_KCB",
            kind,
            "Hình thức KCB không có trong danh mục",
            "kind of visit not in the published list",
        )
    )
    return {"system": systems.VISIT_KIND, "code": kind or "10"}


def _admission(gathering: Gathering, kind: Resource) -> list[Resource]:
    """The class since the admission, for those who were admitted."""
    visit = gathering.visit
    admitted = gathering.moment(visit.source, 1, "NGAY_VAO_NOI_TRU", visit.summary)
    return [{"class": kind, "period": {"start": admitted}}] if admitted else []


def _types(summary: Row) -> list[Resource]:
    kind, entitlement = summary.get("MA_LOAI_KCB", ""), summary.get("MA_DOITUONG_KCB", "")
    types = [concept(systems.VISIT_KIND, kind, visit_kinds().get(kind, {}).get("display", ""))] if kind else []
    return [*types, concept(systems.ENTITLEMENT, entitlement)] if entitlement else types


def _length(gathering: Gathering) -> Resource:
    days = gathering.visit.summary.get("SO_NGAY_DTRI", "")
    if days.isascii() and days.isdigit():
        return {"value": int(days), "unit": "ngày", "system": systems.UCUM, "code": "d"}
    if days:
        gathering.remarks.append(
            problem("XML1/SO_NGAY_DTRI", days, "Số ngày không đọc được, đã bỏ", "number of days not readable, left out")
        )
    return {}


def _reasons(summary: Row) -> Iterator[Resource]:
    for name in ("LY_DO_VV", "LY_DO_VNT"):
        if reason := clean(summary.get(name, "")):
            yield {"text": reason}
    for name, system in (("MA_LY_DO_VNT", systems.ADMISSION_REASON), ("MA_TAI_NAN", systems.INJURY_CAUSE)):
        # MA_TAI_NAN 0 says that it was no accident.
        if (code := summary.get(name, "")) and code != "0":
            yield concept(system, code)


def _hospitalization(summary: Row) -> Resource:
    stay: Resource = {}
    if slip := summary.get("GIAY_CHUYEN_TUYEN"):
        stay["preAdmissionIdentifier"] = identifier(systems.REFERRAL_SLIP, slip)
    for name, element in (("MA_NOI_DI", "origin"), ("MA_NOI_DEN", "destination")):
        if facility := summary.get(name):
            stay[element] = {"identifier": identifier(systems.FACILITY, facility)}
    if leaving := summary.get("MA_LOAI_RV"):
        stay["dischargeDisposition"] = _disposition(leaving)
    return stay


def _disposition(code: str) -> Resource:
    known = discharges().get(code, {})
    own = {"system": systems.DISCHARGE, "code": code}
    if not known:
        return {"coding": [own]}
    general = {"system": systems.DISCHARGE_DISPOSITION, "code": known["fhir"]}
    return {"coding": [general, {**own, "display": known["display"]}], "text": known["display"]}


def _locations(gathering: Gathering) -> list[Resource]:
    """The departments of XML1, and the beds of XML3 with the departments they are in."""
    visit = gathering.visit
    references = [gathering.department(code) for code in split(visit.summary.get("MA_KHOA", ""))]
    for row in visit.rows.get("XML3", []):
        for bed in split(row.get("MA_GIUONG", "")):
            references.append(gathering.department(row.get("MA_KHOA", ""), bed))
        if row.get("MA_KHOA"):
            references.append(gathering.department(row["MA_KHOA"]))
    unique = {reference["reference"]: reference for reference in references}
    return [{"location": reference} for reference in unique.values()]
