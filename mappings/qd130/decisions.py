"""What becomes of each field of QĐ 130: the decisions that build.py joins with the published list of fields.

A path is the FHIR element where the field's text, converted, is found again: the test of the mapping looks there.
"""

from __future__ import annotations

from collections.abc import Mapping

Paths = Mapping[str, str]

_MONEY = "price, share or budget of the payment; no part of a health record, kept in the archived XML"
_PAYMENT_RULE = "serves the settlement with the insurance fund; kept in the archived XML"
_REPEATED = "repeats what XML1 says of the same visit; kept in the archived XML"
_THIRD_PERSON = "about a parent or guardian, whose record this is not; kept in the archived XML"
_SENSITIVE = "about the end of a pregnancy or the death of a child; kept in the archived XML only, on purpose"
_DEPARTMENT = "the departments of the visit are on its Encounter; kept in the archived XML"

# Table -> field -> FHIR path.
MAPPED: Mapping[str, Paths] = {
    "XML0": {
        "MA_LK": "Encounter.identifier.value",
        "MA_BN": "Patient.identifier.value",
        "HO_TEN": "Patient.name.text",
        "SO_CCCD": "Patient.identifier.value",
        "NGAY_SINH": "Patient.birthDate",
        "GIOI_TINH": "Patient.gender",
        "MA_THE_BHYT": "Patient.identifier.value; Coverage.subscriberId",
        "MA_DKBD": "Coverage.network",
        "GT_THE_TU": "Patient.identifier.period.start; Coverage.period.start",
        "GT_THE_DEN": "Patient.identifier.period.end; Coverage.period.end",
        "MA_DOITUONG_KCB": "Encounter.type.coding.code",
        "NGAY_VAO": "Encounter.period.start",
        "NGAY_VAO_NOI_TRU": "Encounter.classHistory.period.start",
        "LY_DO_VNT": "Encounter.reasonCode.text",
        "MA_LY_DO_VNT": "Encounter.reasonCode.coding.code",
        "MA_LOAI_KCB": "Encounter.type.coding.code",
        "MA_CSKCB": "Encounter.serviceProvider.identifier.value; Organization.identifier.value",
        "MA_DICH_VU": "ServiceRequest.code.coding.code",
        "TEN_DICH_VU": "ServiceRequest.code.text",
        "MA_THUOC": "MedicationRequest.medicationCodeableConcept.coding.code",
        "TEN_THUOC": "MedicationRequest.medicationCodeableConcept.text",
        "MA_VAT_TU": "DeviceRequest.codeCodeableConcept.coding.code",
        "TEN_VAT_TU": "DeviceRequest.codeCodeableConcept.text",
        "NGAY_YL": "ServiceRequest.authoredOn",
    },
    "XML1": {
        "MA_LK": "Encounter.identifier.value",
        "MA_BN": "Patient.identifier.value",
        "HO_TEN": "Patient.name.text",
        "SO_CCCD": "Patient.identifier.value",
        "NGAY_SINH": "Patient.birthDate",
        "GIOI_TINH": "Patient.gender",
        "NHOM_MAU": "Observation.valueCodeableConcept.text",
        "MA_QUOCTICH": "Patient.extension.extension.valueCodeableConcept.coding.code",
        "MA_DANTOC": "Patient.extension.valueCodeableConcept.coding.code",
        "MA_NGHE_NGHIEP": "Patient.extension.valueCodeableConcept.coding.code",
        "DIA_CHI": "Patient.address.text",
        "MATINH_CU_TRU": "Patient.address._state.extension.valueCoding.code",
        "MAHUYEN_CU_TRU": "Patient.address._district.extension.valueCoding.code",
        "MAXA_CU_TRU": "Patient.address._city.extension.valueCoding.code",
        "DIEN_THOAI": "Patient.telecom.value",
        "MA_THE_BHYT": "Patient.identifier.value; Coverage.subscriberId",
        "MA_DKBD": "Coverage.network",
        "GT_THE_TU": "Patient.identifier.period.start; Coverage.period.start",
        "GT_THE_DEN": "Patient.identifier.period.end; Coverage.period.end",
        "LY_DO_VV": "Encounter.reasonCode.text",
        "LY_DO_VNT": "Encounter.reasonCode.text",
        "MA_LY_DO_VNT": "Encounter.reasonCode.coding.code",
        "CHAN_DOAN_VAO": "Condition.code.text",
        "CHAN_DOAN_RV": "Condition.code.text",
        "MA_BENH_CHINH": "Condition.code.coding.code",
        "MA_BENH_KT": "Condition.code.coding.code",
        "MA_BENH_YHCT": "Condition.code.coding.code",
        "MA_PTTT_QT": "Procedure.code.coding.code",
        "MA_DOITUONG_KCB": "Encounter.type.coding.code",
        "MA_NOI_DI": "Encounter.hospitalization.origin.identifier.value",
        "MA_NOI_DEN": "Encounter.hospitalization.destination.identifier.value",
        "MA_TAI_NAN": "Encounter.reasonCode.coding.code",
        "NGAY_VAO": "Encounter.period.start",
        "NGAY_VAO_NOI_TRU": "Encounter.classHistory.period.start",
        "NGAY_RA": "Encounter.period.end",
        "GIAY_CHUYEN_TUYEN": "Encounter.hospitalization.preAdmissionIdentifier.value",
        "SO_NGAY_DTRI": "Encounter.length.value",
        "PP_DIEU_TRI": "CarePlan.description",
        "KET_QUA_DTRI": "Encounter.extension.valueCodeableConcept.coding.code",
        "MA_LOAI_RV": "Encounter.hospitalization.dischargeDisposition.coding.code",
        "GHI_CHU": "CarePlan.note.text",
        "MA_LOAI_KCB": "Encounter.type.coding.code",
        "MA_KHOA": "Location.identifier.value",
        "MA_CSKCB": "Encounter.serviceProvider.identifier.value; Organization.identifier.value",
        "MA_KHUVUC": "Coverage.extension.valueCode",
        "CAN_NANG": "Observation.valueQuantity.value",
        "CAN_NANG_CON": "Observation.valueQuantity.value",
        "NAM_NAM_LIEN_TUC": "Coverage.extension.valueDate",
        "NGAY_TAI_KHAM": "CarePlan.activity.detail.scheduledPeriod.start",
        "MA_HSBA": "Encounter.identifier.value",
    },
    "XML2": {
        "MA_LK": "MedicationRequest.identifier.value",
        "STT": "MedicationRequest.identifier.value",
        "MA_THUOC": "MedicationRequest.medicationCodeableConcept.coding.code",
        "TEN_THUOC": "MedicationRequest.medicationCodeableConcept.text",
        "DON_VI_TINH": "MedicationRequest.dispenseRequest.quantity.unit",
        "HAM_LUONG": "MedicationRequest.note.text",
        "DUONG_DUNG": "MedicationRequest.dosageInstruction.route.coding.code",
        "DANG_BAO_CHE": "MedicationRequest.note.text",
        "LIEU_DUNG": "MedicationRequest.dosageInstruction.text",
        "CACH_DUNG": "MedicationRequest.dosageInstruction.patientInstruction",
        "SO_DANG_KY": "MedicationRequest.medicationCodeableConcept.coding.code",
        "SO_LUONG": "MedicationRequest.dispenseRequest.quantity.value",
        "MA_BAC_SI": "Practitioner.identifier.value",
        "NGAY_YL": "MedicationRequest.authoredOn",
        "NGAY_TH_YL": "MedicationRequest.dispenseRequest.validityPeriod.start",
    },
    "XML3": {
        "MA_LK": "ServiceRequest.identifier.value",
        "STT": "ServiceRequest.identifier.value",
        "MA_DICH_VU": "ServiceRequest.code.coding.code; Procedure.code.coding.code",
        "MA_PTTT_QT": "Procedure.code.coding.code",
        "MA_VAT_TU": "DeviceRequest.codeCodeableConcept.coding.code",
        "MA_NHOM": "ServiceRequest.category.coding.code",
        "TEN_VAT_TU": "DeviceRequest.codeCodeableConcept.text",
        "TEN_DICH_VU": "ServiceRequest.code.text; Procedure.code.text",
        "DON_VI_TINH": "ServiceRequest.quantityQuantity.unit",
        "SO_LUONG": "ServiceRequest.quantityQuantity.value",
        "MA_KHOA": "Location.identifier.value",
        "MA_GIUONG": "Location.name",
        "MA_BAC_SI": "Practitioner.identifier.value",
        "NGUOI_THUC_HIEN": "Practitioner.identifier.value",
        "MA_BENH": "ServiceRequest.reasonCode.coding.code",
        "MA_BENH_YHCT": "ServiceRequest.reasonCode.coding.code",
        "NGAY_YL": "ServiceRequest.authoredOn",
        "NGAY_TH_YL": "ServiceRequest.occurrenceDateTime; Procedure.performedDateTime",
        "NGAY_KQ": "DiagnosticReport.issued",
        "PP_VO_CAM": "Procedure.note.text",
        "VI_TRI_TH_DVKT": "Procedure.bodySite.text",
    },
    "XML4": {
        "MA_LK": "Observation.identifier.value",
        "STT": "Observation.identifier.value",
        "MA_DICH_VU": "Observation.category.coding.code; DiagnosticReport.code.coding.code",
        "MA_CHI_SO": "Observation.code.coding.code",
        "TEN_CHI_SO": "Observation.code.text",
        "GIA_TRI": "Observation.valueQuantity.value",
        "DON_VI_DO": "Observation.valueQuantity.unit",
        "MO_TA": "Observation.note.text",
        "KET_LUAN": "Observation.interpretation.text; DiagnosticReport.conclusion",
        "NGAY_KQ": "Observation.effectiveDateTime; DiagnosticReport.effectiveDateTime",
        "MA_BS_DOC_KQ": "Practitioner.identifier.value",
    },
    "XML5": {
        "MA_LK": "ClinicalImpression.identifier.value",
        "STT": "ClinicalImpression.identifier.value",
        "DIEN_BIEN_LS": "ClinicalImpression.summary",
        "GIAI_DOAN_BENH": "ClinicalImpression.note.text",
        "HOI_CHAN": "ClinicalImpression.note.text",
        "PHAU_THUAT": "ClinicalImpression.note.text",
        "THOI_DIEM_DBLS": "ClinicalImpression.effectiveDateTime",
        "NGUOI_THUC_HIEN": "Practitioner.identifier.value",
    },
    "XML7": {
        "MA_LK": "Composition.identifier.value",
        "CHAN_DOAN_RV": "Composition.section.text.div",
        "PP_DIEUTRI": "Composition.section.text.div",
        "GHI_CHU": "Composition.section.text.div",
        "MA_TTDV": "Practitioner.identifier.value",
        "MA_BS": "Practitioner.identifier.value",
        "TEN_BS": "Composition.author.display",
        "NGAY_CT": "Composition.date",
        "SO_NGAY_NGHI": "Composition.section.text.div",
        "NGOAITRU_TUNGAY": "Composition.section.text.div",
        "NGOAITRU_DENNGAY": "Composition.section.text.div",
    },
    "XML8": {
        "MA_LK": "Composition.identifier.value",
        "CHAN_DOAN_VAO": "Composition.section.text.div",
        "CHAN_DOAN_RV": "Composition.section.text.div",
        "QT_BENHLY": "Composition.section.text.div",
        "TOMTAT_KQ": "Composition.section.text.div",
        "PP_DIEUTRI": "Composition.section.text.div",
        "GHI_CHU": "Composition.section.text.div",
        "MA_TTDV": "Practitioner.identifier.value",
        "NGAY_CT": "Composition.date",
    },
}

# Table -> reason -> fields, for what is read from the archived XML when somebody needs it.
ARCHIVED: Mapping[str, Mapping[str, str]] = {
    "XML1": {
        _MONEY: "T_THUOC T_VTYT T_TONGCHI_BV T_TONGCHI_BH T_BNTT T_BNCCT T_BHTT T_NGUONKHAC T_BHTT_GDV",
        _PAYMENT_RULE: "NGAY_MIEN_CCT NGAY_TTOAN NAM_QT THANG_QT MA_TTDV",
    },
    "XML2": {
        _MONEY: (
            "DON_GIA THANH_TIEN_BV THANH_TIEN_BH T_NGUONKHAC_NSNN T_NGUONKHAC_VTNN T_NGUONKHAC_VTTN T_NGUONKHAC_CL "
            "T_NGUONKHAC T_BNTT T_BNCCT T_BHTT"
        ),
        _PAYMENT_RULE: (
            "MA_CSKCB_THUOC MA_NHOM TT_THAU PHAM_VI TYLE_TT_BH MUC_HUONG MA_DICH_VU MA_PTTT NGUON_CTRA VET_THUONG_TP"
        ),
        "how a traditional ingredient was prepared; has no element of its own, kept in the archived XML": (
            "MA_PP_CHEBIEN"
        ),
        _DEPARTMENT: "MA_KHOA",
    },
    "XML3": {
        _MONEY: (
            "DON_GIA_BV DON_GIA_BH THANH_TIEN_BV THANH_TIEN_BH T_TRANTT T_NGUONKHAC_NSNN T_NGUONKHAC_VTNN "
            "T_NGUONKHAC_VTTN T_NGUONKHAC_CL T_NGUONKHAC T_BNTT T_BNCCT T_BHTT"
        ),
        _PAYMENT_RULE: (
            "GOI_VTYT MA_XANG_DAU PHAM_VI TT_THAU TYLE_TT_DV TYLE_TT_BH MUC_HUONG MA_PTTT VET_THUONG_TP TAI_SU_DUNG"
        ),
        "the machine or product of the single use; needs a register of devices, kept in the archived XML": (
            "MA_MAY MA_HIEU_SP"
        ),
    },
    "XML7": {
        _REPEATED: "SO_LUU_TRU MA_YTE NGAY_VAO NGAY_RA MA_THE_TAM",
        _DEPARTMENT: "MA_KHOA_RV",
        _SENSITIVE: "MA_DINH_CHI_THAI NGUYENNHAN_DINHCHI THOIGIAN_DINHCHI TUOI_THAI",
        _THIRD_PERSON: "MA_CHA MA_ME HO_TEN_CHA HO_TEN_ME",
    },
    "XML8": {
        _REPEATED: "MA_LOAI_KCB NGAY_VAO NGAY_RA KET_QUA_DTRI MA_THE_TAM",
        _THIRD_PERSON: "HO_TEN_CHA HO_TEN_ME NGUOI_GIAM_HO",
        "the employer, for social insurance; kept in the archived XML": "DON_VI",
        _SENSITIVE: "NGAY_SINHCON NGAY_CONCHET SO_CONCHET",
    },
}

IGNORED: Mapping[str, Mapping[str, str]] = {
    "XML0": {"position in the sending, says nothing of the visit": "STT"},
    "XML1": {
        "position in the sending, says nothing of the visit": "STT",
    },
}
# In every table: a field held in reserve by the decision, without a meaning.
RESERVE = "DU_PHONG"
RESERVE_REASON = "held in reserve, without a meaning in the decision"

# Tables that are papers of their own; the visit is told by the tables above.
ARCHIVED_TABLES: Mapping[str, str] = {
    "XML6": "the HIV/AIDS treatment file: sensitive, kept in the archived XML only, on purpose",
    "XML9": "the birth certificate paper, about the newborn: kept in the archived XML until newborns are linked",
    "XML10": "the maternity leave paper, for social insurance: kept in the archived XML",
    "XML11": "the sick leave paper, for social insurance: kept in the archived XML",
    "XML12": "the medical board's assessment of invalidity: kept in the archived XML",
    "XML13": "the referral paper, which repeats XML1: kept in the archived XML",
    "XML14": "the appointment paper, whose date XML1 gives in NGAY_TAI_KHAM: kept in the archived XML",
    "XML15": "the tuberculosis treatment file: kept in the archived XML",
}
