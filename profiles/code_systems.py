"""The code systems and value sets of the mappings. https://hl7.org/fhir/R4/codesystem.html, valueset.html"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mappings import code_lists, systems
from mappings.qd831.table import VALUES, fields
from profiles.stamp import stamped

BLOOD_GROUPS = {
    **{group: f"Nhóm {group}" for group in ("A", "B", "AB", "O")},
    **{f"{group}-pos": f"{group} Rh+" for group in ("A", "B", "AB", "O")},
    **{f"{group}-neg": f"{group} Rh-" for group in ("A", "B", "AB", "O")},
    "pos": "Rh+",
    "neg": "Rh-",
}
BLOOD_GROUP_CODES = {
    "882-1": "ABO and Rh group [Type] in Blood",
    "883-9": "ABO group [Type] in Blood",
    "10331-7": "Rh [Type] in Blood",
}
_AREAS = {"K1": "Khu vực K1", "K2": "Khu vực K2", "K3": "Khu vực K3"}
_PURPOSES = {
    "declare": "Tự khai thông tin sức khỏe",
    "care": "Khám bệnh, chữa bệnh",
    "statistics": "Thống kê",
    "facility": "Mở hồ sơ cho một cơ sở trong 30 phút",
}
_AUDITED = {
    "card": "Mở hồ sơ bằng thẻ",
    "pin": "Nhập mã PIN",
    "export": "Xuất dữ liệu",
    "import": "Nhập dữ liệu",
    "submission": "Gửi qua cổng tiếp nhận",
    "page": "Xem trang",
}
_VN_CORE = "Chép từ bản dự thảo VN Core (http://fhir.ehealth.gov.vn/core); VN Core giữ quyền định nghĩa."
_OPEN = "Danh mục mở: mã do cơ quan ban hành quản lý, không chép vào đây."


class _System(NamedTuple):
    url: str
    id: str
    name: str
    title: str
    codes: Mapping[str, str]
    content: str = "complete"
    description: str = ""


def _displays(kinds: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {code: kind["display"] for code, kind in kinds.items()}


def _items() -> dict[str, str]:
    """The codes of Observations that QĐ 831 gives; named where LOINC or a blood group names them."""
    return {row.code: row.display for row in fields() if row.kind in VALUES}


def _systems() -> Iterator[_System]:
    listed = code_lists.codes
    own = (
        (systems.VISIT_KIND, "VisitKind", "Hình thức khám bệnh, chữa bệnh (MA_LOAI_KCB)",
         _displays(code_lists.visit_kinds())),
        (systems.DISCHARGE, "Discharge", "Loại ra viện (MA_LOAI_RV)", _displays(code_lists.discharges())),
        (systems.OUTCOME, "TreatmentOutcome", "Kết quả điều trị (KET_QUA_DTRI)", code_lists.outcomes()),
        (systems.ENTITLEMENT, "Entitlement", "Đối tượng đến khám (MA_DOITUONG_KCB)", listed("entitlements")),
        (systems.OBJECT_CODE, "BhytObjectCode", "Mã đối tượng trên thẻ BHYT", code_lists.object_codes()),
        (systems.BENEFIT, "BhytBenefit", "Mức hưởng trên thẻ BHYT", listed("benefits")),
        (systems.LIVING_AREA_CODE, "BhytLivingArea", "Khu vực sinh sống trên thẻ BHYT", _AREAS),
        (systems.BLOOD_GROUP, "BloodGroup", "Nhóm máu ABO và Rh", BLOOD_GROUPS),
        (systems.RECORD_SOURCE, "RecordSource", "Nguồn của thông tin", {"self-declared": "Người dân tự khai"}),
        (systems.VISIT_STATE, "VisitState", "Trạng thái gửi của hồ sơ", {"cancelled": "Hồ sơ đã hủy"}),
        (systems.IDENTITY_TASK, "IdentityTask", "Việc xác định một người",
         {"possible-duplicate": "Có thể là cùng một người"}),
        (systems.CONSENT_PURPOSE, "ConsentPurpose", "Mục đích người dân đồng ý", _PURPOSES),
    )  # fmt: skip
    for url, name, title, codes in own:
        yield _System(url, url.rsplit("/", 1)[1], name, title, codes)
    for url, name, title, codes, description in (
        (systems.AUDIT_OPERATION, "AuditOperation", "Thao tác trong nhật ký truy cập", _AUDITED,
         "Ngoài các mã này: tên của thao tác FHIR ($everything ghi là everything)."),
        (systems.HEALTH_RECORD_ITEM, "HealthRecordItem", "Mục của hồ sơ sức khỏe cá nhân (QĐ 831)", _items(),
         "Mã là đường dẫn và tên trường. Ngoài các mã này: tên trường/giá trị đã gửi, như BENHTAT/2."),
    ):  # fmt: skip
        yield _System(url, url.rsplit("/", 1)[1], name, title, codes, "fragment", description)
    vn_core = (
        (systems.ETHNIC_GROUP, "EthnicGroup", "Dân tộc", "ethnic_groups", "complete"),
        (systems.RELIGION, "Religion", "Tôn giáo", "religions", "fragment"),
        (systems.OCCUPATION, "Occupation", "Nghề nghiệp", "occupations", "fragment"),
        (systems.OCCUPATION_4069, "Occupation4069", "Nghề nghiệp theo QĐ 4069", "occupations_4069", "complete"),
        (systems.EDUCATION, "EducationLevel", "Trình độ học vấn", "education", "complete"),
    )
    for url, name, title, key, content in vn_core:
        yield _System(url, url.rsplit("/", 1)[1], name, title, listed(key), content, _VN_CORE)
    for url, name, title in (
        (systems.FACILITY, "Facility", "Cơ sở khám bệnh, chữa bệnh (mã 5 ký tự)"),
        (systems.LAB_INDICATOR, "LabIndicator", "Chỉ số xét nghiệm (MA_CHI_SO)"),
        (systems.TECHNICAL_SERVICE, "TechnicalService", "Dịch vụ kỹ thuật (MA_DICH_VU)"),
        (systems.TRADITIONAL_MEDICINE, "TraditionalMedicineDisease", "Bệnh y học cổ truyền (MA_BENH_YHCT)"),
        (systems.ACTIVE_INGREDIENT, "ActiveIngredient", "Thuốc (MA_THUOC)"),
        (systems.DRUG_REGISTRATION, "DrugRegistration", "Số đăng ký thuốc (SO_DANG_KY)"),
        (systems.DRUG_ROUTE, "DrugRoute", "Đường dùng thuốc (DUONG_DUNG)"),
        (systems.SUPPLY_ITEM, "SupplyItem", "Vật tư y tế (MA_VAT_TU)"),
        (systems.COST_GROUP, "CostGroup", "Nhóm chi phí (MA_NHOM)"),
        (systems.INJURY_CAUSE, "InjuryCause", "Tai nạn, thương tích (MA_TAI_NAN)"),
        (systems.ADMISSION_REASON, "AdmissionReason", "Lý do vào nội trú (MA_LY_DO_VNT)"),
        (systems.NATIONALITY, "Nationality", "Quốc tịch (MA_QUOCTICH)"),
        (systems.ICD_10, "Icd10", "ICD-10"),
    ):
        content = "example" if url == systems.FACILITY else "not-present"
        yield _System(url, url.rsplit("/", 1)[1], name, title, {}, content, _OPEN)


def code_systems() -> Iterator[dict[str, Any]]:
    """Every CodeSystem but those of places. An empty name in a published list is a code nobody named: no display."""
    for row in _systems():
        resource = stamped("CodeSystem", row.id, row.url, row.name, row.title, row.description)
        resource |= {"caseSensitive": True, "content": row.content}
        if row.codes:
            concepts = [{"code": code, **({"display": text} if text else {})} for code, text in row.codes.items()]
            resource |= {"count": len(concepts), "concept": concepts}
        yield resource


def value_set_url(key: str) -> str:
    """The canonical of one of our value sets."""
    return f"{systems.OWN_BASE}/ValueSet/{key}"


def value_sets() -> Iterator[dict[str, Any]]:
    """For every code system with codes the value set of all of them, and the codes of blood groups."""
    for row in _systems():
        if row.codes:
            yield _value_set(row.id, row.name, row.title, {"system": row.url})
    listed = [{"code": code, "display": text} for code, text in BLOOD_GROUP_CODES.items()]
    include = {"system": systems.LOINC, "concept": listed}
    yield _value_set("blood-group-code", "BloodGroupCode", "Mã LOINC của nhóm máu", include)


def _value_set(key: str, name: str, title: str, include: dict[str, Any]) -> dict[str, Any]:
    resource = stamped("ValueSet", key, value_set_url(key), f"{name}ValueSet", title)
    return {**resource, "compose": {"include": [include]}}
