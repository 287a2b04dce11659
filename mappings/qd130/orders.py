"""Rows of XML2 (medicines), XML3 (services and supplies) and the first orders of XML0 into what was asked for and done.

https://hl7.org/fhir/R4/medicationrequest.html, https://hl7.org/fhir/R4/servicerequest.html,
https://hl7.org/fhir/R4/procedure.html, https://hl7.org/fhir/R4/devicerequest.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mappings import laboratory, profile_names, systems
from mappings.giamdinhhs import Row
from mappings.names import clean
from mappings.person import concept
from mappings.problems import problem
from mappings.qd130.parts import Gathering, Part, Resource, keyed, labelled, shaped, split

# MA_NHOM of a service that is an operation or a procedure.
_PERFORMED = ("8", "18")


def first_orders(gathering: Gathering) -> Iterator[Part]:
    """What was ordered on arrival (XML0): a service, a medicine or a supply, active until the visit reports it done."""
    done = gathering.visit.summary.get("NGAY_RA")
    for position, key, row in keyed(gathering.visit, "XML0"):
        common: dict[str, Any] = {"status": "completed" if done else "active", "intent": "order"}
        common["authoredOn"] = gathering.moment("XML0", position, "NGAY_YL", row)
        if service := _named(row, "DICH_VU", systems.TECHNICAL_SERVICE):
            yield f"{key}/DICH_VU", shaped("ServiceRequest", profile_names.SERVICE_REQUEST, **common, code=service)
        if medicine := _named(row, "THUOC", systems.ACTIVE_INGREDIENT):
            made = shaped(
                "MedicationRequest", profile_names.MEDICATION_REQUEST, **common, medicationCodeableConcept=medicine
            )
            yield f"{key}/THUOC", made
        if supply := _named(row, "VAT_TU", systems.SUPPLY_ITEM):
            yield (
                f"{key}/VAT_TU",
                shaped("DeviceRequest", profile_names.DEVICE_REQUEST, **common, codeCodeableConcept=supply),
            )


def medicines(gathering: Gathering) -> Iterator[Part]:
    """A MedicationRequest for each row of XML2."""
    for position, key, row in keyed(gathering.visit, "XML2"):
        medicine = _named(row, "THUOC", systems.ACTIVE_INGREDIENT)
        if registration := row.get("SO_DANG_KY"):
            medicine.setdefault("coding", []).append({"system": systems.DRUG_REGISTRATION, "code": registration})
        dosage: Resource = {}
        if row.get("LIEU_DUNG"):
            dosage["text"] = clean(row["LIEU_DUNG"])
        if row.get("CACH_DUNG"):
            dosage["patientInstruction"] = clean(row["CACH_DUNG"])
        if row.get("DUONG_DUNG"):
            dosage["route"] = concept(systems.DRUG_ROUTE, row["DUONG_DUNG"])
        prescribers = gathering.practitioners(row.get("MA_BAC_SI", ""))
        given = gathering.moment("XML2", position, "NGAY_TH_YL", row)
        dispense: Resource = {"validityPeriod": {"start": given}} if given else {}
        if quantity := _quantity(gathering, "XML2", position, row):
            dispense["quantity"] = quantity
        yield (
            key,
            shaped(
                "MedicationRequest",
                profile_names.MEDICATION_REQUEST,
                status="completed",
                intent="order",
                medicationCodeableConcept=medicine or {"text": "Thuốc không ghi tên"},
                authoredOn=gathering.moment("XML2", position, "NGAY_YL", row),
                requester=prescribers[0] if prescribers else None,
                note=labelled(row, {"HAM_LUONG": "Hàm lượng", "DANG_BAO_CHE": "Dạng bào chế"}),
                dosageInstruction=[dosage] if dosage else None,
                dispenseRequest=dispense,
            ),
        )


def services(gathering: Gathering) -> Iterator[Part]:
    """A ServiceRequest for each service of XML3, with the Procedure of those performed; a DeviceRequest for a supply."""
    for position, key, row in keyed(gathering.visit, "XML3"):
        asked = gathering.practitioners(row.get("MA_BAC_SI", ""))
        did = gathering.practitioners(row.get("NGUOI_THUC_HIEN", ""))
        common: dict[str, Any] = {
            "status": "completed",
            "intent": "order",
            "authoredOn": gathering.moment("XML3", position, "NGAY_YL", row),
            "requester": asked[0] if asked else None,
            "occurrenceDateTime": gathering.moment("XML3", position, "NGAY_TH_YL", row),
            "reasonCode": list(_reasons(row)),
        }
        quantity = _quantity(gathering, "XML3", position, row)
        if supply := _named(row, "VAT_TU", systems.SUPPLY_ITEM):
            parameter = [{"code": {"text": "Số lượng"}, "valueQuantity": quantity}] if quantity else []
            yield (
                f"{key}/VAT_TU",
                shaped(
                    "DeviceRequest",
                    profile_names.DEVICE_REQUEST,
                    codeCodeableConcept=supply,
                    parameter=parameter,
                    performer=did[0] if did else None,
                    **common,
                ),
            )
        service = _named(row, "DICH_VU", systems.TECHNICAL_SERVICE)
        # A supply names the service it was used in; only a row that is the service itself gives its name.
        if not service or (supply and not row.get("TEN_DICH_VU")):
            continue
        group = row.get("MA_NHOM", "")
        yield (
            key,
            shaped(
                "ServiceRequest",
                profile_names.SERVICE_REQUEST,
                category=[concept(systems.COST_GROUP, group)] if group else None,
                code=service,
                quantityQuantity=quantity,
                performer=did,
                locationReference=[gathering.department(row["MA_KHOA"])] if row.get("MA_KHOA") else None,
                bodySite=[{"text": row["VI_TRI_TH_DVKT"]}] if row.get("VI_TRI_TH_DVKT") else None,
                **common,
            ),
        )
        if group in _PERFORMED or row.get("MA_PTTT_QT"):
            asked_for = {"reference": gathering.row_reference(key)}
            yield f"{key}/THUC_HIEN", _procedure(gathering, row, service, did, common) | {"basedOn": [asked_for]}


def _procedure(
    gathering: Gathering, row: Row, service: Resource, did: list[Resource], common: dict[str, Any]
) -> Resource:
    codings = [{"system": systems.ICD_9_CM, "code": code} for code in split(row.get("MA_PTTT_QT", ""))]
    return shaped(
        "Procedure",
        profile_names.PROCEDURE,
        status="completed",
        code={**service, "coding": [*service.get("coding", []), *codings]} if codings else service,
        performedDateTime=common["occurrenceDateTime"],
        performer=[{"actor": actor} for actor in did],
        location=gathering.department(row["MA_KHOA"]) if row.get("MA_KHOA") else None,
        reasonCode=common["reasonCode"],
        bodySite=[{"text": row["VI_TRI_TH_DVKT"]}] if row.get("VI_TRI_TH_DVKT") else None,
        note=labelled(row, {"PP_VO_CAM": "Phương pháp vô cảm"}),
    )


def _named(row: Row, what: str, system: str) -> Resource:
    """The CodeableConcept of a code MA_<what> and a name TEN_<what>; empty where the row has neither."""
    code, name = row.get(f"MA_{what}", ""), clean(row.get(f"TEN_{what}", ""))
    named: Resource = {"coding": [{"system": system, "code": code}]} if code else {}
    return named | ({"text": name} if name else {})


def _quantity(gathering: Gathering, table: str, position: int, row: Row) -> Resource:
    text = row.get("SO_LUONG", "")
    number = laboratory.parse_number(text)
    if number and not number[0]:
        return laboratory.quantity(number[1], row.get("DON_VI_TINH", ""))
    if text:
        gathering.remarks.append(
            problem(f"{table}/{position}/SO_LUONG", text, "Số lượng không đọc được", "quantity not readable, left out")
        )
    return {}


def _reasons(row: Row) -> Iterator[Resource]:
    for name, system in (("MA_BENH", systems.ICD_10), ("MA_BENH_YHCT", systems.TRADITIONAL_MEDICINE)):
        for code in split(row.get(name, "")):
            yield concept(system, code)
