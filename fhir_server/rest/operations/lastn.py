"""Observation/$lastn: the newest observations of each kind for one person.

https://hl7.org/fhir/R4/observation-operation-lastn.html
"""

from __future__ import annotations

from ...errors import BadRequest
from ...operations.lastn import lastn as newest
from .. import bundles
from ..call import Answer, Call, Service
from .inputs import Inputs

_NOT_HERE = (
    "_sort",
    "_count",
    "_cursor",
    "_include",
    "_revinclude",
    "_total",
    "_summary",
    "_contained",
    "_containedType",
)


def lastn(service: Service, call: Call) -> Answer:
    """A searchset Bundle. Takes search parameters of Observation beside `max`. Raises BadRequest, NotFound."""
    inputs = Inputs(call)
    maximum = inputs.number("max", 1, service.config.max_count)
    pairs = [pair for pair in inputs.pairs() if pair[0] != "max"]
    refused = [name for name, _ in pairs if name.partition(":")[0] in _NOT_HERE]
    if refused:
        raise BadRequest(
            f"$lastn takes filters and 'max', not '{refused[0]}': its order is newest first.", code="not-supported"
        )
    page = newest(service.repository, call.context, pairs, maximum, lenient=call.prefer.lenient)
    return Answer(200, bundles.searchset(page, call.base, "Observation/$lastn", call.form))
