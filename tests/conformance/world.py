"""A few invented records, each the least that tells one search from another."""

from __future__ import annotations

from typing import Any

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CARD = "http://fhir.ehealth.gov.vn/core/sid/insurance_number"
CODES = "http://example.vn/fhir/CodeSystem/illness"
ICD = "http://hl7.org/fhir/sid/icd-10"
V2_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"


def _reference(target: str) -> dict[str, str]:
    return {"reference": target}


def _concept(system: str, code: str, text: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": text}], "text": text}


def _patient(logical_id: str, full_name: str, **elements: Any) -> dict[str, Any]:
    family, *given = full_name.split(" ")
    name = {"text": full_name, "family": family, "given": given}
    return {"resourceType": "Patient", "id": logical_id, "name": [name], **elements}


def _weight(logical_id: str, kilograms: float, patient: str, date: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": _concept(LOINC, "29463-7", "Body weight"),
        "subject": _reference(f"Patient/{patient}"),
        "effectiveDateTime": date,
        "valueQuantity": {"value": kilograms, "unit": "kg", "system": UCUM, "code": "kg"},
        **elements,
    }


def _part(code: str, text: str, value: int) -> dict[str, Any]:
    amount = {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
    return {"code": _concept(LOINC, code, text), "valueQuantity": amount}


RESOURCES: tuple[dict[str, Any], ...] = (
    {"resourceType": "Organization", "id": "ministry", "name": "Sở Y tế"},
    {
        "resourceType": "Organization",
        "id": "clinic",
        "name": "Trạm y tế xã Mẫu",
        "partOf": _reference("Organization/ministry"),
    },
    {"resourceType": "Organization", "id": "store", "name": "Kho A, B|C$D"},
    _patient(
        "dao",
        "Nguyễn Thị Ánh Đào",
        meta={
            "tag": [{"system": "http://example.vn/tags", "code": "seed"}],
            "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}],
            "profile": ["http://example.vn/fhir/StructureDefinition/person"],
            "source": "http://example.vn/roster",
        },
        text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Dị ứng đậu phộng</p></div>'},
        identifier=[
            {"system": CARD, "value": "GD4790000000001"},
            {"type": _concept(V2_TYPES, "MR", "Medical record"), "value": "12345"},
        ],
        gender="female",
        birthDate="1985-09-02",
        managingOrganization=_reference("Organization/clinic"),
    ),
    _patient("duc", "Trần Văn Đức", gender="male", birthDate="1990-07"),
    _patient("bao", "Lê Gia Bảo", gender="unknown"),
    _weight("dao-weight", 58.5, "dao", "2026-11-20T08:10:00+07:00"),
    _weight("duc-weight", 61.0, "duc", "2026-11-20", performer=[_reference("Organization/clinic")]),
    {
        "resourceType": "Observation",
        "id": "dao-pressure",
        "status": "amended",
        "code": _concept(LOINC, "85354-9", "Blood pressure"),
        "subject": _reference("Patient/dao"),
        "effectiveDateTime": "2026-11",
        "component": [_part("8480-6", "Systolic", 120), _part("8462-4", "Diastolic", 80)],
        "hasMember": [_reference("Observation/dao-weight")],
    },
    {
        "resourceType": "Observation",
        "id": "note",
        "status": "final",
        "code": {"text": "Ghi chú"},
        "subject": {"identifier": {"system": CARD, "value": "GD4790000000009"}},
        "effectiveDateTime": "2020-01-01",
        "valueString": "Khỏe",
    },
    {
        "resourceType": "RiskAssessment",
        "id": "risk",
        "status": "final",
        "subject": _reference("Patient/dao"),
        "prediction": [{"probabilityDecimal": 0.8}],
    },
    {
        "resourceType": "RiskAssessment",
        "id": "no-risk",
        "status": "final",
        "subject": _reference("Patient/duc"),
    },
    {
        "resourceType": "CodeSystem",
        "id": "illness",
        "url": CODES,
        "status": "active",
        "content": "complete",
        "hierarchyMeaning": "is-a",
        "concept": [{"code": "lung", "concept": [{"code": "asthma"}]}, {"code": "skin"}],
    },
    {
        "resourceType": "ValueSet",
        "id": "weights",
        "url": "http://example.vn/fhir/ValueSet/weights",
        "status": "active",
        "compose": {"include": [{"system": LOINC, "concept": [{"code": "29463-7"}]}]},
    },
    {"resourceType": "ValueSet", "id": "unnamed", "status": "draft"},
    {
        "resourceType": "ConceptMap",
        "id": "to-icd",
        "url": "http://example.vn/fhir/ConceptMap/to-icd",
        "status": "active",
        "group": [
            {
                "source": CODES,
                "target": ICD,
                "element": [{"code": "asthma", "target": [{"code": "J45", "equivalence": "equivalent"}]}],
            }
        ],
    },
    *(
        {
            "resourceType": "Condition",
            "id": code,
            "code": {"coding": [{"system": CODES, "code": code}]},
            "subject": _reference("Patient/dao"),
        }
        for code in ("lung", "asthma", "skin")
    ),
    {
        "resourceType": "Location",
        "id": "saigon",
        "name": "Sài Gòn",
        "position": {"longitude": 106.7009, "latitude": 10.7769},
    },
    {
        "resourceType": "Location",
        "id": "hanoi",
        "name": "Hà Nội",
        "position": {"longitude": 105.8542, "latitude": 21.0285},
    },
    {
        "resourceType": "List",
        "id": "watched",
        "status": "current",
        "mode": "working",
        "entry": [{"item": _reference("Patient/duc")}],
    },
    {
        "resourceType": "DocumentReference",
        "id": "letter",
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain"}}],
        "contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"family": "Phạm"}]}],
        "author": [_reference("#p")],
    },
)
