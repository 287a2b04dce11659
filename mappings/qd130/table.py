"""The mapping table, mappings/data/qd130.csv (built by build.py): what the mapping reads is what the table calls mapped."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TARGET = Path(__file__).parent.parent / "data" / "qd130.csv"
COLUMNS = ("table", "field", "longest", "fate", "path", "reason")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: `fate` is mapped (`path` says where to), archived or ignored (`reason` says why).

    `longest` is the most characters it may have, 0 where there is no bound.
    """

    table: str
    field: str
    longest: int
    fate: str
    path: str
    reason: str


@cache
def fields() -> tuple[FieldRow, ...]:
    """Every field of XML0 to XML15, in the published order."""
    with TARGET.open(encoding="utf-8", newline="") as file:
        return tuple(
            FieldRow(row["table"], row["field"], int(row["longest"] or 0), row["fate"], row["path"], row["reason"])
            for row in csv.DictReader(file)
        )


@cache
def fields_of(table: str) -> dict[str, FieldRow]:
    """The fields of one table by name; empty for an unknown table."""
    return {row.field: row for row in fields() if row.table == table}


def fates() -> Counter[str]:
    """How many fields are mapped, archived and ignored."""
    return Counter(row.fate for row in fields())
