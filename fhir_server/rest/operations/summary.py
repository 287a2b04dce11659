"""Patient/$summary: the International Patient Summary of one person.

http://hl7.org/fhir/uv/ips/OperationDefinition/summary
"""

from __future__ import annotations

from ...operations.summary import summary as summarize
from ...records import now
from ..call import Answer, Call, Service
from . import answers


def summary(service: Service, call: Call) -> Answer:
    """A document Bundle. Raises NotFound, Gone."""
    return answers.resource(summarize(service.repository, call.context, call.id, call.base, now()))
