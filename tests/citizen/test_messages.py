"""Every word of the pages exists in Vietnamese and in English, and is used."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import fhir_server
from fhir_server.translation import LANGUAGES, catalogue, translate, write_date, write_number

ROOT = Path(fhir_server.__file__).parent
# Families of keys whose last part comes from the data.
BUILT = (
    "desk.field.",
    "desk.number.",
    "desk.page.",
    "desk.proof.",
    "desk.role.",
    "desk.sex.",
    "desk.state.",
    "desk.status.",
    "desk.told.",
    "desk.type.",
    "desk.fate.",
    "gender.",
    "visit.",
    "allergy.",
    "held.",
    "app.kind.",
    "problem.",
    "declare.unreadable.",
    "declare.impossible.",
    "declare.odd.",
    "pin.",
    "record.",
    "consent.",
    "seen.",
    "share.",
    "history.",
)


def sources() -> str:
    files = [
        path
        for room in ("citizen", "desk", "access")
        for path in (ROOT / room).rglob("*")
        if path.suffix in (".py", ".html")
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@pytest.mark.parametrize("key", sorted(catalogue()))
def test_a_message_has_both_languages_with_the_same_placeholders(key: str):
    message = catalogue()[key]
    assert tuple(message) == LANGUAGES
    assert all(text.strip() for text in message.values())
    places = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in message.values()]
    assert places[0] == places[1]


def test_every_key_that_is_written_in_the_pages_exists():
    written = set(re.findall(r"""\bt\("([a-z_.]+[a-z_])"[,)]""", sources()))
    assert len(written) > 50
    assert written <= set(catalogue())


def test_no_message_is_left_over():
    text = sources()
    # `declare.` and its fields are put together in the form's loops.
    assert [key for key in catalogue() if f'"{key}"' not in text and not key.startswith(BUILT) and not built(key)] == []


HISTORY = ("illness_other", "surgery", "disability_other", "smoking", "alcohol", "activity")


def built(key: str) -> bool:
    names = ("weight", "height", "systolic", "diastolic", "weight_hint", "height_hint", *HISTORY)
    return key in {f"declare.{name}" for name in names}


def test_an_unknown_key_is_a_bug():
    with pytest.raises(KeyError):
        translate("no.such.key", "vi")


@pytest.mark.parametrize(
    ("fhir", "vietnamese", "english"),
    [
        ("2026-03-05", "05/03/2026", "2026-03-05"),
        ("2026-03", "03/2026", "2026-03"),
        ("2026", "2026", "2026"),
        ("2026-03-05T23:30:00+07:00", "05/03/2026", "2026-03-05"),
        ("2026-03-05T18:30:00.123456789Z", "06/03/2026", "2026-03-06"),
        (None, "", ""),
    ],
)
def test_a_day_is_written_as_precisely_as_it_is_known_in_vietnamese_time(fhir, vietnamese, english):
    assert (write_date(fhir, "vi"), write_date(fhir, "en")) == (vietnamese, english)


def test_vietnamese_writes_the_decimal_comma_and_keeps_all_digits():
    assert (write_number("58.50", "vi"), write_number("58.50", "en")) == ("58,50", "58.50")
