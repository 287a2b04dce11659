"""Builds mappings/data/qd130.csv, the mapping table: a row for every field of QĐ 130 with its fate.

    python -m mappings.qd130.build FOLDER

FOLDER holds the published list of fields as qd130_fields.csv; the fates are those of decisions.py.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mappings.qd130 import decisions
from mappings.qd130.table import COLUMNS, TARGET


def fate(table: str, field: str) -> tuple[str, str, str]:
    """(mapped, archived or ignored; FHIR path; reason). Raises KeyError for a field nobody decided about."""
    if path := decisions.MAPPED.get(table, {}).get(field):
        return "mapped", path, ""
    if field == decisions.RESERVE:
        return "ignored", "", decisions.RESERVE_REASON
    for name, decided in (("archived", decisions.ARCHIVED), ("ignored", decisions.IGNORED)):
        if reason := _reason(decided.get(table, {}), field):
            return name, "", reason
    return "archived", "", decisions.ARCHIVED_TABLES[table]


def _reason(decided: Mapping[str, str], field: str) -> str:
    return next((reason for reason, fields in decided.items() if field in fields.split()), "")


def rows(folder: Path) -> Iterator[list[str]]:
    """The rows of the table in the published order."""
    with (folder / "qd130_fields.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            lengths = [row["max_len_qd130"], row["max_len_portal_4750"]]
            # The longer of the two is what a sender may rely on; "n" has no bound.
            longest = "" if "n" in lengths else str(max((int(it) for it in lengths if it.isdigit()), default=""))
            yield [row["table"], row["field"], longest, *fate(row["table"], row["field"])]


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        raise SystemExit("usage: python -m mappings.qd130.build FOLDER_OF_THE_PUBLISHED_FIELD_LIST")
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows(Path(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
