"""Writes the JSON files of this package and docs/profiles.md, from the tables beside it and the systems of the mappings.

    python -m profiles.build FOLDER

FOLDER holds the official definitions of R4 (the package hl7.fhir.r4.core, unpacked), from which snapshots are made.
https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.code_systems import code_systems, value_sets
from profiles.definitions import structure_definitions
from profiles.guide import guide
from profiles.naming_systems import naming_systems
from profiles.operations import operation_definitions
from profiles.page import PAGE, page
from profiles.places import place_resources
from profiles.search_parameters import search_parameters


def conformance(base: Path | None = None) -> list[dict[str, Any]]:
    """All resources that are written as files; without `base`, profiles are without their snapshots."""
    made = [
        *naming_systems(),
        *code_systems(),
        *value_sets(),
        *structure_definitions(base),
        *search_parameters(),
        *operation_definitions(),
    ]
    return [*made, guide([*made, *place_resources()])]


def text(resource: Mapping[str, Any]) -> str:
    """A resource as its file holds it: a line for each element of a snapshot, which nobody reads value by value."""
    snapshot = resource.get("snapshot")
    if snapshot is None:
        return json.dumps(resource, ensure_ascii=False, indent=1) + "\n"
    elements = ",\n".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in snapshot["element"])
    hollow = json.dumps({**resource, "snapshot": {"element": []}}, ensure_ascii=False, indent=1)
    return hollow.replace('"element": []', f'"element": [\n{elements}\n]', 1) + "\n"


def file_name(resource: Mapping[str, Any]) -> str:
    """The name of a resource's file."""
    return f"{resource['resourceType']}-{resource['id']}.json"


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or not (Path(arguments[0]) / "StructureDefinition-Patient.json").is_file():
        raise SystemExit("usage: python -m profiles.build FOLDER_OF_THE_R4_DEFINITIONS")
    folder = Path(__file__).parent
    resources = conformance(Path(arguments[0]))
    for old in folder.glob("*.json"):
        old.unlink()
    for resource in resources:
        (folder / file_name(resource)).write_text(text(resource), encoding="utf-8")
    PAGE.write_text(page([*resources, *place_resources()]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
