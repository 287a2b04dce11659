"""A terminology of a few invented definitions, held in memory."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.terminology.service import Terminology

Json = dict[str, Any]
BASE = "http://hososuckhoe.example.vn/fhir"
DISEASES = f"{BASE}/CodeSystem/diseases"


def code_system(**more: Any) -> Json:
    return {
        "resourceType": "CodeSystem",
        "url": DISEASES,
        "version": "2",
        "name": "Diseases",
        "title": "Bệnh",
        "status": "active",
        "caseSensitive": True,
        "content": "complete",
        "property": [{"code": "status", "type": "code"}, {"code": "kind", "type": "string"}],
        "concept": [
            {
                "code": "A",
                "display": "Bệnh truyền nhiễm",
                "property": [{"code": "notSelectable", "valueBoolean": True}],
                "concept": [
                    {
                        "code": "A1",
                        "display": "Lao phổi",
                        "definition": "Bệnh lao ở phổi",
                        "designation": [{"language": "en", "value": "Pulmonary tuberculosis"}],
                        "property": [{"code": "kind", "valueString": "lung"}],
                        "concept": [{"code": "A1.1", "display": "Lao phổi kháng thuốc"}],
                    },
                    {
                        "code": "A2",
                        "display": "Đậu mùa",
                        "property": [{"code": "status", "valueCode": "retired"}],
                    },
                ],
            },
            {"code": "B", "display": "Đái tháo đường"},
        ],
        **more,
    }


def value_set(name: str, *include: Json, **compose: Any) -> Json:
    return {
        "resourceType": "ValueSet",
        "url": f"{BASE}/ValueSet/{name}",
        "status": "active",
        "compose": {"include": list(include), **compose},
    }


class Held:
    """The definitions of one test, found by URL."""

    def __init__(self) -> None:
        self.resources: dict[tuple[str, str], Json] = {}

    def add(self, resource: Json) -> Json:
        self.resources[resource["resourceType"], resource["url"]] = resource
        return resource

    def find(self, resource_type: str, canonical: str) -> Json | None:
        url, _, version = canonical.partition("|")
        found = self.resources.get((resource_type, url))
        return found if found is None or version in ("", found.get("version")) else None


@pytest.fixture
def held() -> Held:
    held = Held()
    held.add(code_system())
    return held


@pytest.fixture
def terminology(held: Held) -> Terminology:
    return Terminology(held.find)
