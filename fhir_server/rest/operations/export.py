"""$export: the kick-off of a bulk export of the system, of all patients, or of a group of patients.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-kick-off-request. What follows it stands in
fhir_server/rest/export_status.py.
"""

from __future__ import annotations

from ...errors import BadRequest
from ...export_order import ExportOrder, Level, check_format, read_filters, read_patients, read_since, read_types
from .. import query
from ..call import Answer, Call, Service
from .inputs import Inputs

STATUS = "$export-status"
"""Where an export is asked about, below the base: its id comes after."""


def export(service: Service, call: Call) -> Answer:
    """202 with the address of the status. Raises BadRequest, Forbidden, NotFound for the group, TooMany."""
    if not call.prefer.respond_async:
        raise BadRequest(
            "An export takes longer than a request: send the header 'Prefer: respond-async', and ask at the address in "
            "Content-Location how far it is.",
            code="required",
        )
    inputs = Inputs(call)
    level: Level = "group" if call.id else "patient" if call.type else "system"
    types = read_types(level, inputs.texts("_type"), lenient=call.prefer.lenient)
    check_format(inputs.text("_outputFormat"))
    order = ExportOrder(
        level=level,
        types=types,
        since=read_since(inputs.text("_since")),
        filters=read_filters(inputs.texts("_typeFilter"), types),
        elements=_elements(call, inputs),
        patients=_patients(level, call, inputs),
    )
    path = "/".join(each for each in (call.type, call.id, "$export") if each)
    asked = query.encode([*call.query, *call.form])
    request = f"{call.base}/{path}" + (f"?{asked}" if asked else "")
    job_id = service.repository.exports.start(call.context, order, request=request, group=call.id)
    return Answer(202, headers=(("Content-Location", f"{call.base}/{STATUS}/{job_id}"),))


def _elements(call: Call, inputs: Inputs) -> tuple[str, ...]:
    # In the address of a GET the parameter says how an answer is written, so it has been set apart.
    texts = [*(value for name, value in call.form if name == "_elements"), *inputs.texts("_elements")]
    return tuple(each.strip() for text in texts for each in text.split(",") if each.strip())


def _patients(level: Level, call: Call, inputs: Inputs) -> tuple[str, ...] | None:
    references = inputs.texts("patient")
    if not references:
        return None
    if level == "system" or call.resource is None:
        raise BadRequest(
            "'patient' is for an export of patients or of a group, in the body of a POST.", code="not-supported"
        )
    return read_patients(references)
