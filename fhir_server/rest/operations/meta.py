"""$meta, $meta-add and $meta-delete: profiles, tags and security labels.

https://hl7.org/fhir/R4/resource-operation-meta.html, https://hl7.org/fhir/R4/resource-operation-meta-add.html and
https://hl7.org/fhir/R4/resource-operation-meta-delete.html
"""

from __future__ import annotations

from typing import Any

from ... import r4
from ...errors import BadRequest
from ...operations import meta as labels
from ..call import Answer, Call, Service
from . import answers
from .inputs import Inputs


def meta(service: Service, call: Call) -> Answer:
    """The labels of one resource or version of it, of a type, or of all. Raises NotFound, Gone, Forbidden."""
    if call.version:
        return _answer(labels.meta_of_version(service.repository, call.context, call.type, call.id, call.version))
    if call.id:
        return _answer(labels.meta_of(service.repository, call.context, call.type, call.id))
    types = (call.type,) if call.type else r4.RESOURCE_TYPES
    return _answer(labels.meta_of_types(service.repository, call.context, types))


def meta_add(service: Service, call: Call) -> Answer:
    """The labels of a resource once some are added. Raises BadRequest, NotFound, Gone, Forbidden, Conflict."""
    return _answer(labels.add(service.repository, call.context, call.type, call.id, _given(call)))


def meta_delete(service: Service, call: Call) -> Answer:
    """The labels of a resource once some are gone. Raises BadRequest, NotFound, Gone, Forbidden, Conflict."""
    return _answer(labels.delete(service.repository, call.context, call.type, call.id, _given(call)))


def _given(call: Call) -> labels.Meta:
    several = Inputs(call).complex("meta", "Meta")
    if len(several) != 1:
        raise BadRequest("Send one 'meta', in valueMeta of a Parameters body.", code="required")
    return labels.checked(several[0])


def _answer(meta: labels.Meta) -> Answer:
    # FHIR has no empty objects: without any label there is nothing to return a value of.
    results: list[dict[str, Any]] = [{"name": "return", "valueMeta": meta}] if meta else []
    return answers.parameters(results)
