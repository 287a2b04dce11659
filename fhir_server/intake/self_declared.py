"""Imports answers to the citizens' form, kept in a file, exactly as the form itself would store them.

Each goes through an AccessContext bound to its one patient. https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.citizen.declaration import read_form
from fhir_server.citizen.submission import resources
from fhir_server.intake import Progress
from fhir_server.intake.people import known_people
from fhir_server.repository import Repository
from mappings import systems
from mappings.identity import Key
from mappings.numbers import parse_bhyt_number


@dataclass(slots=True)
class DeclarationsSummary:
    """What became of the declarations; `rejected` holds (position in the file, reason), without personal data."""

    declarations: int = 0
    created: int = 0
    existing: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


def import_self_declared(
    repository: Repository, ctx: AccessContext, path: Path, *, progress: Progress | None = None
) -> DeclarationsSummary:
    """Import a JSON list of {"bhyt": number, "recorded": dateTime, "form": {field: text}}.

    `ctx` finds the people; every write is made as the patient concerned. Importing the same file again writes nothing.
    """
    declarations: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    summary = DeclarationsSummary(declarations=len(declarations))
    keys = [_key(declaration["bhyt"]) for declaration in declarations]
    people = known_people(repository, ctx, {key for key in keys if key})
    for position, (declaration, key) in enumerate(zip(declarations, keys, strict=True), start=1):
        found = people.get(key, []) if key else []
        if len(found) == 1:
            _declare(repository, found[0]["id"], declaration, position, summary)
        else:
            reason = "Không tìm thấy đúng một người có số này / not exactly one person has this number"
            summary.rejected.append((position, reason))
        if progress:
            progress(position, position / len(declarations))
    return summary


def _key(text: str) -> Key | None:
    number = parse_bhyt_number(text)
    if number is None:
        return None
    # The roster may know a person by the ten digits alone, which every card of theirs ends with.
    if number.bhxh:
        return systems.BHXH_NUMBER, number.bhxh
    return (systems.CCCD if number.kind == "cccd" else systems.BHYT_CARD), number.value


def _declare(
    repository: Repository, patient: str, declaration: dict[str, Any], position: int, summary: DeclarationsSummary
) -> None:
    recorded = datetime.fromisoformat(declaration["recorded"])
    reading = read_form(declaration["form"], today=recorded.date())
    if reading.declaration is None:
        fields = ", ".join(remark.field for remark in reading.problems)
        summary.rejected.append((position, f"Ô không đọc được / fields not readable: {fields}"))
        return
    bound = AccessContext.for_patient(patient, actor="import")
    submission = f"import-{declaration['recorded']}"
    for resource in resources(reading.declaration, patient, recorded=recorded, submission=submission):
        identifier = resource["identifier"][0]
        criteria = systems.identifier_criteria(identifier["system"], identifier["value"])
        result = repository.create(bound, resource["resourceType"], resource, if_none_exist=criteria)
        summary.created += result.outcome == "created"
        summary.existing += result.outcome != "created"
