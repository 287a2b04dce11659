"""$versions: the versions of FHIR this server speaks.

https://hl7.org/fhir/R4/capabilitystatement-operation-versions.html
"""

from __future__ import annotations

from ...r4 import FHIR_VERSION
from ..call import Answer, Call, Service
from . import answers

_MAJOR_MINOR = FHIR_VERSION.rpartition(".")[0]


def versions(service: Service, call: Call) -> Answer:
    """One version, which is the default too."""
    return answers.parameters([{"name": name, "valueCode": _MAJOR_MINOR} for name in ("version", "default")])
