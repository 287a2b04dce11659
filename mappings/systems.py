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

# Identifiers of facilities and visits.
FACILITY = f"{VN_CORE}/sid/provider-code"
ARCHIVE_NUMBER = f"{VN_CORE}/sid/ArchiveNumber"
VISIT_BASE = f"{OWN_BASE}/sid/visit/"
VISIT_ROW_BASE = f"{OWN_BASE}/sid/visit-row/"
FACILITY_PATIENT_BASE = f"{OWN_BASE}/sid/facility-patient/"

# Our code systems (profiles/).
VISIT_KIND = f"{OWN_BASE}/CodeSystem/visit-kind"
ENTITLEMENT = f"{OWN_BASE}/CodeSystem/entitlement"
DISCHARGE = f"{OWN_BASE}/CodeSystem/discharge"
OUTCOME = f"{OWN_BASE}/CodeSystem/treatment-outcome"
BLOOD_GROUP = f"{OWN_BASE}/CodeSystem/blood-group"
RECORD_SOURCE = f"{OWN_BASE}/CodeSystem/record-source"
LAB_INDICATOR = f"{OWN_BASE}/CodeSystem/lab-indicator"
TECHNICAL_SERVICE = f"{OWN_BASE}/CodeSystem/technical-service"

# Our extensions.
LIVING_AREA = f"{OWN_BASE}/StructureDefinition/bhyt-living-area"
FIVE_YEAR_DATE = f"{OWN_BASE}/StructureDefinition/bhyt-five-year-date"
TREATMENT_OUTCOME = f"{OWN_BASE}/StructureDefinition/treatment-outcome"

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
DISCHARGE_DISPOSITION = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
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
