"""Prints how much of QĐ 130 is mapped, and writes the page that says so field by field.

python -m mappings.report [docs/mappings/qd130.md]
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mappings.qd130.table import FieldRow, fates, fields

PAGE = Path(__file__).parent.parent / "docs" / "mappings" / "qd130.md"

_HEAD = """# QĐ 130/QĐ-BYT (amended by 4750 and 3176) into FHIR R4

Written by `python -m mappings.report`; a test asserts that it is current. The decisions are in
`mappings/qd130/decisions.py`, joined with the published list of fields by `python -m mappings.qd130.build FOLDER`.

The code reads only what the table calls *mapped*; a test gives each such field a value of its own and finds it, converted,
at the path below. *Archived* fields are in the XML of the visit, which is kept whole: gzip in a Binary, found by a
DocumentReference with the SHA-256 of the XML, and linked by a Provenance to what was made of it. *Ignored* fields say nothing.

## How a visit behaves

- **Key**: facility and `MA_LK`. Rows are `MA_LK/table/STT` (the position, where `STT` does not tell rows apart).
- **Check-in** (XML0 alone) opens the Encounter as `arrived` with its first orders; XML1 takes it to `in-progress`, and to
  `finished` once it has `NGAY_RA`. A check-in that arrives after the visit does not open it again.
- **A resend** replaces row by row: what differs gets a new version, a row that vanished from a table that was sent becomes
  `entered-in-error`, the same again writes nothing. A table that was not sent says nothing about its rows.
- **Late results**: an empty result is `registered`, its report `registered` or `partial`; the value makes it `final`. A resend
  with the value empty again takes nothing back; another value replaces it.
- **Cancel** marks the Encounter and all that came with it `entered-in-error`, tagged, with the reason and the request's id in a
  Provenance. **Restore** brings each back to the version before. Both may be repeated. Rows that a resend had withdrawn
  before the cancellation stay withdrawn.
- **A resend of a cancelled visit is refused** (code `cancelled`) until it is restored: clients retry from queues, and a late
  retry must not undo a person's decision.
- **Shared resources** (Practitioner, Organization, Location, Coverage, and a Patient nobody has told of) are created where there
  is none; what a roster or a register says of them stays as it is. No newborn is matched by name.

## Coverage
"""


def page() -> str:
    """The page as Markdown."""
    return "".join([_HEAD, *_coverage(), *_tables()])


def summary() -> str:
    """One line: how many fields of how many have which fate."""
    counts = fates()
    parts = ", ".join(f"{counts[fate]} {fate}" for fate in ("mapped", "archived", "ignored"))
    return f"QĐ 130: {counts.total()} fields: {parts}"


def _coverage() -> Iterator[str]:
    yield f"\n{summary()}.\n\n| Table | mapped | archived | ignored | all |\n|---|---:|---:|---:|---:|\n"
    by_table: dict[str, Counter[str]] = {}
    for row in fields():
        by_table.setdefault(row.table, Counter())[row.fate] += 1
    for table, counts in by_table.items():
        cells = (counts["mapped"], counts["archived"], counts["ignored"], counts.total())
        yield f"| {table} | {' | '.join(map(str, cells))} |\n"


def _tables() -> Iterator[str]:
    table = ""
    for row in fields():
        if row.table != table:
            table = row.table
            yield f"\n## {table}\n\n| Field | Fate | FHIR path, or why not |\n|---|---|---|\n"
        yield _line(row)


def _line(row: FieldRow) -> str:
    paths = ", ".join(f"`{path}`" for path in row.path.split("; ")) if row.path else row.reason
    return f"| {row.field} | {row.fate} | {paths} |\n"


def main(arguments: list[str]) -> None:
    target = Path(arguments[0]) if arguments else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
    print(f"{summary()}\nwritten: {target}")


if __name__ == "__main__":
    main(sys.argv[1:])
