"""The field table, mappings/data/qd831.csv: what both directions of the mapping and docs/mappings/qd831.md are made from."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "data" / "qd831.csv"
HEADER = "HEADER"
PERSON = "THONGTINCHUNG"
RELATIVE = "THONGTINCHUNG/QUANHE_GIADINH"
BIRTH = "TIENSU/TINHTRANG_LUCSINH"
FACTOR = "TIENSU/YEUTO_SUCKHOE/DSYEUTO"
DISABILITY = "TIENSU/KHUYETTAT/DSKHUYETTAT"
ALLERGY = "TIENSU/TIEUSU_BENHTAT/DIUNG/DSDIUNG"
ILLNESS = "TIENSU/TIEUSU_BENHTAT/BENHTAT/DSBENH"
FAMILY_ALLERGY = "TIENSU/TIENSU_GIADINH/DIUNG/DSDIUNG"
FAMILY_ILLNESS = "TIENSU/TIENSU_GIADINH/BENHTAT/DSBENH"
DOSE = "TIEMCHUNG/THONGTINMUITIEM"
VISIT = "DANHSACHHOSOKHAMCHUABENH/HOSOKHAMCHUABENH"
SERVICE = f"{VISIT}/CANLAMSANG/DICHVU"
DIAGNOSIS = f"{VISIT}/CHANDOANKETLUAN/CHANDOANBENH"
REPEATED = (RELATIVE, FACTOR, DISABILITY, ALLERGY, ILLNESS, FAMILY_ALLERGY, FAMILY_ILLNESS, DOSE)
OF_A_VISIT = (SERVICE, DIAGNOSIS)
# How the value of a field of its own becomes the value of an Observation of its own.
VALUES = ("text", "code", "flag", "count", "number")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: `fate` is mapped (`target` says where to) or archived (`reason` says why).

    `kind` is one of VALUES, or names the part of the mapping that reads the field; `unit` is UCUM.
    """

    path: str
    field: str
    fate: str
    kind: str
    loinc: str
    display: str
    unit: str
    target: str
    reason: str

    @property
    def code(self) -> str:
        """The field's code in the system HEALTH_RECORD_ITEM."""
        return f"{self.path}/{self.field}"


@cache
def fields() -> tuple[FieldRow, ...]:
    """Every field, in the published order."""
    with SOURCE.open(encoding="utf-8", newline="") as file:
        return tuple(FieldRow(**row) for row in csv.DictReader(file))


@cache
def fields_of(path: str) -> dict[str, FieldRow]:
    """The fields of one element by name, in the published order."""
    return {row.field: row for row in fields() if row.path == path}


@cache
def single_values(visit: bool) -> tuple[FieldRow, ...]:
    """The fields that become an Observation of their own: those of a visit, or those of the person."""
    return tuple(row for row in fields() if row.kind in VALUES and (row.path == VISIT) == visit)


def fates() -> Counter[str]:
    """How many fields have which fate."""
    return Counter(row.fate for row in fields())
