"""A visit of QĐ 130/QĐ-BYT into a FHIR transaction: the Encounter, and everything the tables say of it.

Every resource carries an identifier made from facility, MA_LK and row, and is written by a conditional update on it, so
sending a visit again replaces what was sent before. What other visits share (practitioners, departments, the facility)
is created where nobody has told of it yet. https://hl7.org/fhir/R4/encounter.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mappings import laboratory, systems
from mappings.dates import parse_timestamp
from mappings.giamdinhhs import Visit, read_envelope
from mappings.person import urn
from mappings.problems import Problem, problem
from mappings.qd130 import documents, orders, summary
from mappings.qd130.encounter import encounter
from mappings.qd130.parts import Gathering, Part
from mappings.qd130.patient import coverages, patient_from_visit, patient_keys

__all__ = ["mapped", "patient_from_visit", "patient_keys", "read_envelope", "refusals", "visit_bundle"]

Resource = dict[str, Any]


def refusals(visit: Visit) -> list[Problem]:
    """Why a visit cannot be stored; empty when it can."""
    start = visit.summary.get("NGAY_VAO", "")
    if parse_timestamp(start) is None:
        return [
            problem(
                f"{visit.source}/NGAY_VAO",
                start,
                "Thiếu thời điểm vào, hoặc không đúng dạng yyyymmddHHMM",
                "time of arrival missing or not in the form yyyymmddHHMM",
            )
        ]
    return []


def visit_bundle(visit: Visit, patient: str) -> Resource:
    """The transaction Bundle of a visit that has no refusals(). `patient` is a reference, such as Patient/123."""
    return mapped(visit, patient)[0]


def mapped(visit: Visit, patient: str, earlier: Mapping[str, Resource] | None = None) -> tuple[Resource, list[Problem]]:
    """visit_bundle with the remarks of the mapping: what was doubtful or left out. `earlier`: see Gathering."""
    gathering = Gathering(visit, list(visit.remarks), earlier=earlier or {})
    about = {"subject": {"reference": patient}}
    encounter_url = urn(systems.visit_system(visit.facility), visit.ma_lk)
    entries = []
    roles: list[Resource] = []
    for key, resource in _parts(gathering):
        name = {"system": systems.visit_row_system(visit.facility), "value": f"{visit.ma_lk}/{key}"}
        complete = {
            **resource,
            # A Composition has one identifier, everything else a list of them.
            "identifier": name if resource["resourceType"] == "Composition" else [name],
            **about,
            "encounter": {"reference": encounter_url},
        }
        entries.append(_entry(complete, name))
        if resource["resourceType"] == "Condition":
            use = summary.diagnosis_role(key, len(roles))
            roles.append({"condition": {"reference": entries[-1]["fullUrl"]}, "use": use})
    visited = encounter(gathering, patient, roles)
    shared = [_shared(resource) for resource in (*coverages(visit, patient), *gathering.shared.values())]
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    return {**bundle, "entry": [_entry(visited, visited["identifier"][0]), *entries, *shared]}, gathering.remarks


def _parts(gathering: Gathering) -> Iterator[Part]:
    yield from summary.parts(gathering)
    yield from orders.first_orders(gathering)
    yield from orders.medicines(gathering)
    yield from orders.services(gathering)
    yield from laboratory.results(gathering)
    yield from documents.notes(gathering)
    yield from documents.papers(gathering)


def _entry(resource: Resource, identifier: Resource) -> Resource:
    system, value = identifier["system"], identifier["value"]
    url = f"{resource['resourceType']}?{systems.identifier_criteria(system, value)}"
    return {"fullUrl": urn(system, value), "resource": resource, "request": {"method": "PUT", "url": url}}


def _shared(resource: Resource) -> Resource:
    """Made where there is none: what is known of it from elsewhere (a roster, a register) stays as it is."""
    system, value = resource["identifier"][0]["system"], resource["identifier"][0]["value"]
    criteria = systems.identifier_criteria(system, value)
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": criteria}
    return {"fullUrl": urn(system, value), "resource": resource, "request": request}
