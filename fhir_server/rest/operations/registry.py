"""The table of operations: what the routes, batch entries and the CapabilityStatement are made from.

https://hl7.org/fhir/R4/operationslist.html
"""

from __future__ import annotations

from .document import document
from .everything import everything
from .lastn import lastn
from .match import match
from .meta import meta, meta_add, meta_delete
from .operation import Operation
from .reindex import reindex
from .stats import stats
from .summary import summary
from .terminology_registry import TERMINOLOGY_OPERATIONS
from .versions import versions

_R4 = "http://hl7.org/fhir/OperationDefinition"

_EVERYTHING = ("start", "end", "_since", "_type", "_count", "_cursor")

OPERATIONS = (
    Operation("versions", ("system",), (), f"{_R4}/CapabilityStatement-versions", versions),
    Operation(
        "everything", ("type", "instance"), ("Patient",), f"{_R4}/Patient-everything", everything, takes=_EVERYTHING
    ),
    Operation(
        "everything", ("instance",), ("Encounter",), f"{_R4}/Encounter-everything", everything, takes=_EVERYTHING
    ),
    Operation(
        "match",
        ("type",),
        ("Patient",),
        f"{_R4}/Patient-match",
        match,
        takes=("resource", "onlyCertainMatches", "count"),
        body="resource",
    ),
    Operation("lastn", ("type",), ("Observation",), f"{_R4}/Observation-lastn", lastn, takes=None),
    Operation(
        "stats",
        ("type",),
        ("Observation",),
        f"{_R4}/Observation-stats",
        stats,
        takes=("subject", "code", "system", "coding", "duration", "period", "statistic", "include", "limit"),
    ),
    Operation("reindex", ("system",), (), "http://hososuckhoe.example.vn/fhir/OperationDefinition/reindex", reindex),
    Operation("meta", ("system", "type", "instance"), (), f"{_R4}/Resource-meta", meta),
    Operation("meta-add", ("instance",), (), f"{_R4}/Resource-meta-add", meta_add, takes=("meta",), affects_state=True),
    Operation(
        "meta-delete",
        ("instance",),
        (),
        f"{_R4}/Resource-meta-delete",
        meta_delete,
        takes=("meta",),
        affects_state=True,
    ),
    Operation(
        "document",
        ("type", "instance"),
        ("Composition",),
        f"{_R4}/Composition-document",
        document,
        takes=("id", "persist"),
    ),
    Operation(
        "summary", ("instance",), ("Patient",), "http://hl7.org/fhir/uv/ips/OperationDefinition/summary", summary
    ),
    *TERMINOLOGY_OPERATIONS,
)
