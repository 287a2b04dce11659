"""Patient/$qd831: one person's record as the XML of QĐ 831/QĐ-BYT. docs/mappings/qd831.md"""

from __future__ import annotations

import uuid

from ...operations.health_record import health_record
from ...records import now
from ..call import Answer, Call, Service
from .inputs import Inputs

QD831 = "http://hososuckhoe.example.vn/fhir/OperationDefinition/qd831"


def qd831(service: Service, call: Call) -> Answer:
    """The document as application/xml, under `sender` if that is given. Raises NotFound, Gone, BadRequest."""
    sender = Inputs(call).text("sender") or ""
    day = now().date().isoformat()
    request_id = str(uuid.uuid4())
    xml = health_record(service.repository, call.context, call.id, sender=sender, day=day, request_id=request_id)
    return Answer(200, xml, media_type="application/xml")
