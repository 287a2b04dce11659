"""$everything: the record of a patient or of an encounter, page by page.

https://hl7.org/fhir/R4/patient-operation-everything.html and
https://hl7.org/fhir/R4/encounter-operation-everything.html
"""

from __future__ import annotations

from ... import r4
from ...errors import BadRequest
from ...operations import everything as compartment
from .. import bundles
from ..call import Answer, Call, Service
from .inputs import Inputs


def everything(service: Service, call: Call) -> Answer:
    """A searchset Bundle. Raises NotFound, Gone, Forbidden, BadRequest."""
    inputs = Inputs(call)
    types = frozenset(each for text in inputs.texts("_type") for each in text.split(",") if each)
    unknown = sorted(types - set(r4.RESOURCE_TYPES))
    if unknown:
        raise BadRequest(f"_type takes names of resource types; '{unknown[0][:40]}' is none.", code="value")
    wanted = compartment.Wanted(
        count=inputs.number("_count", service.config.default_count, service.config.max_count),
        types=types,
        start=inputs.moment("start"),
        end=inputs.moment("end"),
        since=inputs.moment("_since"),
        cursor=inputs.text("_cursor") or "",
    )
    if call.id:
        page = compartment.everything(service.repository, call.context, call.type, call.id, wanted)
        path = f"{call.type}/{call.id}/$everything"
    else:
        page = compartment.everything_of_everybody(service.repository, call.context, wanted)
        path = f"{call.type}/$everything"
    return Answer(200, bundles.searchset(page, call.base, path, call.form))
