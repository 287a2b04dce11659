"""The sections of a patient summary: their codes, their titles, and which records stand in them.

http://hl7.org/fhir/uv/ips (International Patient Summary); the section codes are those of its Composition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..resource.exact import Resource
from ..search.query import Pair
from .lastn import group
from .narrative import words

Holds = Callable[[Resource], bool]


@dataclass(frozen=True, slots=True)
class Source:
    """Records of one type: the search parameters that select them and what must hold for each.

    `of_each` keeps so many of each code, the newest; 0 keeps all.
    """

    type: str
    holds: Holds
    query: tuple[Pair, ...] = ()
    of_each: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """`loinc` is its code, `english` the display of it; `empty` is said when no record stands in it."""

    loinc: str
    english: str
    vietnamese: str
    empty: str
    sources: tuple[Source, ...]


def _codes(resource: Resource, name: str) -> set[str]:
    value = resource.get(name)
    return {each.get("code", "") for each in value.get("coding", ())} if isinstance(value, dict) else set()


def _status_in(*allowed: str) -> Holds:
    return lambda resource: resource.get("status") in allowed


def _believed(resource: Resource) -> bool:
    return not _codes(resource, "verificationStatus") & {"entered-in-error", "refuted"}


def _is_over(resource: Resource) -> bool:
    return bool(_codes(resource, "clinicalStatus") & {"inactive", "remission", "resolved"})


def _current(resource: Resource) -> bool:
    return _believed(resource) and not _is_over(resource)


def _past(resource: Resource) -> bool:
    return _believed(resource) and _is_over(resource)


def newest_of_each(observed: list[Resource], number: int) -> list[int]:
    """The numbers of the records to keep: of each code the first `number`, in their order."""
    return sorted(place for places in group(observed) for place in places[:number])


_RESULT = _status_in("final", "amended", "corrected", "preliminary", "partial", "appended")
_OBSERVED = _status_in("final", "amended", "corrected", "preliminary")


def _said(resource: Resource) -> bool:
    """Whether the observation has anything to show."""
    told = any(name.startswith("value") for name in resource) or resource.get("component")
    return _OBSERVED(resource) and bool(told or words(resource.get("dataAbsentReason")))


def _observations(category: str, of_each: int = 0) -> Source:
    return Source("Observation", _said, (("category", category), ("_sort", "-date")), of_each)


SECTIONS = (
    Section(
        "11450-4",
        "Problem list",
        "Các vấn đề sức khỏe",
        "Hồ sơ chưa ghi nhận vấn đề sức khỏe nào.",
        (Source("Condition", _current, of_each=1),),
    ),
    Section(
        "48765-2",
        "Allergies and adverse reactions",
        "Dị ứng và phản ứng bất lợi",
        "Hồ sơ chưa có thông tin về dị ứng.",
        (Source("AllergyIntolerance", _current),),
    ),
    Section(
        "10160-0",
        "History of medication use",
        "Thuốc đang dùng",
        "Hồ sơ chưa có thông tin về thuốc.",
        (
            Source("MedicationStatement", _status_in("active", "intended", "on-hold", "unknown")),
            Source("MedicationRequest", _status_in("active", "on-hold")),
        ),
    ),
    Section(
        "11369-6",
        "History of immunizations",
        "Tiêm chủng",
        "Hồ sơ chưa có thông tin về tiêm chủng.",
        (Source("Immunization", _status_in("completed")),),
    ),
    Section(
        "30954-2",
        "Relevant diagnostic tests and/or laboratory data",
        "Kết quả xét nghiệm và chẩn đoán",
        "Hồ sơ chưa có kết quả xét nghiệm.",
        (_observations("laboratory", of_each=3), _observations("imaging"), Source("DiagnosticReport", _RESULT)),
    ),
    Section(
        "8716-3",
        "Vital signs",
        "Dấu hiệu sinh tồn",
        "Hồ sơ chưa có số đo dấu hiệu sinh tồn.",
        (_observations("vital-signs", of_each=3),),
    ),
    Section(
        "47519-4",
        "History of Procedures",
        "Thủ thuật và phẫu thuật",
        "Hồ sơ chưa ghi nhận thủ thuật hay phẫu thuật nào.",
        (Source("Procedure", _status_in("completed", "in-progress")),),
    ),
    Section(
        "46264-8",
        "History of medical device use",
        "Thiết bị y tế",
        "Hồ sơ chưa có thông tin về thiết bị y tế.",
        (Source("DeviceUseStatement", _status_in("active", "completed", "intended", "on-hold")),),
    ),
    Section(
        "11348-0",
        "History of Past illness",
        "Tiền sử bệnh",
        "Hồ sơ chưa có thông tin về tiền sử bệnh.",
        (Source("Condition", _past, of_each=1),),
    ),
    Section(
        "29762-2",
        "Social history",
        "Lối sống",
        "Hồ sơ chưa có thông tin về lối sống.",
        (_observations("social-history", of_each=1),),
    ),
    Section(
        "18776-5",
        "Plan of care note",
        "Kế hoạch chăm sóc",
        "Hồ sơ chưa có kế hoạch chăm sóc.",
        (Source("CarePlan", _status_in("active", "on-hold")),),
    ),
)
