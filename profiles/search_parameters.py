"""Search parameters for what our profiles add. They are searchable once the operation $reindex has taken them up.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mappings import systems
from profiles.stamp import stamped


def _extension(kind: str, url: str) -> str:
    return f"{kind}.extension.where(url='{url}').value"


# code, base, type, expression, description
_PARAMETERS = (
    ("ethnic-group", "Patient", "token", _extension("Patient", systems.PATIENT_ETHNIC_GROUP), "Dân tộc"),
    ("religion", "Patient", "token", _extension("Patient", systems.PATIENT_RELIGION), "Tôn giáo"),
    ("occupation", "Patient", "token", _extension("Patient", systems.PATIENT_OCCUPATION), "Nghề nghiệp"),
    ("registered-facility", "Coverage", "string", "Coverage.network", "Nơi đăng ký khám bệnh, chữa bệnh ban đầu"),
    ("living-area", "Coverage", "token", _extension("Coverage", systems.LIVING_AREA), "Khu vực K1, K2, K3"),
    ("five-year-date", "Coverage", "date", _extension("Coverage", systems.FIVE_YEAR_DATE), "Đủ 5 năm liên tục"),
    ("outcome", "Encounter", "token", _extension("Encounter", systems.TREATMENT_OUTCOME), "Kết quả điều trị"),
)


def search_parameters() -> Iterator[dict[str, Any]]:
    """All of them, active."""
    for code, base, kind, expression, description in _PARAMETERS:
        key = f"{base.lower()}-{code}"
        name = "".join(word.capitalize() for word in key.split("-"))
        made = stamped("SearchParameter", key, f"{systems.OWN_BASE}/SearchParameter/{key}", name, "", description)
        del made["title"]  # a SearchParameter has none in R4
        yield {**made, "code": code, "base": [base], "type": kind, "expression": expression}
