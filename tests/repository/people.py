"""A small population that search tests share: every awkward shape a few times. All of them are invented."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.access.context import AccessContext

OPEN = AccessContext.unrestricted("test")
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CARD = "http://fhir.ehealth.gov.vn/core/sid/insurance_number"
CITIZEN_ID = "http://fhir.ehealth.gov.vn/core/sid/national_id"

NAMES = ["Nguyễn Thị Ánh Đào", "Nguyễn Văn An", "Trần Văn Đức", "Lê Gia Bảo", "Đào Thị Nguyệt", "Phạm Thị Ơn", "Hồ An"]
BIRTHS = ["1985-09-02", "1950", "1962-03", "2023-03-15", None, "1990-07-05"]
DATES: list[dict[str, Any]] = [
    {"effectiveDateTime": "2026-11-20T08:10:00+07:00"},
    {"effectiveDateTime": "2026-11-20"},
    {"effectiveDateTime": "2026-11"},
    {"effectivePeriod": {"start": "2026-11-01", "end": "2026-11-20"}},
    {"effectivePeriod": {"start": "2026-10-15"}},
    {"effectiveInstant": "2026-11-19T23:30:00.250Z"},
    {},
]
CODES = [
    ("29463-7", "kg", ["58.50", "58.5", "61", "5.4"]),
    ("8302-2", "cm", ["158", "160.0", "5.45"]),
    ("718-7", None, ["13.1"]),
]


def patient(number: int) -> dict[str, Any]:
    name = NAMES[number % len(NAMES)]
    family, *given = name.split(" ")
    made: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": CARD, "value": f"GD47900000{number:05d}"}],
        "name": [{"text": name, "family": family, "given": given}],
        "gender": ["male", "female", "unknown"][number % 3],
    }
    if number % 2:
        made["identifier"].append({"system": CITIZEN_ID, "value": f"000000{number:06d}"})
        made["identifier"].append({"value": f"no-system-{number}"})
        made["telecom"] = [{"system": "phone", "value": f"0900000{number:03d}"}]
    if BIRTHS[number % len(BIRTHS)]:
        made["birthDate"] = BIRTHS[number % len(BIRTHS)]
    if number % 5 == 0:
        made["active"] = number % 10 == 0
    return made


def observation(number: int, patients: list[str]) -> dict[str, Any]:
    code, unit, amounts = CODES[number % len(CODES)]
    codings = [{"system": LOINC, "code": code}]
    if number % 4 == 0:
        codings.append({"system": "http://hospital.example.vn/codes", "code": "718-7"})
    quantity: dict[str, Any] = {"value": Decimal(amounts[number % len(amounts)])}
    if unit:
        quantity |= {"unit": unit, "system": UCUM, "code": unit}
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "status": ["final", "amended", "registered"][number % 3],
        "code": {"coding": codings, "text": f"Xét nghiệm {number % 4}"},
        **DATES[number % len(DATES)],
        "valueQuantity": quantity,
    }
    if number % 6:
        made["subject"] = {"reference": f"Patient/{patients[number % len(patients)]}"}
    else:
        made["subject"] = {"reference": "Group/g1"}
    if number % 5 == 0:
        made["component"] = [
            {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": {"value": Decimal("120"), "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}},
            {"code": {"coding": [{"system": LOINC, "code": "8462-4"}]}, "valueQuantity": {"value": 80, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}},
        ]  # fmt: skip
    return made


def bundle(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """A transaction that creates the resources."""
    entries = [{"resource": each, "request": {"method": "POST", "url": each["resourceType"]}} for each in resources]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def ids(page: Any) -> list[str]:
    """The ids of the matches of a page."""
    return [stored.id for mode, stored in page.entries if mode == "match"]


def every_match(repository: Any, type: str, pairs: list[tuple[str, str]], ctx: AccessContext = OPEN) -> list[str]:
    """The ids of all matches, page by page."""
    found: list[str] = []
    following: list[tuple[str, str]] | None = pairs
    while following is not None:
        page = repository.search(ctx, type, following)
        found += ids(page)
        following = page.next
        if len(found) > 100_000:
            pytest.fail("the pages never end")
    return found
