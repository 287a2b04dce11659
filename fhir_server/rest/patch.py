"""patch and conditional patch: change a part of a resource and say nothing of the rest.

https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

from typing import Any

from .. import patch
from ..errors import BadRequest
from ..patch import JSON_PATCH, MERGE_PATCH, Patch
from . import body, preconditions, query, written
from .call import Answer, Call, Service


def read_patch(environ: dict[str, Any], limit: int) -> Patch:
    """The patch in the body, by its Content-Type. Raises UnsupportedMediaType, TooLarge, BadRequest."""
    declared = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if declared in (JSON_PATCH, MERGE_PATCH):
        return patch.from_text(declared, body.read_bytes(environ, limit))
    if declared == "application/json":
        return patch.from_plain_json(body.read_bytes(environ, limit))
    return patch.from_resource(body.read_resource(environ, limit))


def patch_resource(service: Service, call: Call) -> Answer:
    """200 with the next version, or the current one when the patch changes nothing. Raises Unprocessable when it does
    not fit or leaves an invalid resource, PreconditionFailed when If-Match names another version."""
    if_match = preconditions.version_to_match(call.if_match)
    result = service.repository.patch(call.context, call.type, call.id, _patch_of(call), if_match=if_match)
    return written.answer(call, result)


def patch_conditional(service: Service, call: Call) -> Answer:
    """Patch the one resource that matches the query. Raises NotFound for none, PreconditionFailed for several."""
    if not call.query:
        raise BadRequest(
            f"Name the resource to patch: PATCH {call.type}/<id>, or PATCH {call.type}?<search criteria>.",
            code="required",
        )
    result = service.repository.patch_conditional(
        call.context,
        call.type,
        query.encode(call.query),
        _patch_of(call),
        if_match=preconditions.version_to_match(call.if_match),
    )
    return written.answer(call, result)


def _patch_of(call: Call) -> Patch:
    if call.patch is None:
        raise BadRequest("This interaction needs a patch, and none was sent.", code="required")
    return call.patch
