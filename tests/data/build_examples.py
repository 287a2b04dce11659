"""Rebuilds tests/data/r4_examples.jsonl.gz, the official examples: `python tests/data/build_examples.py PACKAGE`.

PACKAGE is the npm package hl7.fhir.r4.examples@4.0.1 (CC0-1.0), unpacked or as its .tgz. One example per line, exactly as
published but for white space between tokens. Left out: what defines FHIR itself (the six conformance types, the five
compartments, the two base capability statements) and files over 1 MiB, which are bundles of such definitions and the
implementation guide of FHIR.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import msgspec

from fhir_server.r4.build import files

DEFINITIONS = {"CodeSystem", "ConceptMap", "OperationDefinition", "SearchParameter", "StructureDefinition", "ValueSet"}
OF_FHIR_ITSELF = {
    ("CapabilityStatement", "base"),
    ("CapabilityStatement", "base2"),
    ("CompartmentDefinition", "device"),
    ("CompartmentDefinition", "encounter"),
    ("CompartmentDefinition", "patient"),
    ("CompartmentDefinition", "practitioner"),
    ("CompartmentDefinition", "relatedPerson"),
}
LARGEST = 1024 * 1024


def is_example(content: bytes) -> bool:
    resource = msgspec.json.decode(content)
    key = resource.get("resourceType"), resource.get("id")
    return key[0] not in {None, *DEFINITIONS} and key not in OF_FHIR_ITSELF and len(content) <= LARGEST


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise SystemExit("usage: python tests/data/build_examples.py PACKAGE")
    lines = [msgspec.json.format(content, indent=-1) for content in files(Path(arguments[0])) if is_example(content)]
    target = Path(__file__).with_name("r4_examples.jsonl.gz")
    with target.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9, filename="", mtime=0) as file:
        file.write(b"\n".join(sorted(lines)) + b"\n")
    print(f"{target.name}: {len(lines)} examples, {target.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main(sys.argv[1:])
