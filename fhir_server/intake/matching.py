"""Whom an intake means, and the queue of those for whom a person has to decide: Task resources, one for each pair.

https://hl7.org/fhir/R4/task.html. A record that may be of somebody known is stored as a new person and waits here, so
that nothing is lost and nobody is merged wrongly; Patient/$merge joins the two. docs/decisions/0005-merging-people.md
"""

from __future__ import annotations

from typing import Any

from mappings.identity import Verdict
from mappings.systems import IDENTITY_TASK

Resource = dict[str, Any]

POSSIBLE_DUPLICATE = "possible-duplicate"


def queue_item(newer: str, known: str, verdict: Verdict) -> Resource:
    """The Task that asks whether two Patients (references) are one person, with the reasons and without any value.

    Waiting ones are found by Task?code=possible-duplicate&status=requested, those of a person by `patient` or `focus`.
    """
    vi, en = verdict.told()
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "proposal",
        "code": {
            "coding": [{"system": IDENTITY_TASK, "code": POSSIBLE_DUPLICATE}],
            "text": "Có thể là cùng một người (possible duplicate)",
        },
        "focus": {"reference": newer},
        "for": {"reference": known},
        "input": [
            {"type": {"text": "Lý do"}, "valueString": vi},
            {"type": {"text": "Reason"}, "valueString": en},
        ],
    }


def queue_entries(newer: str, possible: list[tuple[str, Verdict]]) -> list[Resource]:
    """The transaction entries that put a new Patient (its fullUrl) into the queue, for each known one it may be."""
    return [
        {"resource": queue_item(newer, known, verdict), "request": {"method": "POST", "url": "Task"}}
        for known, verdict in possible
    ]
