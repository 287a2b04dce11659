"""A patient's summary as an International Patient Summary document: the Composition and all it speaks of.

http://hl7.org/fhir/uv/ips and https://hl7.org/fhir/R4/documents.html

A section without records says so and why (`unavailable`: nothing is known), since a record that is silent about
allergies does not say that there are none.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from ..access.context import AccessContext
from ..errors import Issue
from ..repository import Repository, Stored
from ..resource import exact
from ..resource.exact import Resource
from ..search.parameters import parameters
from .documents import document
from .named import BESIDE_PATIENT, named
from .narrative import div, line, moment
from .summary_sections import SECTIONS, Section, Source, newest_of_each

COMPOSITION_PROFILE = "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"
BUNDLE_PROFILE = "http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips"

MAX_READ = 500  # newest records of one source that are looked at
MAX_SHOWN = 50  # records of one source in a section
MAX_NAMED = 100
_EMPTY_REASON = "http://terminology.hl7.org/CodeSystem/list-empty-reason"


def summary(repository: Repository, ctx: AccessContext, id: str, base: str, at: datetime) -> Resource:
    """The document Bundle about Patient/`id`, made at `at` for the service at `base`. Raises NotFound, Gone."""
    patient = repository.read(ctx, "Patient", id)
    name = f"{base}/Patient/{id}/$summary"
    author = _author(name)
    shown: dict[tuple[str, str], Stored] = {}
    sections = []
    held_types = {type for type in repository.types() if repository.may(ctx, "s", type)}
    for section in SECTIONS:
        sources = [source for source in section.sources if source.type in held_types]
        records = [each for source in sources for each in _records(repository, ctx, id, source)]
        shown |= {(stored.type, stored.id): stored for stored, _ in records}
        sections.append(_section(section, records, base))
    issues: list[Issue] = []
    beside = named(repository, ctx, [patient, *shown.values()], BESIDE_PATIENT, MAX_NAMED, issues)
    held = [patient, *shown.values(), *beside]
    entries = [_uuid(name, "composition", _composition(name, base, id, author, sections, at)), author]
    entries += [
        {"fullUrl": f"{base}/{stored.type}/{stored.id}", "resource": exact.parse(stored.json or b"{}")}
        for stored in held
    ]
    entries[1:3] = [entries[2], entries[1]]  # the patient stands behind the Composition
    return document(entries, name, at, profile=BUNDLE_PROFILE)


def _records(repository: Repository, ctx: AccessContext, id: str, source: Source) -> list[tuple[Stored, Resource]]:
    """The records of a source, newest first, those of one moment by id."""
    who = "patient" if "patient" in parameters(source.type) else "subject"
    pairs = [(who, f"Patient/{id}"), *source.query, ("_count", str(MAX_READ)), ("_total", "none")]
    found = [
        (stored, resource)
        for _, stored in repository.search(ctx, source.type, pairs).entries
        if source.holds(resource := exact.parse(stored.json or b"{}"))
    ]
    found.sort(key=lambda each: each[0].id)
    found.sort(key=lambda each: moment(each[1]), reverse=True)
    if source.of_each:
        found = [found[number] for number in newest_of_each([each for _, each in found], source.of_each)]
    return found[:MAX_SHOWN]


def _section(section: Section, records: list[tuple[Stored, Resource]], base: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "title": section.vietnamese,
        "code": {"coding": [{"system": "http://loinc.org", "code": section.loinc, "display": section.english}]},
        "text": div(section.vietnamese, section.english, [line(each) for _, each in records], section.empty),
    }
    if records:
        made["entry"] = [{"reference": f"{base}/{stored.type}/{stored.id}"} for stored, _ in records]
    else:
        made["emptyReason"] = {
            "coding": [{"system": _EMPTY_REASON, "code": "unavailable", "display": "Unavailable"}],
            "text": section.empty,
        }
    return made


def _composition(
    name: str, base: str, id: str, author: dict[str, Any], sections: list[dict[str, Any]], at: datetime
) -> Resource:
    return {
        "resourceType": "Composition",
        "meta": {"profile": [COMPOSITION_PROFILE]},
        "language": "vi",
        "text": div("Tóm tắt hồ sơ sức khỏe", "Patient summary", [each["title"] for each in sections], ""),
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "60591-5", "display": "Patient summary Document"}]},
        "subject": {"reference": f"{base}/Patient/{id}"},
        "date": exact.instant(at),
        "author": [{"reference": author["fullUrl"]}],
        "title": "Tóm tắt hồ sơ sức khỏe (International Patient Summary)",
        "confidentiality": "N",
        "section": sections,
    }


def _author(name: str) -> dict[str, Any]:
    """Nobody wrote the summary: the server put it together."""
    device = {
        "resourceType": "Device",
        "deviceName": [{"name": "fhir-server", "type": "user-friendly-name"}],
        "type": {"text": "Máy chủ hồ sơ sức khỏe (FHIR server)"},
    }
    return _uuid(name, "author", device)


def _uuid(name: str, part: str, resource: Resource) -> dict[str, Any]:
    """The entry of a resource that exists in this document only; the same summary always calls it the same."""
    id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}#{part}"))
    kind, *others = resource.items()
    return {"fullUrl": f"urn:uuid:{id}", "resource": dict([kind, ("id", id), *others])}
