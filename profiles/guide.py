"""The ImplementationGuide that lists the definitions of this package. https://hl7.org/fhir/R4/implementationguide.html"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mappings import systems
from profiles.stamp import stamped


def guide(resources: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The guide over all the others."""
    made = stamped(
        "ImplementationGuide",
        "vn-health-record",
        f"{systems.OWN_BASE}/ImplementationGuide/vn-health-record",
        "VnHealthRecord",
        "Hồ sơ sức khỏe của người dân",
        "Các định nghĩa mà máy chủ này dùng khi đọc dữ liệu Việt Nam.",
        "0.1.0",
    )
    listed = [
        {
            "reference": {"reference": f"{each['resourceType']}/{each['id']}"},
            "name": each.get("title") or each["name"],
            "exampleBoolean": False,
        }
        for each in resources
    ]
    return {
        **made,
        "packageId": "vn.example.health-record",
        "fhirVersion": ["4.0.1"],
        "definition": {"resource": listed},
    }
