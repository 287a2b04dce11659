"""The table of operations: what the routes, batch entries and the CapabilityStatement are made from.

https://hl7.org/fhir/R4/operationslist.html
"""

from __future__ import annotations

from .document import document
from .everything import everything
from .export import export
from .lastn import lastn
from .match import match
from .merge import MERGE, UNMERGE, merge, unmerge
from .meta import meta, meta_add, meta_delete
from .operation import Level, Operation
from .qd831 import QD831, qd831
from .reindex import reindex
from .stats import stats
from .summary import summary
from .terminology_registry import TERMINOLOGY_OPERATIONS
from .versions import versions

_R4 = "http://hl7.org/fhir/OperationDefinition"

_EVERYTHING = ("start", "end", "_since", "_type", "_count", "_cursor")

_BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
_EXPORT = ("_outputFormat", "_since", "_type", "_typeFilter", "_elements", "patient")
_EXPORTS: tuple[tuple[Level, tuple[str, ...], str], ...] = (
    ("system", (), "export"),
    ("type", ("Patient",), "patient-export"),
    ("instance", ("Group",), "group-export"),
)

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
    Operation(
        "merge",
        ("type",),
        ("Patient",),
        MERGE,
        merge,
        takes=("source-patient", "target-patient", "result-patient", "preview"),
        affects_state=True,
    ),
    Operation("unmerge", ("type",), ("Patient",), UNMERGE, unmerge, takes=("source-patient",), affects_state=True),
    Operation("lastn", ("type",), ("Observation",), f"{_R4}/Observation-lastn", lastn, takes=None),
    Operation(
        "stats",
        ("type",),
        ("Observation",),
        f"{_R4}/Observation-stats",
        stats,
        takes=("subject", "code", "system", "coding", "duration", "period", "statistic", "include", "limit"),
    ),
    Operation(
        "reindex",
        ("system",),
        (),
        "http://hososuckhoe.example.vn/fhir/OperationDefinition/reindex",
        reindex,
        lasting=True,
    ),
    Operation("meta", ("system", "type", "instance"), (), f"{_R4}/Resource-meta", meta, of_versions=True),
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
    Operation("qd831", ("instance",), ("Patient",), QD831, qd831, takes=("sender",)),
    *(
        Operation("export", (level,), types, f"{_BULK}/{definition}", export, takes=_EXPORT, lasting=True)
        for level, types, definition in _EXPORTS
    ),
    *TERMINOLOGY_OPERATIONS,
)
