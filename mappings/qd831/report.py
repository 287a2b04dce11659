"""Prints how much of QĐ 831 is mapped, and writes the page that says so field by field.

python -m mappings.qd831.report [docs/mappings/qd831.md]
"""

from __future__ import annotations

import sys
from pathlib import Path

from mappings.qd831.table import fates, fields

PAGE = Path(__file__).parents[2] / "docs" / "mappings" / "qd831.md"
_HEAD = """# QĐ 831/QĐ-BYT (2017), the personal health record, and FHIR R4

Written by `python -m mappings.qd831.report` from `mappings/data/qd831.csv`; a test asserts that it is current.

*Mapped* fields go both ways: into FHIR when a record is received, and back when a Patient is exported
(`GET /fhir/Patient/[id]/$qd831`, or `fhir-server export-qd831 ID`). *Archived* ones are in the XML as it was sent, which is
kept whole beside what was made of it.

## How a record behaves

- **Whose it is**: any of MADINHDANH, MABHXH, MATHE, SOCMND, with name and birth date as everywhere. Somebody who may be known
  becomes a new Patient in the queue of possible duplicates.
- **A resend** (same sender, same person) replaces row by row: what differs gets a new version, what vanished becomes
  entered-in-error, the same again writes nothing.
- **Visits** share the Encounter of QĐ 130 (facility and MA_LK). One that QĐ 130 told of is richer and stays as it is; what the
  record measured is attached to it.
- **Profiles**: every resource names one ([profiles](../profiles.md)). What QĐ 831 asks of the past is `vn-patient-history`,
  the findings of a visit `vn-exam-finding`, its tests and pictures `vn-laboratory-result`, relatives `vn-related-person`.
- **Values** that do not have the form of their field are kept as text. Every Observation carries a code of ours named after
  its field, and LOINC's where it says the same.
- **The "no" of smokers**: TRANGTHAI=0 with DABO=0 gives no value (unknown), since a known exporter writes it for people who smoke.
  The two flags are kept as components.
- **Export** tells of everything known, whoever told it: a citizen's declaration and a QĐ 130 visit as well. What QĐ 831 has
  one place for (a card, a paper, an address of a kind) is the current one. NGAYBATDAU is filled in where only NGAYKHAM was sent.
"""


def summary() -> str:
    """One line: how many fields of how many have which fate."""
    counts = fates()
    return f"QĐ 831: {counts.total()} fields: {counts['mapped']} mapped, {counts['archived']} archived, {counts['ignored']} ignored"


def page() -> str:
    """The page as Markdown."""
    lines = [_HEAD, f"\n## Coverage\n\n{summary()}.\n"]
    path = ""
    for row in fields():
        if row.path != path:
            path = row.path
            lines.append(f"\n## {path}\n\n| Field | Fate | FHIR | LOINC | Note |\n|---|---|---|---|---|\n")
        target = f"`{row.target}`" if row.target else ""
        loinc = f"{row.loinc} {row.display}" if row.loinc else ""
        lines.append(f"| {row.field} | {row.fate} | {target} | {loinc} | {row.reason} |\n")
    return "".join(lines)


def main(arguments: list[str]) -> None:
    """Write the page and print the summary."""
    target = Path(arguments[0]) if arguments else PAGE
    target.write_text(page(), encoding="utf-8")
    print(f"{summary()}\nwritten: {target}")


if __name__ == "__main__":
    main(sys.argv[1:])
