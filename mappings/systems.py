"""The identifier and code systems every mapping writes, in one table that `profiles/` describes as NamingSystems.

Systems of the draft VN Core guide are used where it has one; ours begin with OWN_BASE.
"""

from __future__ import annotations

from urllib.parse import quote

VN_CORE = "http://fhir.ehealth.gov.vn/core"
OWN_BASE = "http://hososuckhoe.example.vn/fhir"

# Identifiers of people.
BHYT_CARD = f"{VN_CORE}/sid/insurance_number"
CCCD = f"{VN_CORE}/sid/national_id"
CMND = f"{VN_CORE}/sid/citizen_id"
PASSPORT = f"{VN_CORE}/sid/passport_number"
BHXH_NUMBER = f"{OWN_BASE}/sid/bhxh-number"
TEMPORARY_NUMBER = f"{OWN_BASE}/sid/temporary-number"
OTHER_NUMBER = f"{OWN_BASE}/sid/other-number"
DECLARATION = f"{OWN_BASE}/sid/declaration"
CARER = f"{OWN_BASE}/sid/carer"
BIRTH_REGISTRATION_BASE = f"{OWN_BASE}/sid/birth-registration/"

# Identifiers of facilities and visits.
FACILITY = f"{VN_CORE}/sid/provider-code"
ARCHIVE_NUMBER = f"{VN_CORE}/sid/ArchiveNumber"
VISIT_BASE = f"{OWN_BASE}/sid/visit/"
VISIT_ROW_BASE = f"{OWN_BASE}/sid/visit-row/"
FACILITY_PATIENT_BASE = f"{OWN_BASE}/sid/facility-patient/"
DEPARTMENT_BASE = f"{OWN_BASE}/sid/department/"
PRACTITIONER = f"{OWN_BASE}/sid/practitioner"
REFERRAL_SLIP = f"{OWN_BASE}/sid/referral-slip"
VISIT_REQUEST = f"{OWN_BASE}/sid/visit-request"
SHA_256 = f"{OWN_BASE}/sid/sha-256"
HEALTH_RECORD_BASE = f"{OWN_BASE}/sid/health-record/"
RESIDENT_CHANGE_BASE = f"{OWN_BASE}/sid/resident-change/"
AUDIT_ACTOR = f"{OWN_BASE}/sid/audit-actor"

# Our code systems (profiles/).
VISIT_KIND = f"{OWN_BASE}/CodeSystem/visit-kind"
ENTITLEMENT = f"{OWN_BASE}/CodeSystem/entitlement"
DISCHARGE = f"{OWN_BASE}/CodeSystem/discharge"
OUTCOME = f"{OWN_BASE}/CodeSystem/treatment-outcome"
BLOOD_GROUP = f"{OWN_BASE}/CodeSystem/blood-group"
RECORD_SOURCE = f"{OWN_BASE}/CodeSystem/record-source"
LAB_INDICATOR = f"{OWN_BASE}/CodeSystem/lab-indicator"
TECHNICAL_SERVICE = f"{OWN_BASE}/CodeSystem/technical-service"
TRADITIONAL_MEDICINE = f"{OWN_BASE}/CodeSystem/traditional-medicine-disease"
ACTIVE_INGREDIENT = f"{OWN_BASE}/CodeSystem/active-ingredient"
DRUG_REGISTRATION = f"{OWN_BASE}/CodeSystem/drug-registration"
DRUG_ROUTE = f"{OWN_BASE}/CodeSystem/drug-route"
SUPPLY_ITEM = f"{OWN_BASE}/CodeSystem/supply-item"
COST_GROUP = f"{OWN_BASE}/CodeSystem/cost-group"
INJURY_CAUSE = f"{OWN_BASE}/CodeSystem/injury-cause"
ADMISSION_REASON = f"{OWN_BASE}/CodeSystem/admission-reason"
NATIONALITY = f"{OWN_BASE}/CodeSystem/nationality"
ETHNIC_GROUP = f"{VN_CORE}/CodeSystem/vn-core-race"
OCCUPATION = f"{VN_CORE}/CodeSystem/vn-core-occupation"
VISIT_STATE = f"{OWN_BASE}/CodeSystem/visit-state"
HEALTH_RECORD_ITEM = f"{OWN_BASE}/CodeSystem/health-record-item"
IDENTITY_TASK = f"{OWN_BASE}/CodeSystem/identity-task"
CONSENT_PURPOSE = f"{OWN_BASE}/CodeSystem/consent-purpose"
AUDIT_OPERATION = f"{OWN_BASE}/CodeSystem/audit-operation"

PROVINCE = f"{OWN_BASE}/CodeSystem/province"
DISTRICT = f"{OWN_BASE}/CodeSystem/district"
WARD = f"{OWN_BASE}/CodeSystem/ward"
OBJECT_CODE = f"{OWN_BASE}/CodeSystem/bhyt-object-code"
BENEFIT = f"{OWN_BASE}/CodeSystem/bhyt-benefit"
LIVING_AREA_CODE = f"{OWN_BASE}/CodeSystem/bhyt-living-area"

# Code systems of the draft VN Core guide. Its "race" is the ethnic group (dân tộc) and its "ethic" the religion.
RELIGION = f"{VN_CORE}/CodeSystem/vn-core-ethic"
OCCUPATION_4069 = f"{VN_CORE}/CodeSystem/vn-core-occupation-4069"
EDUCATION = f"{VN_CORE}/CodeSystem/vn-core-education-level"

# Extensions of the draft VN Core guide.
PATIENT_RELIGION = f"{VN_CORE}/StructureDefinition/extension-ethic"
PATIENT_EDUCATION = f"{VN_CORE}/StructureDefinition/extension-education-level"

# Our extensions.
PLACE_CODE = f"{OWN_BASE}/StructureDefinition/place-code"
LIVING_AREA = f"{OWN_BASE}/StructureDefinition/bhyt-living-area"
FIVE_YEAR_DATE = f"{OWN_BASE}/StructureDefinition/bhyt-five-year-date"
TREATMENT_OUTCOME = f"{OWN_BASE}/StructureDefinition/treatment-outcome"
CARER_PROOF = f"{OWN_BASE}/StructureDefinition/carer-proof"
MATCH_FACT = f"{OWN_BASE}/StructureDefinition/match-fact"
PATIENT_ETHNIC_GROUP = f"{VN_CORE}/StructureDefinition/extension-race"
PATIENT_OCCUPATION = f"{VN_CORE}/StructureDefinition/extension-occupation"
PATIENT_NATIONALITY = "http://hl7.org/fhir/StructureDefinition/patient-nationality"

# Systems of others.
V2_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
V3_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
V3_ACT_PRIORITY = "http://terminology.hl7.org/CodeSystem/v3-ActPriority"
COVERAGE_CLASS = "http://terminology.hl7.org/CodeSystem/coverage-class"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
DATA_ABSENT_REASON = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CONDITION_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
DIAGNOSIS_ROLE = "http://terminology.hl7.org/CodeSystem/diagnosis-role"
LOCATION_KIND = "http://terminology.hl7.org/CodeSystem/location-physical-type"
PROVENANCE_ROLE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
DISCHARGE_DISPOSITION = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
ICD_9_CM = "http://hl7.org/fhir/sid/icd-9-cm"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


def visit_system(facility: str) -> str:
    """Identifier system of a facility's visits; the value is the facility's MA_LK."""
    return VISIT_BASE + facility


def visit_row_system(facility: str) -> str:
    """Identifier system of what one visit says, row by row; the value is MA_LK/table/row."""
    return VISIT_ROW_BASE + facility


def facility_patient_system(facility: str) -> str:
    """Identifier system of a facility's own patient numbers; the value is its MA_BN."""
    return FACILITY_PATIENT_BASE + facility


def department_system(facility: str) -> str:
    """Identifier system of a facility's departments and beds; the value is MA_KHOA, or MA_KHOA/MA_GIUONG."""
    return DEPARTMENT_BASE + facility


def token(system: str, value: str) -> str:
    """A search token `system|value`, with the characters that search gives a meaning escaped in the value.

    https://hl7.org/fhir/R4/search.html#escaping
    """
    escaped = value.replace("\\", "\\\\")
    for character in "$,|":
        escaped = escaped.replace(character, "\\" + character)
    return f"{system}|{escaped}"


def identifier_criteria(system: str, value: str) -> str:
    """`identifier=system|value`, percent-encoded, as conditional interactions take it after `Type?`."""
    return "identifier=" + quote(token(system, value), safe=":/|")
