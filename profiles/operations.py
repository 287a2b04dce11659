"""The operations of this server that nobody else defines, as OperationDefinitions.

https://hl7.org/fhir/R4/operationdefinition.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mappings import systems
from profiles.stamp import stamped


class _Parameter(NamedTuple):
    """A parameter of an operation: its name, type ("" where it has parts), least and most number, whether it comes out."""

    name: str
    type: str
    least: int
    most: str = "1"
    out: bool = True
    parts: tuple[tuple[str, str], ...] = ()
    """(name, type) of each part; all of them are always there."""


class _Operation(NamedTuple):
    """An operation: id, code, what it does, its level, the type it is for ("" for none), whether it changes something."""

    key: str
    code: str
    title: str
    level: str
    kind: str
    changes: bool
    parameters: tuple[_Parameter, ...]


_OPERATIONS = (
    _Operation(
        "Patient-unmerge",
        "unmerge",
        "Tách một người đã gộp khỏi người kia, đúng như trước khi gộp",
        "type",
        "Patient",
        True,
        (
            _Parameter("source-patient", "Reference", 1, out=False),
            _Parameter("input", "Parameters", 0),
            _Parameter("outcome", "OperationOutcome", 1),
            _Parameter("result", "Patient", 1),
        ),
    ),
    _Operation(
        "qd831",
        "qd831",
        "Hồ sơ sức khỏe của một người dạng XML theo QĐ 831/QĐ-BYT",
        "instance",
        "Patient",
        False,
        (_Parameter("sender", "string", 0, out=False), _Parameter("return", "Binary", 1)),
    ),
    _Operation(
        "reindex",
        "reindex",
        "Lập lại chỉ mục tìm kiếm theo các SearchParameter hiện có",
        "system",
        "",
        False,
        (
            _Parameter("state", "code", 1),
            _Parameter("done", "integer", 0),
            _Parameter("total", "integer", 0),
            _Parameter("parameter", "", 0, "*", parts=(("url", "uri"), ("ready", "boolean"))),
            _Parameter("problem", "string", 0, "*"),
        ),
    ),
)


def operation_definitions() -> Iterator[dict[str, Any]]:
    """All of them."""
    for row in _OPERATIONS:
        name = "".join(part.capitalize() for part in row.key.split("-"))
        made = stamped(
            "OperationDefinition", row.key, f"{systems.OWN_BASE}/OperationDefinition/{row.key}", name, row.title
        )
        made |= {"kind": "operation", "affectsState": row.changes, "code": row.code}
        made |= {"resource": [row.kind]} if row.kind else {}
        made |= {level: row.level == level for level in ("system", "type", "instance")}
        yield {**made, "parameter": [_parameter(each) for each in row.parameters]}


def _parameter(row: _Parameter) -> dict[str, Any]:
    said: dict[str, Any] = {"name": row.name, "use": "out" if row.out else "in", "min": row.least, "max": row.most}
    if row.type:
        said["type"] = row.type
    if row.parts:
        said["part"] = [_parameter(_Parameter(name, kind, 1, out=row.out)) for name, kind in row.parts]
    return said
