"""The canonical URLs of our profiles: what each mapped resource claims to be in `meta.profile`; `profiles/` holds the definitions.

https://hl7.org/fhir/R4/resource.html#Meta
"""

from __future__ import annotations

from mappings.systems import OWN_BASE

_BASE = f"{OWN_BASE}/StructureDefinition"

PATIENT = f"{_BASE}/vn-patient"
COVERAGE = f"{_BASE}/vn-coverage-bhyt"
ENCOUNTER = f"{_BASE}/vn-encounter"
VITAL_SIGN = f"{_BASE}/vn-vital-sign"
LABORATORY = f"{_BASE}/vn-laboratory-result"
BLOOD_GROUP = f"{_BASE}/vn-blood-group"
ALLERGY = f"{_BASE}/vn-allergy-intolerance"
CONDITION = f"{_BASE}/vn-condition"
CLINICAL_NOTE = f"{_BASE}/vn-clinical-note"
DIAGNOSTIC_REPORT = f"{_BASE}/vn-diagnostic-report"
MEDICATION_REQUEST = f"{_BASE}/vn-medication-request"
PROCEDURE = f"{_BASE}/vn-procedure"
DISCHARGE_SUMMARY = f"{_BASE}/vn-discharge-summary"
RECORD_SUMMARY = f"{_BASE}/vn-record-summary"
SERVICE_REQUEST = f"{_BASE}/vn-service-request"
DEVICE_REQUEST = f"{_BASE}/vn-device-request"
CARE_PLAN = f"{_BASE}/vn-care-plan"
NEWBORN_WEIGHT = f"{_BASE}/vn-newborn-weight"
VISIT_ARCHIVE = f"{_BASE}/vn-visit-archive"
VISIT_PROVENANCE = f"{_BASE}/vn-visit-provenance"
PRACTITIONER = f"{_BASE}/vn-practitioner"
ORGANIZATION = f"{_BASE}/vn-organization"
LOCATION = f"{_BASE}/vn-location"
IMMUNIZATION = f"{_BASE}/vn-immunization"
FAMILY_HISTORY = f"{_BASE}/vn-family-member-history"
PATIENT_HISTORY = f"{_BASE}/vn-patient-history"
EXAM_FINDING = f"{_BASE}/vn-exam-finding"
RELATED_PERSON = f"{_BASE}/vn-related-person"

SELF_DECLARED_OBSERVATION = f"{_BASE}/vn-self-declared-observation"
SELF_DECLARED_ALLERGY = f"{_BASE}/vn-self-declared-allergy-intolerance"
SELF_DECLARED_CONDITION = f"{_BASE}/vn-self-declared-condition"
SELF_DECLARED_PROCEDURE = f"{_BASE}/vn-self-declared-procedure"
SELF_DECLARED_FAMILY_HISTORY = f"{_BASE}/vn-self-declared-family-member-history"
