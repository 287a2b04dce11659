"""Composition/$document: a Composition and all it speaks of in one Bundle.

https://hl7.org/fhir/R4/composition-operation-document.html
"""

from __future__ import annotations

from ...errors import BadRequest
from ...operations.documents import document_of
from ...records import now
from ..call import Answer, Call, Service
from . import answers
from .inputs import Inputs


def document(service: Service, call: Call) -> Answer:
    """A document Bundle. Raises NotFound, Gone, Unprocessable, and BadRequest for a document that is to be kept."""
    inputs = Inputs(call)
    if inputs.flag("persist"):
        raise BadRequest("Documents are not kept here: create the Bundle that this gives.", code="not-supported")
    return answers.resource(document_of(service.repository, call.context, _id(call, inputs), call.base, now()))


def _id(call: Call, inputs: Inputs) -> str:
    if call.id:
        return call.id
    given = inputs.required("id").removeprefix(f"{call.base}/").removeprefix("Composition/")
    if "/" in given:
        raise BadRequest("'id' names a Composition of this server, by its id or its address.", code="value")
    return given
