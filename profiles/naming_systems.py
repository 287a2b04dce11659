"""The identifier systems of the mappings as NamingSystems. https://hl7.org/fhir/R4/namingsystem.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mappings import systems
from profiles.stamp import DATE, PUBLISHER

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
    ("practitioner", systems.PRACTITIONER, "MD", "Số giấy phép hành nghề của người hành nghề"),
    (
        "department",
        systems.DEPARTMENT_BASE,
        "",
        "Thêm mã cơ sở vào cuối: mã khoa, hoặc mã khoa/mã giường của cơ sở đó",
    ),
    ("referral-slip", systems.REFERRAL_SLIP, "", "Số giấy chuyển tuyến (GIAY_CHUYEN_TUYEN)"),
    ("visit-request", systems.VISIT_REQUEST, "", "Một lần gửi hồ sơ lượt khám"),
    ("carer", systems.CARER, "", "Người chăm sóc được mở hồ sơ: id hồ sơ Patient của chính người đó"),
    (
        "birth-registration",
        systems.BIRTH_REGISTRATION_BASE,
        "",
        "Thêm mã nơi gửi vào cuối: số đăng ký khai sinh do nơi đó cấp",
    ),
    (
        "health-record",
        systems.HEALTH_RECORD_BASE,
        "",
        "Thêm mã cơ sở vào cuối: một mục trong hồ sơ sức khỏe cá nhân (QĐ 831) hoặc lượt khám dạng JSON cơ sở đó gửi",
    ),
    (
        "resident-change",
        systems.RESIDENT_CHANGE_BASE,
        "",
        "Thêm mã nơi gửi vào cuối: số thứ tự của một tin biến động dân cư",
    ),
    ("audit-actor", systems.AUDIT_ACTOR, "", "Ai đã truy cập, trong nhật ký truy cập: loại và tên, dạng staff:tên"),
    ("sha-256", systems.SHA_256, "", "Giá trị băm SHA-256 của tệp gốc"),
)


def naming_systems() -> Iterator[dict[str, Any]]:
    """All of them."""
    for row in _NAMING:
        yield _naming_system(*row)


def _naming_system(key: str, uri: str, type_code: str, description: str) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "NamingSystem",
        "id": key,
        "name": "".join(word.capitalize() for word in key.split("-")),
        "status": "active",
        "kind": "identifier",
        "date": DATE,
        "publisher": PUBLISHER,
        "description": description,
        "uniqueId": [{"type": "uri", "value": uri, "preferred": True}],
    }
    if type_code:
        resource["type"] = {"coding": [{"system": systems.V2_IDENTIFIER_TYPE, "code": type_code}]}
    return resource
