"""search: the resources of a type that match, by GET or POST _search.

https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

from . import bundles
from .call import Answer, Call, Service


def search(service: Service, call: Call) -> Answer:
    """A searchset Bundle. Raises BadRequest for unknown parameters, unless the client prefers them to be ignored."""
    page = service.repository.search(call.context, call.type, call.query, lenient=call.prefer.lenient)
    return Answer(200, bundles.searchset(page, call.base, call.type, call.form))
