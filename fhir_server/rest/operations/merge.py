"""Patient/$merge and $unmerge: two records of one person become one, and two again.

https://hl7.org/fhir/patient-operation-merge.html (draft, its parameters by reference); $unmerge is this server's own.
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import BadRequest, Issue
from ...merging import Merged
from ...resource import exact
from .. import bundles
from ..call import Answer, Call, Service
from . import answers
from .inputs import Inputs

MERGE = "http://hl7.org/fhir/OperationDefinition/Patient-merge"
UNMERGE = "http://hososuckhoe.example.vn/fhir/OperationDefinition/Patient-unmerge"

_PATIENT = re.compile(r"(?:.*/)?Patient/([A-Za-z0-9\-.]{1,64})")


def merge(service: Service, call: Call) -> Answer:
    """Parameters with `input`, `outcome` and `result`. Raises BadRequest, NotFound, Gone, Forbidden, Conflict."""
    inputs = Inputs(call)
    source, target = _patient(inputs, "source-patient", call.base), _patient(inputs, "target-patient", call.base)
    result = inputs.resource("result-patient")
    if result is not None and (result.get("resourceType"), result.get("id")) != ("Patient", target):
        raise BadRequest(
            "result-patient is what the target becomes: a Patient with the id of target-patient.",
            expression=["Parameters.parameter"],
        )
    preview = inputs.flag("preview")
    merged = service.repository.merging.merge(call.context, source, target, result, preview=preview)
    said = "would stand for" if preview else "stands for"
    return _answer(call, merged, f"Patient/{target} {said} Patient/{source} as well.")


def unmerge(service: Service, call: Call) -> Answer:
    """Parameters with `input`, `outcome` and `result`. Raises BadRequest, NotFound, Gone, Forbidden, Conflict."""
    source = _patient(Inputs(call), "source-patient", call.base)
    merged = service.repository.merging.unmerge(call.context, source)
    return _answer(call, merged, f"Patient/{source} stands for itself again; Patient/{merged.target.id} is the other.")


def _patient(inputs: Inputs, name: str, base: str) -> str:
    """The id of the Patient that a parameter refers to."""
    given = inputs.complex(name, "Reference")
    text = given[0].get("reference") if len(given) == 1 else None
    local = text.removeprefix(f"{base}/") if isinstance(text, str) else ""
    found = _PATIENT.fullmatch(local) if "://" not in local else None
    if found is None:
        raise BadRequest(
            f"'{name}' takes one reference to a Patient of this server, in valueReference of a Parameters body: "
            '{"reference": "Patient/<id>"}.',
            code="required" if not given else "value",
            expression=["Parameters.parameter"],
        )
    return found[1]


def _answer(call: Call, merged: Merged, told: str) -> Answer:
    outcome: dict[str, Any] = exact.parse(bundles.outcome([Issue(told, "informational", "information")]))
    results: list[dict[str, Any]] = [{"name": "input", "resource": call.resource}] if call.resource else []
    results += [
        {"name": "outcome", "resource": outcome},
        {"name": "result", "resource": exact.parse(merged.target.json or b"{}")},
    ]
    return answers.parameters(results)
