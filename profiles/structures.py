"""What each of our profiles asks, and how it stands to the draft VN Core guide: docs/profiles.md is this table.

https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from typing import NamedTuple

from mappings import profile_names as names
from mappings import systems
from profiles import rules
from profiles.rules import Rules


class Structure(NamedTuple):
    """A profile: canonical, base type, title, rules; the VN Core profile it answers to ("" for none), and the reason."""

    url: str
    kind: str
    title: str
    asks: tuple[Rules, ...]
    vn_core: str = ""
    because: str = ""


_ENCOUNTER_MISSING = (
    "VN Core wants `encounter`, which a record kept outside a visit, or told by a citizen, does not have."
)
_LOOSE = (
    "VN Core builds on profiles of IPS, whose required elements QĐ 130 does not carry; nothing here contradicts them."
)
_NONE = "VN Core has no profile for it."
_SELF = (
    "A citizen can give neither encounter nor performer of the profession: the label of the source is required instead."
)

_OBSERVED = rules.required("subject", "category")

STRUCTURES = (
    Structure(
        names.PATIENT, "Patient", "Người dân",
        (
            rules.foreign_extensions(
                ethnicGroup=(systems.PATIENT_ETHNIC_GROUP, systems.ETHNIC_GROUP.rsplit("/", 1)[1], "required"),
                religion=(systems.PATIENT_RELIGION, systems.RELIGION.rsplit("/", 1)[1], "extensible"),
                occupation=(systems.PATIENT_OCCUPATION, systems.OCCUPATION.rsplit("/", 1)[1], "extensible"),
                education=(systems.PATIENT_EDUCATION, systems.EDUCATION.rsplit("/", 1)[1], "extensible"),
                nationality=(systems.PATIENT_NATIONALITY, "", ""),
            ),
            rules.identifiers(
                bhytCard=(systems.BHYT_CARD, "SB"),
                bhxhNumber=(systems.BHXH_NUMBER, "SS"),
                cccd=(systems.CCCD, "NI"),
                cmnd=(systems.CMND, "NI"),
                passport=(systems.PASSPORT, "PPN"),
                temporary=(systems.TEMPORARY_NUMBER, ""),
            ),
            rules.required("gender", "name.text", "address.text"),
            rules.extensions("address.city", placeCode=systems.PLACE_CODE),
            rules.extensions("address.district", placeCode=systems.PLACE_CODE),
            rules.extensions("address.state", placeCode=systems.PLACE_CODE),
            rules.supported("identifier", "identifier.period", "name", "birthDate", "address", "link"),
        ),
        "vn-core-patient",
        "Its identifier systems, types and extensions are used. VN Core allows one value in each identifier slice; people "
        "have many cards over time, each with a period, so ours allows many. VN Core's address extension has no room for "
        "the version of a code, and seven codes of provinces changed meaning in July 2025: place codes are an extension of "
        "ours. A facility's own number has a system of that facility, which no slice can fix. Nationality is R4's own "
        "extension.",
    ),
    Structure(
        names.COVERAGE, "Coverage", "Thẻ bảo hiểm y tế",
        (
            rules.extensions(livingArea=systems.LIVING_AREA, fiveYearDate=systems.FIVE_YEAR_DATE),
            rules.required("identifier", "subscriberId"),
            rules.coded("type", systems.V3_ACT_CODE, "PUBLICPOL"),
            rules.refers_to("beneficiary", "Patient"),
            rules.supported("period", "class", "network"),
        ),
        "",
        _NONE + " Object code and benefit are `class` (group, plan), the facility of registration is `network`.",
    ),
    Structure(
        names.ENCOUNTER, "Encounter", "Lượt khám bệnh, chữa bệnh (QĐ 130)",
        (
            rules.extensions(treatmentOutcome=systems.TREATMENT_OUTCOME),
            rules.required("identifier", "subject", "period", "period.start", "serviceProvider"),
            rules.supported("type", "diagnosis", "hospitalization.dischargeDisposition", "location"),
        ),
        "vn-core-encounter",
        "VN Core's visit number has one system for the country; MA_LK is unique in its facility only, so the system names "
        "the facility. VN Core wants one chief complaint or main diagnosis; a check-in (XML0) has none yet.",
    ),
    Structure(
        names.VITAL_SIGN, "Observation", "Dấu hiệu sinh tồn",
        (_OBSERVED, rules.required("code.coding", "effective[x]"), rules.supported("value[x]", "component")),
        "vn-core-observation-physicalfindings", _ENCOUNTER_MISSING,
    ),
    Structure(
        names.LABORATORY, "Observation", "Kết quả cận lâm sàng",
        (_OBSERVED, rules.required("code.text"), rules.supported("value[x]", "dataAbsentReason", "effective[x]")),
        "vn-core-observation-lab-code",
        "VN Core wants `basedOn` and `partOf`; rows of XML4 name the service, not the order. A result may come 60 days later.",
    ),
    Structure(
        names.BLOOD_GROUP, "Observation", "Nhóm máu",
        (
            _OBSERVED,
            rules.bound("code", "blood-group-code"),
            rules.only("value[x]", "CodeableConcept"),
            rules.bound("value[x]", "blood-group", "extensible"),
        ),
        "", _NONE,
    ),
    Structure(
        names.ALLERGY, "AllergyIntolerance", "Dị ứng",
        (rules.required("code"), rules.supported("category", "reaction", "recordedDate")),
        "vn-core-allergy-intolerance", "Can be met: it asks nothing that R4 does not.",
    ),
    Structure(
        names.CONDITION, "Condition", "Chẩn đoán",
        (
            rules.required("code", "category", "verificationStatus"),
            rules.refers_to("subject", "Patient"),
            rules.supported("encounter", "recordedDate"),
        ),
        "vn-core-condition-encounter-diagnosis", _ENCOUNTER_MISSING,
    ),
    Structure(
        names.CLINICAL_NOTE, "ClinicalImpression", "Diễn biến lâm sàng",
        (rules.required("encounter"), rules.refers_to("subject", "Patient"), rules.supported("summary", "note")),
        "", _NONE,
    ),
    Structure(
        names.DIAGNOSTIC_REPORT, "DiagnosticReport", "Phiếu kết quả",
        (rules.required("subject", "category"), rules.supported("result", "conclusion")),
        "vn-core-diagnostic-report", _LOOSE,
    ),
    Structure(
        names.MEDICATION_REQUEST, "MedicationRequest", "Đơn thuốc",
        (
            rules.only("medication[x]", "CodeableConcept"),
            rules.refers_to("subject", "Patient"),
            rules.supported("authoredOn", "dosageInstruction", "dispenseRequest"),
        ),
        "vn-core-medication-request", "VN Core wants requester and performer; MA_BAC_SI may be empty, and nobody is named.",
    ),
    Structure(
        names.PROCEDURE, "Procedure", "Phẫu thuật, thủ thuật",
        (rules.required("code"), rules.refers_to("subject", "Patient"), rules.supported("performed[x]", "performer")),
        "vn-core-procedure", _LOOSE,
    ),
    Structure(
        names.DISCHARGE_SUMMARY, "Composition", "Giấy ra viện",
        (rules.coded("type", systems.LOINC, "18842-5"), rules.required("subject"), rules.supported("section")),
        "", _NONE,
    ),
    Structure(
        names.RECORD_SUMMARY, "Composition", "Tóm tắt hồ sơ bệnh án",
        (rules.coded("type", systems.LOINC, "34133-9"), rules.required("subject"), rules.supported("section")),
        "", _NONE,
    ),
    Structure(
        names.SERVICE_REQUEST, "ServiceRequest", "Chỉ định dịch vụ kỹ thuật",
        (rules.required("code"), rules.refers_to("subject", "Patient")),
        "vn-core-service-request", "Can be met: it asks for `code` alone.",
    ),
    Structure(
        names.DEVICE_REQUEST, "DeviceRequest", "Chỉ định vật tư",
        (rules.only("code[x]", "CodeableConcept"), rules.refers_to("subject", "Patient")),
        "", _NONE,
    ),
    Structure(
        names.CARE_PLAN, "CarePlan", "Hướng điều trị, hẹn tái khám", (rules.refers_to("subject", "Patient"),), "", _NONE
    ),
    Structure(
        names.NEWBORN_WEIGHT, "Observation", "Cân nặng con lúc sinh (trong hồ sơ mẹ)",
        (_OBSERVED, rules.required("value[x]"), rules.only("value[x]", "Quantity")),
        "observation-birth-weight",
        "VN Core's LOINC code would make the weight the mother's: the text says whose it is, and no code does.",
    ),
    Structure(
        names.VISIT_ARCHIVE, "DocumentReference", "Tệp XML gốc của lượt khám",
        (rules.required("identifier", "subject", "content.attachment.url"), rules.refers_to("subject", "Patient")),
        "", _NONE,
    ),
    Structure(
        names.VISIT_PROVENANCE, "Provenance", "Nguồn gốc của lượt khám", (rules.required("entity", "activity"),), "", _NONE
    ),
    Structure(
        names.PRACTITIONER, "Practitioner", "Người hành nghề",
        (rules.required("identifier", "identifier.system", "identifier.value"), rules.supported("name")),
        "vn-core-practitioner", "VN Core wants a name; QĐ 130 sends the number of the practising certificate alone.",
    ),
    Structure(
        names.ORGANIZATION, "Organization", "Cơ sở khám bệnh, chữa bệnh",
        (rules.required("identifier", "identifier.system", "identifier.value", "name"),),
        "vn-core-provider", "VN Core wants `type`; a department of ours is a Location, so there is one type only.",
    ),
    Structure(
        names.LOCATION, "Location", "Khoa, giường",
        (rules.required("identifier", "name", "physicalType", "managingOrganization"),),
        "vn-core-location", "Met: the same elements are required.",
    ),
    Structure(
        names.IMMUNIZATION, "Immunization", "Tiêm chủng",
        (rules.refers_to("patient", "Patient"), rules.supported("occurrence[x]", "lotNumber", "protocolApplied")),
        "vn-core-immunization", _ENCOUNTER_MISSING + " Nor do vaccination books name the manufacturer.",
    ),
    Structure(
        names.FAMILY_HISTORY, "FamilyMemberHistory", "Tiền sử gia đình",
        (rules.refers_to("patient", "Patient"), rules.supported("condition")),
        "vn-core-familymember-history", "Can be met: it asks nothing that R4 does not.",
    ),
    Structure(
        names.PATIENT_HISTORY, "Observation", "Tiền sử, yếu tố nguy cơ (QĐ 831)",
        (
            rules.coded("category", systems.OBSERVATION_CATEGORY, "social-history"),
            rules.required("subject", "code.coding"),
            rules.supported("value[x]", "dataAbsentReason", "component"),
        ),
        "vn-core-observation-patienthistory_socialfactor",
        _ENCOUNTER_MISSING + " VN Core wants a value too: a risk factor that is only named has none, and a smoker's \"no\" "
        "gives none.",
    ),
    Structure(
        names.EXAM_FINDING, "Observation", "Khám lâm sàng (QĐ 831)",
        (
            rules.coded("category", systems.OBSERVATION_CATEGORY, "exam"),
            rules.required("subject", "encounter", "effective[x]", "value[x]", "code.coding"),
        ),
        "vn-core-observation-physicalfindings",
        "Met, but for `status`: VN Core has `final` only, and what a later record takes back is entered-in-error.",
    ),
    Structure(
        names.RELATED_PERSON, "RelatedPerson", "Thân nhân",
        (
            rules.extensions(carerProof=systems.CARER_PROOF),
            rules.required("identifier"),
            rules.refers_to("patient", "Patient"),
            rules.supported("relationship", "name", "telecom"),
        ),
        "", _NONE + " Neither relationship nor name is required: QĐ 831 may leave out either.",
    ),
    Structure(
        names.SELF_DECLARED_OBSERVATION, "Observation", "Chỉ số do người dân tự khai",
        (rules.self_declared(), rules.required("subject", "performer", "effective[x]")), "", _SELF,
    ),
    Structure(
        names.SELF_DECLARED_ALLERGY, "AllergyIntolerance", "Dị ứng do người dân tự khai",
        (
            rules.self_declared(),
            rules.required("asserter", "code"),
            rules.coded(
                "verificationStatus",
                "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
                "unconfirmed",
            ),
        ),
        "vn-core-allergy-intolerance", "Can be met; ours adds that nobody has confirmed it.",
    ),
    Structure(
        names.SELF_DECLARED_CONDITION, "Condition", "Bệnh do người dân tự khai",
        (
            rules.self_declared(),
            rules.required("asserter", "code"),
            rules.coded("verificationStatus", systems.CONDITION_VERIFICATION, "unconfirmed"),
        ),
        "vn-core-condition-problemlist", _SELF,
    ),
    Structure(
        names.SELF_DECLARED_PROCEDURE, "Procedure", "Phẫu thuật do người dân tự khai",
        (rules.self_declared(), rules.required("asserter", "code"), rules.refers_to("subject", "Patient")),
        "vn-core-procedure",
        "VN Core builds on a profile of IPS that wants a date; a citizen may not remember one. FHIR has no state of "
        "confirmation for a Procedure, so the label says it.",
    ),
    Structure(
        names.SELF_DECLARED_FAMILY_HISTORY, "FamilyMemberHistory", "Tiền sử gia đình do người dân tự khai",
        (rules.self_declared(), rules.refers_to("patient", "Patient")),
        "vn-core-familymember-history", "Can be met; ours adds that nobody has confirmed it.",
    ),
)  # fmt: skip


class Extension(NamedTuple):
    """An extension of ours: canonical, title, the elements it may stand on, and the rule of its value, or its parts."""

    url: str
    title: str
    on: tuple[str, ...]
    value: Rules
    parts: tuple[tuple[str, str], ...] = ()
    """(name, type) of each extension in it, which stand in the place of a value."""


EXTENSIONS = (
    Extension(
        systems.LIVING_AREA, "Khu vực sinh sống trên thẻ BHYT (K1, K2, K3)", ("Coverage",),
        {"value[x]": {"type": [{"code": "code"}], **rules.bound("value[x]", "bhyt-living-area")["value[x]"]}},
    ),
    Extension(
        systems.FIVE_YEAR_DATE, "Thời điểm đủ 5 năm liên tục", ("Coverage",), rules.only("value[x]", "date")
    ),
    Extension(
        systems.TREATMENT_OUTCOME, "Kết quả điều trị (KET_QUA_DTRI)", ("Encounter",),
        {
            "value[x]": {
                "type": [{"code": "CodeableConcept"}],
                **rules.bound("value[x]", "treatment-outcome", "extensible")["value[x]"],
            }
        },
    ),
    Extension(
        systems.PLACE_CODE, "Mã địa danh kèm phiên bản của danh mục", ("Address.city", "Address.district", "Address.state"),
        {
            "value[x]": {"type": [{"code": "Coding"}]},
            "value[x].system": {"min": 1},
            "value[x].version": {"min": 1},
            "value[x].code": {"min": 1},
        },
    ),
    Extension(
        systems.CARER_PROOF, "Giấy tờ chứng minh quyền chăm sóc mà nhân viên đã xem", ("RelatedPerson",),
        rules.only("value[x]", "code"),
    ),
    Extension(
        systems.MATCH_FACT, "Một điểm giống hoặc khác nhau mà Patient/$match đã xét", ("Bundle.entry.search",), {},
        (("fact", "code"), ("agrees", "boolean"), ("points", "decimal")),
    ),
)  # fmt: skip
