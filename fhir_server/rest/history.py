"""history: the versions of a resource, of a type, or of everything.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from . import bundles
from .call import Answer, Call, Service


def history(service: Service, call: Call) -> Answer:
    """A history Bundle. Which level it is follows from what the address names. Raises NotFound for an unknown id."""
    page = service.repository.history(call.context, call.type or None, call.id or None, query=call.query)
    return Answer(200, bundles.history(page, call.base, path_of(call), call.query, call.form))


def path_of(call: Call) -> str:
    """The address of the history below the base: `_history`, `Patient/_history` or `Patient/1/_history`."""
    return "/".join(part for part in (call.type, call.id, "_history") if part)
