"""Rebuilds fhir_server/r4/data from the official R4 package: `python -m fhir_server.r4.build PACKAGE`.

PACKAGE is the npm package hl7.fhir.r4.examples@4.0.1 (CC0-1.0; `npm pack` fetches it), unpacked or as its .tgz. What
the files mean: https://hl7.org/fhir/R4/structuredefinition.html, https://hl7.org/fhir/R4/searchparameter.html,
https://hl7.org/fhir/R4/compartmentdefinition.html, https://hl7.org/fhir/R4/valueset.html,
https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).with_name("data")
SPECIFICATION = "http://hl7.org/fhir/"
STRUCTURE = SPECIFICATION + "StructureDefinition/"
FHIR_TYPE = STRUCTURE + "structuredefinition-fhir-type"
REGEX = STRUCTURE + "regex"
COMPARTMENTS = ("device", "encounter", "patient", "practitioner", "relatedPerson")

Resource = dict[str, Any]
Resources = Mapping[str, list[Resource]]


def files(package: Path) -> Iterator[bytes]:
    """The JSON files of the package, whichever way it came."""
    if package.is_dir():
        for path in sorted(package.glob("*.json")) or sorted(package.glob("package/*.json")):
            yield path.read_bytes()
        return
    with tarfile.open(package) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".json") else None
            if stream is not None:
                yield stream.read()


def read(package: Path) -> tuple[dict[str, str], Resources]:
    """The package's name and version, and its resources by type."""
    header: dict[str, str] = {}
    resources: dict[str, list[Resource]] = defaultdict(list)
    for content in files(package):
        document = json.loads(content)
        if "resourceType" in document:
            resources[document["resourceType"]].append(document)
        elif "fhirVersions" in document:
            header = {"package": document["name"], "version": document["version"]}
    if not header:
        raise SystemExit(f"{package} is not an npm package of FHIR definitions: it has no package.json.")
    return header, resources


def write(name: str, header: Mapping[str, Any], key: str, rows: Mapping[str, Any]) -> None:
    """One table as JSON: the header, then a line per row, so that a change shows as the lines it touches."""

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    lines = [f"{compact(field)}: {compact(value)}" for field, value in header.items()]
    body = ",\n".join(f"{compact(row)}: {compact(rows[row])}" for row in sorted(rows))
    path = DATA / f"{name}.json"
    path.write_text("{\n" + ",\n".join(lines) + f",\n{compact(key)}: {{\n{body}\n}}\n}}\n", encoding="utf-8")
    print(f"{path.name}: {len(rows)} rows, {path.stat().st_size // 1024} KB")


# --- elements -----------------------------------------------------------------------------------------------------


def is_definition_of_type(definition: Resource) -> bool:
    return (
        definition["kind"] in ("resource", "complex-type", "primitive-type")
        and definition.get("derivation", "specialization") == "specialization"
        and not (definition["kind"] == "complex-type" and definition["type"] != definition["id"])
    )


def extension(element: Mapping[str, Any], url: str) -> str | None:
    for found in element.get("extension", ()):
        if found["url"] == url:
            return str(next(value for key, value in found.items() if key.startswith("value")))
    return None


def type_names(element: Resource) -> list[str]:
    """The FHIR type names of an element: `id`, `url` and primitive values are declared as FHIRPath system types."""
    if element["base"]["path"] == "Resource.id":
        return ["id"]  # the snapshot says string, the page and the published schema say id
    return [extension(each, FHIR_TYPE) or each["code"] for each in element.get("type", ())]


def reference_targets(element: Resource, concrete: frozenset[str]) -> list[str]:
    """Types a Reference or canonical may point to; none means any type."""
    targets = {
        profile.removeprefix(STRUCTURE)
        for each in element.get("type", ())
        if each["code"] in ("Reference", "canonical")
        for profile in each.get("targetProfile", ())
    }
    if "Resource" in targets:
        return []
    if unknown := targets - concrete:
        raise SystemExit(f"{element['path']} points to {sorted(unknown)}, which are not resource types.")
    return sorted(targets)


def element_row(element: Resource, concrete: frozenset[str]) -> dict[str, Any]:
    """What the server uses of one ElementDefinition; what has its default is left out."""
    binding = element.get("binding", {})
    row: dict[str, Any] = {
        "types": type_names(element),
        "min": element["min"],
        "max": None if element["max"] == "*" else int(element["max"]),
        "binding": binding["valueSet"].split("|")[0] if binding.get("strength") == "required" else None,
        "targets": reference_targets(element, concrete),
        "content": element.get("contentReference", "").removeprefix("#"),
        "summary": element.get("isSummary", False),
        "modifier": element.get("isModifier", False),
    }
    defaults: dict[str, Any] = {
        "min": 0,
        "max": 1,
        "binding": None,
        "targets": [],
        "content": "",
        "summary": False,
        "modifier": False,
    }
    return {key: value for key, value in row.items() if key not in defaults or value != defaults[key]}


def element_rows(definitions: Iterable[Resource]) -> tuple[dict[str, Any], dict[str, str]]:
    """`path -> {base, elements}` for every type and backbone path, and the regular expression of every primitive."""
    types = [each for each in definitions if is_definition_of_type(each)]
    concrete = frozenset(each["type"] for each in types if each["kind"] == "resource" and not each["abstract"])
    rows: dict[str, Any] = {}
    patterns: dict[str, str] = {}
    for definition in types:
        snapshot = definition["snapshot"]["element"]
        if definition["kind"] == "primitive-type":
            value = next(each for each in snapshot if each["path"].endswith(".value"))
            patterns[definition["type"]] = extension(value["type"][0], REGEX) or ""
            continue
        base = definition.get("baseDefinition", "").removeprefix(STRUCTURE)
        rows[definition["type"]] = {"base": base, "kind": definition["kind"], "elements": {}}
        if definition["abstract"]:
            rows[definition["type"]]["abstract"] = True
        for element in snapshot[1:]:
            owner, _, name = element["path"].rpartition(".")
            rows.setdefault(owner, {"kind": "backbone", "elements": {}})
            rows[owner]["elements"][name] = element_row(element, concrete)
    return rows, patterns


# --- invariants ---------------------------------------------------------------------------------------------------


def invariant_rows(definitions: Iterable[Resource]) -> dict[str, list[list[str]]]:
    """`context -> [key, severity, human, expression]` of each invariant, where it is declared.

    The snapshots repeat an invariant at everything it is inherited by, and then name its `source`: ele-1 stands 6,677
    times. Who reads the rows applies those of `Element` to every element, of `DomainResource` to every resource.
    """
    rows: dict[str, list[list[str]]] = defaultdict(list)
    for definition in definitions:
        for element in definition["snapshot"]["element"] if is_definition_of_type(definition) else ():
            for each in element.get("constraint", ()):
                if "source" not in each:
                    rows[element["path"]].append([each["key"], each["severity"], each["human"], each["expression"]])
    return rows


# --- search parameters --------------------------------------------------------------------------------------------


def union_parts(expression: str) -> list[str]:
    """Splits a FHIRPath union at its top level: not inside parentheses or quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for position, character in enumerate(expression):
        if character == "'":
            quoted = not quoted
        elif not quoted and character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth == 0 and not quoted:
            parts.append(expression[start:position].strip())
            start = position + 1
    return [*parts, expression[start:].strip()]


def expressions_by_base(parameter: Resource) -> dict[str, str]:
    """The part of a parameter's expression that is about each of its bases."""
    bases = parameter["base"]
    found: dict[str, list[str]] = defaultdict(list)
    for part in union_parts(parameter["expression"]):
        root = re.match(r"\(*\s*(\w+)", part)
        if root is None:
            raise SystemExit(f"{parameter['url']}: no element is named by {part!r}.")
        if root[1] in bases:
            found[root[1]].append(part)
        elif root[1][0].islower() and len(bases) == 1:  # InsurancePlan-name names its elements without the type
            found[bases[0]].append(f"{bases[0]}.{part}")
        else:
            raise SystemExit(f"{parameter['url']}: {part!r} is not about one of {bases}.")
    if missing := set(bases) - set(found):
        raise SystemExit(f"{parameter['url']}: no part of its expression is about {sorted(missing)}.")
    return {base: " | ".join(found[base]) for base in sorted(found)}


def search_parameter_rows(parameters: Iterable[Resource]) -> dict[str, Any]:
    """`url -> row`. Left out: the three `example*` toys (they reuse `_id`), and those of extensions without a base."""
    rows: dict[str, Any] = {}
    for parameter in parameters:
        special = bool(parameter.get("base")) and set(parameter["base"]) <= {"Resource", "DomainResource"}
        if parameter["id"].startswith("example") or not ("expression" in parameter or special):
            continue
        row = {
            "code": parameter["code"],
            "type": parameter["type"],
            "base": parameter["base"],
            "expressions": expressions_by_base(parameter) if "expression" in parameter else {},
            "target": parameter.get("target", []),
            "comparators": parameter.get("comparator", []),
            "modifiers": parameter.get("modifier", []),
            "components": [[part["definition"], part["expression"]] for part in parameter.get("component", ())],
        }
        rows[parameter["url"]] = {key: value for key, value in row.items() if value}
    return rows


# --- value sets and compartments ----------------------------------------------------------------------------------


def all_codes(concepts: Iterable[Resource]) -> list[str]:
    """The codes of a code system, parents before children, without the abstract ones that only group others."""
    found: list[str] = []
    for each in concepts:
        if {"code": "notSelectable", "valueBoolean": True} not in each.get("property", ()):
            found.append(each["code"])
        found += all_codes(each.get("concept", ()))
    return found


def expand(value_set: Resource, systems: Mapping[str, Resource]) -> dict[str, list[str]] | None:
    """`system -> codes` of a value set; None when the package does not hold all of a system it draws from.

    No value set that R4 binds as required uses a filter, another value set or an exclusion; should one ever do, the
    build stops here rather than committing a wrong table.
    """
    compose = value_set["compose"]
    if set(compose) - {"include", "extension", "inactive", "lockedDate"}:
        raise SystemExit(f"{value_set['url']} is composed in a way that is not read: {sorted(compose)}.")
    found: dict[str, list[str]] = {}
    for include in compose["include"]:
        if set(include) - {"system", "concept", "extension", "version"}:
            raise SystemExit(f"{value_set['url']} is composed in a way that is not read: {sorted(include)}.")
        system = include["system"]
        if "concept" in include:
            codes = [each["code"] for each in include["concept"]]
        elif systems.get(system, {}).get("content") == "complete":
            codes = all_codes(systems[system]["concept"])
        else:
            return None
        found.setdefault(system, []).extend(codes)
    return {system: sorted(set(codes)) for system, codes in found.items()}


def value_set_rows(urls: Iterable[str], resources: Resources) -> dict[str, Any]:
    """`url -> {system: codes}`, or null where the codes cannot be listed (currencies, MIME types, UCUM, LOINC)."""
    systems = {each["url"]: each for each in resources["CodeSystem"]}
    value_sets = {each["url"]: each for each in resources["ValueSet"]}
    return {url: expand(value_sets[url], systems) if url in value_sets else None for url in urls}


def hierarchy(concepts: Iterable[Resource], parent: str = "") -> list[list[str]]:
    """`[code, display, code of the parent]` of every concept, parents before children; the parent only where there is one."""
    found: list[list[str]] = []
    for each in concepts:
        found.append([each["code"], each.get("display", ""), *([parent] if parent else [])])
        found += hierarchy(each.get("concept", ()), each["code"])
    return found


def code_system_rows(value_sets: Mapping[str, dict[str, list[str]] | None], resources: Resources) -> dict[str, Any]:
    """`url -> {name, concepts}` of the code systems that the required value sets draw from, where all of it is there."""
    drawn = {system for systems in value_sets.values() if systems for system in systems}
    return {
        each["url"]: {"name": each["name"], "concepts": hierarchy(each["concept"])}
        for each in resources["CodeSystem"]
        if each["url"] in drawn and each.get("content") == "complete"
    }


def compartment_rows(definitions: Iterable[Resource]) -> dict[str, Any]:
    """`compartment -> {resource type: parameter codes}`; a type that is never in the compartment is left out."""
    return {
        each["code"]: {row["code"]: row["param"] for row in each["resource"] if row.get("param")}
        for each in definitions
        if each["id"] in COMPARTMENTS
    }


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise SystemExit(
            "usage: python -m fhir_server.r4.build PACKAGE   (folder or .tgz of hl7.fhir.r4.examples@4.0.1)"
        )
    header, resources = read(Path(arguments[0]))
    elements, patterns = element_rows(resources["StructureDefinition"])
    bound = {row["binding"] for each in elements.values() for row in each["elements"].values() if "binding" in row}
    DATA.mkdir(exist_ok=True)
    write("elements", {**header, "primitives": patterns}, "types", elements)
    write("search_parameters", header, "parameters", search_parameter_rows(resources["SearchParameter"]))
    write("invariants", header, "invariants", invariant_rows(resources["StructureDefinition"]))
    value_sets = value_set_rows(bound, resources)
    write("value_sets", header, "value_sets", value_sets)
    write("code_systems", header, "code_systems", code_system_rows(value_sets, resources))
    write("compartments", header, "compartments", compartment_rows(resources["CompartmentDefinition"]))


if __name__ == "__main__":
    main(sys.argv[1:])
