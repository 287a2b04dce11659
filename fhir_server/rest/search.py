"""search: the resources of a type that match, by GET or POST _search.

https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

from . import bundles
from .call import Answer, Call, Service


def search_system(service: Service, call: Call) -> Answer:
    """A searchset Bundle of several types, named by _type."""
    page = service.repository.search_system(call.context, call.query, lenient=call.prefer.lenient)
    return Answer(200, bundles.searchset(page, call.base, "", call.form))


def search_compartment(service: Service, call: Call) -> Answer:
    """A searchset Bundle of what is in somebody's compartment. https://hl7.org/fhir/R4/http.html#vsearch"""
    compartment = (call.compartment, call.id)
    path = f"{call.compartment}/{call.id}/{call.type or '*'}"
    if call.type:
        page = service.repository.search(
            call.context, call.type, call.query, lenient=call.prefer.lenient, compartment=compartment
        )
    else:
        page = service.repository.search_system(
            call.context, call.query, lenient=call.prefer.lenient, compartment=compartment
        )
    return Answer(200, bundles.searchset(page, call.base, path, call.form))


def search(service: Service, call: Call) -> Answer:
    """A searchset Bundle. Raises BadRequest for unknown parameters, unless the client prefers them to be ignored."""
    page = service.repository.search(call.context, call.type, call.query, lenient=call.prefer.lenient)
    return Answer(200, bundles.searchset(page, call.base, call.type, call.form))
