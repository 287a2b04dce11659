"""read: the current version of a resource.

https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from ..repository import Stored
from . import binary, preconditions, subset
from .call import Answer, Call, Service


def read(service: Service, call: Call) -> Answer:
    """The resource, or 304 when the client holds this version. Raises NotFound, or Gone when it was deleted."""
    return show(call, service.repository.read(call.context, call.type, call.id))


def show(call: Call, stored: Stored) -> Answer:
    """The answer that shows one stored version, unless the client has it already. Raises BadRequest."""
    asked = subset.of_read(call)
    if preconditions.is_unchanged(call, stored):
        return Answer(304, stored=stored)
    if call.raw:
        return binary.content(stored)
    return Answer(200, subset.shown(stored.json or b"", asked), stored)
