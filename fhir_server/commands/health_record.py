"""One person's record as the XML of QĐ 831. docs/mappings/qd831.md"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fhir_server.operations import health_record as operation

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.repository import Repository


def health_record(repository: Repository, caller: AccessContext, patient: str, sender: str) -> bytes:
    """The document of the Patient with this id. Raises NotFound, Gone."""
    day = datetime.now(UTC).date().isoformat()
    return operation.health_record(repository, caller, patient, sender=sender, day=day, request_id=str(uuid.uuid4()))
