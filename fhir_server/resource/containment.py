"""What R4 asks of contained resources (dom-3, dom-4, dom-5): https://hl7.org/fhir/R4/references.html#contained

Runs only for resources that contain others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.errors import Issue
from fhir_server.r4 import PRIMITIVES, RESOURCE_TYPES, properties
from fhir_server.resource.invariants import message

_TYPES = frozenset(RESOURCE_TYPES)
_LINKS = frozenset({"uri", "url", "canonical"})


def containment_issues(resource: dict[str, Any], root: str) -> list[Issue]:
    """The problems of the contained resources as such. `root` is the expression of the resource that contains them."""
    issues: list[Issue] = []
    named = {text for name, kind, text in _fragments(resource) if name == "reference" or kind in _LINKS}
    for index, each in enumerate(resource["contained"]):
        if not isinstance(each, dict):
            continue
        place = f"{root}.contained[{index}]"
        meta = each.get("meta")
        if isinstance(meta, dict):
            if "versionId" in meta or "lastUpdated" in meta:
                issues.append(_broken("dom-4", f"{place}.meta"))
            if "security" in meta:
                issues.append(_broken("dom-5", f"{place}.meta.security"))
        if f"#{each.get('id')}" not in named and not _names_its_container(each):
            issues.append(_broken("dom-3", place))
    return issues


def _broken(key: str, place: str) -> Issue:
    return Issue(message(key, "DomainResource"), "invariant", "error", (place,))


def _names_its_container(contained: dict[str, Any]) -> bool:
    return any(
        text == "#" and (name == "reference" or kind == "canonical") for name, kind, text in _fragments(contained)
    )


def _fragments(resource: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(element, type, text) of every string in a resource that begins with #."""
    pending: list[tuple[Any, str]] = [(resource, "Resource")]
    while pending:
        value, path = pending.pop()
        if path == "Resource":
            path = value.get("resourceType")
            if path not in _TYPES:
                continue
        known = properties(path)
        for name, found in value.items():
            if name.startswith("_"):
                kind = "Element"
            elif name in known:
                kind = known[name].type
            else:
                continue
            for each in found if isinstance(found, list) else (found,):
                if isinstance(each, dict) and kind not in PRIMITIVES:
                    pending.append((each, kind))
                elif isinstance(each, str) and each.startswith("#"):
                    yield name, kind, each
