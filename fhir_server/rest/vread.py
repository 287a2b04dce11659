"""vread: one version of a resource, current or past.

https://hl7.org/fhir/R4/http.html#vread
"""

from __future__ import annotations

from .call import Answer, Call, Service
from .read import show


def vread(service: Service, call: Call) -> Answer:
    """The version. Raises NotFound, or Gone when this version is a deletion."""
    return show(call, service.repository.vread(call.context, call.type, call.id, call.version))
