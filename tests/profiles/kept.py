"""Holds resources against the profile they name, as the server does on every write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from fhir_server.profile_enforcement import Conformance, claimed
from fhir_server.resource import exact
from fhir_server.resource.validation import validate_issues
from mappings.systems import OWN_BASE
from profiles.structures import STRUCTURES

CONFORMANCE = Conformance(lambda kind, url: [])
KINDS = {row.url: row.kind for row in STRUCTURES}


def check(resources: Iterable[dict[str, Any]]) -> Counter[str]:
    """How many resources there are of each profile. Fails where one is not valid, names none of its type, or breaks it."""
    found: Counter[str] = Counter()
    for resource in resources:
        assert validate_issues(exact.parse(exact.dump(resource))) == [], resource
        ours = [url for url in claimed(resource) if url in KINDS]
        assert [KINDS[url] for url in ours] == [resource["resourceType"]], resource
        # Every issue, so that "was not checked" counts as a failure too.
        assert CONFORMANCE.issues(resource, ours[0]) == [], resource
        for extension in extensions(resource):
            assert CONFORMANCE.issues({"resourceType": "Extension", **extension}, extension["url"]) == [], extension
        found[ours[0]] += 1
    return found


def extensions(value: Any) -> Iterator[dict[str, Any]]:
    """Every extension of ours in a resource, also where its profile says nothing of extensions."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(each, dict) and str(each.get("url", "")).startswith(f"{OWN_BASE}/StructureDefinition/"):
            yield each
        yield from extensions(each)


def broken(resource: dict[str, Any], profile: str) -> list[str]:
    """The elements that do not keep a profile."""
    issues = CONFORMANCE.issues(resource, profile)
    assert issues is not None
    return [expression for issue in issues if issue.severity == "error" for expression in issue.expression]
