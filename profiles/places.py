"""Provinces, districts and wards as code systems of two versions, and as concept maps from the old to the new.

Made from the tables of the mappings whenever they are asked for: as files they would be 3 MB that say nothing new.
https://hl7.org/fhir/R4/conceptmap.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mappings import places, systems
from mappings.places import NEW, OLD, Place
from profiles.stamp import stamped

_SOURCE = "Nguồn: vietnamadminunits 1.0.4 (PyPI, giấy phép MIT). "
_DECISION = {
    OLD: "Mã theo QĐ 124/2004/QĐ-TTg và các sửa đổi, dùng đến hết tháng 6/2025.",
    NEW: "Mã theo QĐ 19/2025/QĐ-TTg, dùng từ tháng 7/2025.",
}
# level, version, system, title, what the parent is
_SYSTEMS = (
    ("province", OLD, systems.PROVINCE, "63 tỉnh, thành phố trước tháng 7/2025", ""),
    ("district", OLD, systems.DISTRICT, "Quận, huyện trước tháng 7/2025", "province"),
    ("ward", OLD, systems.WARD, "Phường, xã trước tháng 7/2025", "district"),
    ("province", NEW, systems.PROVINCE, "34 tỉnh, thành phố từ tháng 7/2025", ""),
    ("ward", NEW, systems.WARD, "Phường, xã, đặc khu từ tháng 7/2025", "province"),
)


PLACE_URLS = frozenset(
    [system for _, _, system, _, _ in _SYSTEMS]
    + [f"{systems.OWN_BASE}/ConceptMap/{level}-{OLD}-to-{NEW}" for level in ("province", "ward")]
)
"""The canonicals of place_resources()."""


def place_resources() -> Iterator[dict[str, Any]]:
    """The code systems, the old before the new so that a canonical without a version finds the new; then the maps."""
    for level, version, url, title, parent in _SYSTEMS:
        yield _code_system(level, version, url, title, parent)
    became = places.province_became()
    provinces = places.places("province", NEW)
    yield _concept_map(
        "province", systems.PROVINCE, ((old, [provinces[became[old.code]]]) for old in _all("province", OLD))
    )
    yield _concept_map("ward", systems.WARD, ((old, places.successors(old)) for old in _all("ward", OLD)))


def _all(level: str, version: str) -> Iterable[Place]:
    return places.places(level, version).values()


def _code_system(level: str, version: str, url: str, title: str, parent: str) -> dict[str, Any]:
    key = f"{level}-{version}"
    resource = stamped(
        "CodeSystem", key, url, f"{level.capitalize()}{version}", title, _SOURCE + _DECISION[version], version
    )
    resource |= {"caseSensitive": True, "content": "complete", "count": len(list(_all(level, version)))}
    if parent:
        resource["property"] = [{"code": parent, "type": "code"}]
    resource["concept"] = [
        {
            "code": place.code,
            "display": place.name,
            **({"property": [{"code": parent, "valueCode": place.parent}]} if parent else {}),
        }
        for place in _all(level, version)
    ]
    return resource


def _concept_map(level: str, system: str, rows: Iterable[tuple[Place, list[Place]]]) -> dict[str, Any]:
    key = f"{level}-{OLD}-to-{NEW}"
    url = f"{systems.OWN_BASE}/ConceptMap/{key}"
    description = _SOURCE + "Nơi cũ bị chia có nhiều nơi mới: hãy hỏi lại, đừng chọn hộ."
    resource = stamped("ConceptMap", key, url, f"{level.capitalize()}OldToNew", "Nơi cũ thành nơi mới", description)
    resource["group"] = [
        {
            "source": system,
            "sourceVersion": OLD,
            "target": system,
            "targetVersion": NEW,
            "element": [
                {
                    "code": old.code,
                    # Of several the first is the likeliest, and still only one of them.
                    "target": [{"code": new.code, "equivalence": _equivalence(old, became)} for new in became],
                }
                for old, became in rows
            ],
        }
    ]
    return resource


def _equivalence(old: Place, became: list[Place]) -> str:
    if len(became) > 1:
        return "inexact"
    return "wider" if old.name != became[0].name else "relatedto"
