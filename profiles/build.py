"""Writes the JSON files of this package from the code lists and systems that the mappings use.

    python -m profiles.build

https://hl7.org/fhir/R4/namingsystem.html and https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mappings import code_lists, systems

# The day these definitions took their present form.
_DATE = "2026-11-24"
_PUBLISHER = "Hồ sơ sức khỏe"

# id, system, v2 type, description
_NAMING = (
    ("bhyt-card", systems.BHYT_CARD, "SB", "Số thẻ bảo hiểm y tế 15 ký tự; một người có nhiều thẻ theo thời gian"),
    ("cccd", systems.CCCD, "NI", "Số căn cước công dân, 12 số"),
    ("cmnd", systems.CMND, "NI", "Số chứng minh nhân dân, 9 số"),
    ("passport", systems.PASSPORT, "PPN", "Số hộ chiếu"),
    ("bhxh-number", systems.BHXH_NUMBER, "SS", "Mã số bảo hiểm xã hội, 10 số; không đổi khi đổi thẻ BHYT"),
    (
        "temporary-number",
        systems.TEMPORARY_NUMBER,
        "",
        "Số tạm VD-<cơ sở>-<yyyymmdd>-<số thứ tự> của người chưa có giấy tờ",
    ),
    ("other-number", systems.OTHER_NUMBER, "", "Số giấy tờ được giữ nguyên vì không rõ loại"),
    ("declaration", systems.DECLARATION, "", "Mã của một mục trong một lần người dân tự khai"),
    ("facility", systems.FACILITY, "PRN", "Mã cơ sở khám bệnh, chữa bệnh, 5 ký tự"),
    ("archive-number", systems.ARCHIVE_NUMBER, "MR", "Mã hồ sơ bệnh án, chỉ duy nhất trong cơ sở cấp"),
    ("visit", systems.VISIT_BASE, "VN", "Thêm mã cơ sở vào cuối: mã đợt điều trị MA_LK của cơ sở đó"),
    (
        "visit-row",
        systems.VISIT_ROW_BASE,
        "",
        "Thêm mã cơ sở vào cuối: một dòng dữ liệu của đợt điều trị, dạng MA_LK/bảng/dòng",
    ),
    (
        "facility-patient",
        systems.FACILITY_PATIENT_BASE,
        "MR",
        "Thêm mã cơ sở vào cuối: mã người bệnh MA_BN của cơ sở đó",
    ),
)
_BLOOD_GROUPS = {
    **{group: f"Nhóm {group}" for group in ("A", "B", "AB", "O")},
    **{f"{group}-pos": f"{group} Rh+" for group in ("A", "B", "AB", "O")},
    **{f"{group}-neg": f"{group} Rh-" for group in ("A", "B", "AB", "O")},
    "pos": "Rh+",
    "neg": "Rh-",
}


def _naming_system(key: str, uri: str, type_code: str, description: str) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "NamingSystem",
        "id": key,
        "name": "".join(word.capitalize() for word in key.split("-")),
        "status": "active",
        "kind": "identifier",
        "date": _DATE,
        "publisher": _PUBLISHER,
        "description": description,
        "uniqueId": [{"type": "uri", "value": uri, "preferred": True}],
    }
    if type_code:
        resource["type"] = {"coding": [{"system": systems.V2_IDENTIFIER_TYPE, "code": type_code}]}
    return resource


def _code_system(
    url: str, name: str, title: str, codes: Mapping[str, str], content: str = "complete"
) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "CodeSystem",
        "id": url.rsplit("/", 1)[1],
        "url": url,
        "name": name,
        "title": title,
        "status": "active",
        "experimental": False,
        "date": _DATE,
        "publisher": _PUBLISHER,
        "caseSensitive": True,
        "content": content,
    }
    if codes:
        resource |= {"count": len(codes), "concept": [{"code": code, "display": text} for code, text in codes.items()]}
    return resource


def conformance() -> list[dict[str, Any]]:
    """All resources of the package, as they are to be written."""
    kinds = {code: kind["display"] for code, kind in code_lists.visit_kinds().items()}
    discharges = {code: kind["display"] for code, kind in code_lists.discharges().items()}
    return [
        *(_naming_system(*row) for row in _NAMING),
        _code_system(systems.VISIT_KIND, "VisitKind", "Hình thức khám bệnh, chữa bệnh (MA_LOAI_KCB)", kinds),
        _code_system(systems.DISCHARGE, "Discharge", "Loại ra viện (MA_LOAI_RV)", discharges),
        _code_system(systems.OUTCOME, "TreatmentOutcome", "Kết quả điều trị (KET_QUA_DTRI)", code_lists.outcomes()),
        _code_system(systems.BLOOD_GROUP, "BloodGroup", "Nhóm máu ABO và Rh", _BLOOD_GROUPS),
        _code_system(
            systems.RECORD_SOURCE, "RecordSource", "Nguồn của thông tin", {"self-declared": "Người dân tự khai"}
        ),
        _code_system(
            systems.ENTITLEMENT, "Entitlement", "Đối tượng đến khám (MA_DOITUONG_KCB)", {}, content="not-present"
        ),
        _code_system(systems.LAB_INDICATOR, "LabIndicator", "Chỉ số xét nghiệm (MA_CHI_SO)", {}, content="not-present"),
        _code_system(
            systems.TECHNICAL_SERVICE, "TechnicalService", "Dịch vụ kỹ thuật (MA_DICH_VU)", {}, content="not-present"
        ),
    ]


def text(resource: Mapping[str, Any]) -> str:
    """A resource as its file holds it."""
    return json.dumps(resource, ensure_ascii=False, indent=1) + "\n"


def file_name(resource: Mapping[str, Any]) -> str:
    """The name of a resource's file."""
    return f"{resource['resourceType']}-{resource['id']}.json"


def main() -> None:
    folder = Path(__file__).parent
    for resource in conformance():
        (folder / file_name(resource)).write_text(text(resource), encoding="utf-8")


if __name__ == "__main__":
    main()
