"""What a write answers with, and what every body that is written must say.

https://hl7.org/fhir/R4/http.html#ops
"""

from __future__ import annotations

from typing import Any

from ..errors import BadRequest, Issue
from ..repository import Stored, WriteResult
from . import bundles
from .call import Answer, Call

_WHAT_HAPPENED = {
    "created": "created as",
    "updated": "updated to",
    "unchanged": "left as it was, since nothing differs, at",
    "existing": "found by If-None-Exist and left at",
    "deleted": "deleted as",
}


def body_of(call: Call) -> dict[str, Any]:
    """The resource that came with a write. Raises BadRequest when there is none."""
    resource = call.resource
    if resource is None:
        raise BadRequest("This interaction needs a resource, and none was sent.", code="required")
    return resource


def answer(call: Call, result: WriteResult) -> Answer:
    """201 or 200 with what the client prefers to get: the resource, nothing, or an OperationOutcome."""
    stored = result.stored
    status = 201 if result.outcome == "created" else 200
    if call.prefer.returns == "minimal":
        body = b""
    elif call.prefer.returns == "OperationOutcome":
        body = outcome(stored, result.outcome)
    else:
        body = stored.json or b""
    return Answer(status, body, stored, written=True)


def outcome(stored: Stored, what: str) -> bytes:
    """An OperationOutcome that tells what became of the resource."""
    text = f"{stored.type}/{stored.id} was {_WHAT_HAPPENED[what]} version {stored.version}."
    return bundles.outcome([Issue(text, "informational", "information")])
