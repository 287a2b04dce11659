"""The StructureDefinitions of structures.py as resources. https://hl7.org/fhir/R4/structuredefinition.html"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mappings import systems
from profiles import rules
from profiles.snapshot import snapshot
from profiles.stamp import stamped
from profiles.structures import EXTENSIONS, STRUCTURES, Extension, Structure

_CORE = "http://hl7.org/fhir/StructureDefinition/"


def structure_definitions(base: Path | None) -> Iterator[dict[str, Any]]:
    """All of them; with their snapshots where `base` holds the official definitions of R4."""
    for made in (*map(_profile, STRUCTURES), *map(_extension, EXTENSIONS)):
        if base is not None:
            elements = snapshot(base, made["type"], made["differential"]["element"])
            differential = made.pop("differential")
            made |= {"snapshot": {"element": elements}, "differential": differential}
        yield made


def _profile(row: Structure) -> dict[str, Any]:
    elements: dict[str, dict[str, Any]] = {}
    for rule in row.asks:
        for identifier, said in rule.items():
            elements.setdefault(identifier, {}).update(said)
    made = _stamped(row.url, row.title, row.kind)
    if row.vn_core:
        uri = f"{systems.VN_CORE}/StructureDefinition/{row.vn_core}"
        made["mapping"] = [{"identity": "vn-core", "uri": uri, "name": "VN Core (draft)", "comment": row.because}]
    return {**made, **_constraining(row.kind, elements)}


def _extension(row: Extension) -> dict[str, Any]:
    made = _stamped(row.url, row.title, "Extension")
    made["context"] = [{"type": "element", "expression": each} for each in row.on]
    url = {"url": {"fixedUri": row.url}}
    if row.parts:
        return {**made, **_constraining("Extension", {**rules.parts(row.parts), **url, "value[x]": {"max": "0"}})}
    value = {**row.value, "value[x]": {"min": 1, **row.value["value[x]"]}}
    return {**made, **_constraining("Extension", {"extension": {"max": "0"}, **url, **value})}


def _stamped(url: str, title: str, kind: str) -> dict[str, Any]:
    key = url.rsplit("/", 1)[1]
    name = "".join(word.capitalize() for word in key.split("-"))
    made = stamped("StructureDefinition", key, url, name, title)
    return {**made, "fhirVersion": "4.0.1", "kind": "complex-type" if kind == "Extension" else "resource"}


def _constraining(kind: str, elements: dict[str, dict[str, Any]]) -> dict[str, Any]:
    differential = [{"id": kind, "path": kind}]
    for identifier, said in elements.items():
        path = ".".join(part.partition(":")[0] for part in identifier.split("."))
        differential.append({"id": f"{kind}.{identifier}", "path": f"{kind}.{path}", **said})
    return {
        "abstract": False,
        "type": kind,
        "baseDefinition": _CORE + kind,
        "derivation": "constraint",
        "differential": {"element": differential},
    }
