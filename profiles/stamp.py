"""What every definition of this package says of itself. https://hl7.org/fhir/R4/metadatatypes.html"""

from __future__ import annotations

from typing import Any

# The day these definitions took their present form.
DATE = "2026-11-24"
PUBLISHER = "Hồ sơ sức khỏe"


def stamped(
    resource_type: str, key: str, url: str, name: str, title: str, description: str = "", version: str = ""
) -> dict[str, Any]:
    """The beginning of a definition."""
    resource: dict[str, Any] = {"resourceType": resource_type, "id": key, "url": url}
    if version:
        resource["version"] = version
    resource |= {"name": name, "title": title, "status": "active", "experimental": False, "date": DATE}
    resource["publisher"] = PUBLISHER
    if description:
        resource["description"] = description
    return resource
