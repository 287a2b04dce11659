"""Writes the page that says which column names a roster may use and what becomes of each field.

python -m mappings.roster_page [docs/mappings/roster.md]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from mappings.person import SEX_CODINGS
from mappings.roster_headers import ALIASES, field_of

PAGE = Path(__file__).parent.parent / "docs" / "mappings" / "roster.md"

# field of the roster -> what becomes of it
_FATES = {
    "card": "`Patient.identifier` (card with its period, and its last ten digits as BHXH number); `Coverage.identifier`, "
    "`.subscriberId`, `.class` (object code, benefit)",
    "bhxh": "`Patient.identifier` (BHXH number); `Coverage.identifier` where the row has no card number",
    "name": "`Patient.name`: the whole as text, the first word as family name",
    "birth_date": "`Patient.birthDate` in the precision that is known",
    "sex": "`Patient.gender`",
    "address": "`Patient.address`, with the codes of places that are certain",
    "facility": "`Coverage.network`: five characters",
    "valid_from": "`Coverage.period.start`, the period of the card in `Patient.identifier`",
    "valid_to": "`Coverage.period.end`, the period of the card in `Patient.identifier`",
    "five_years": "`Coverage.extension` bhyt-five-year-date",
    "area": "`Coverage.extension` bhyt-living-area (K1, K2, K3)",
    "identity": "`Patient.identifier`: CCCD (12 digits), CMND (9), passport, or kept as another number with a remark",
    "old_identity": "`Patient.identifier`: CMND",
    "phone": "`Patient.telecom`",
    "row": "not read: rows are named by their line",
}

_HEAD = """# Roster rows (BHYT) into Patient and Coverage

Written by `python -m mappings.roster_page`; a test asserts that it is current.

## Files

`fhir-server import roster FILE` takes CSV (comma, semicolon, tab or `|`), XLSX (the first sheet) and JSON lines, each perhaps
gzipped; the form is told from the content. Text is UTF-8, UTF-16 (with or without a byte order mark) or windows-1258, whose
marks behind letters become NFC. TCVN3 (ABC) and VNI are encodings of fonts and are refused by name. A title above the header
row is passed over. An XLSX or gzip file that would unpack into too much is refused.

## Rules

- **A bad row stops nothing.** It goes to `FILE.rejected.csv` with line, column, value and the reason in two languages.
- **Needed**: a name, a birth date, and one number. Everything else is taken as far as it is understood, with a remark.
- **Dates**: dd/MM/yyyy, d/M/yyyy, yyyy-MM-dd, yyyyMMdd[HHmm[ss]], MM/yyyy, yyyy, 00/00/yyyy. 01/01 is doubtful: a remark.
- **Numbers** of 10, 12 and 15 characters are BHXH number, CCCD and card; any other is kept with a remark.
- **Rows of one person** (that share a number, directly or by way of another row) are taken together in the order of the file:
  of facts that contradict each other under cards that began on the same day, the last row's stand; else the newer card's.
  So the same file again writes nothing, whatever it says twice.
- **One step for each batch**: rows, history and progress are one transaction. An import that is killed goes on behind its last
  batch when the same file is imported again (after the 30 seconds in which the other process might still live), with its counts.
- **Partial or whole.** A file ends no card, unless `--whole-of` says of which province (2 digits) or facility (5) it is the
  whole list. Then a card that runs and is in no row, not even a rejected one, ends the day before `--as-of` (or the file's
  own day); a card that begins later is left. `FILE.ended.csv` lists them. More than 5% are ended only with `--yes`.

## Columns

Names are compared without diacritics, capitals, spaces and signs: "Số thẻ BHYT", "soTheBHYT" and "SO_THE_BHYT" are one. Of
columns with the same meaning the first that is filled counts. Unknown columns are named in the summary.

| Field | Becomes | Column names |
|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    return "".join([_HEAD, *_columns(), *_sexes()])


def _columns() -> Iterator[str]:
    for name, aliases in ALIASES.items():
        known = ", ".join(f"`{alias}`" for alias in aliases.split() if field_of(alias) == name)
        yield f"| {name} | {_FATES[name]} | {known} |\n"


def _sexes() -> Iterator[str]:
    yield "\n## Sex\n\nWhich digits a source uses is told by `--sex`; words are understood with all of them.\n\n"
    yield "| `--sex` | digits | words |\n|---|---|---|\n"
    for name, coding in SEX_CODINGS.items():
        digits = ", ".join(f"{text} {sex}" for text, sex in coding.items() if text.isdigit())
        words = ", ".join(text for text in coding if not text.isdigit())
        yield f"| `{name}` | {digits} | {words} |\n"


def main(arguments: list[str]) -> None:
    target = Path(arguments[0]) if arguments else PAGE
    target.write_text(page(), encoding="utf-8")
    print(f"written: {target}")


if __name__ == "__main__":
    main(sys.argv[1:])
