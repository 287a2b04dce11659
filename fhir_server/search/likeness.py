"""By what a Patient is found whom no number leads to: index entries that no search parameter can name.

They stand in `x` beside the others and begin with a character that no parameter's entries begin with. What a name and
a birth date have in common with others of their kind is found by them; whether it is the same person is not said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .fold import fold

LIKENESS = "~"


class _Mark(NamedTuple):
    sign: str
    half: int
    """Characters of half of a number."""


TELLING_APART = {
    "http://hososuckhoe.example.vn/fhir/sid/bhxh-number": _Mark("!", 5),
    "http://fhir.ehealth.gov.vn/core/sid/national_id": _Mark('"', 6),
}
"""Systems of numbers that a person has one of, so that two with different ones are two people, and what marks the entries
of those who have none: few of a million people, so that asking for them reads few. A blocking key begins with a year."""
_HALF = "#"
_WHOLE = len("2026-11-24")


def blocking_keys(patient: Mapping[str, Any]) -> list[str]:
    """Words of each name with the year of birth, and their initials with the whole birth date; [] without both.

    Swapped words, i for y, and day and month swapped give the same keys; a typo leaves at least one of them. With a
    number that tells people apart there are two more, of name, birth date and half of it: one wrong digit leaves one.
    """
    born = patient.get("birthDate", "")
    if not born:
        return []
    keys: dict[str, None] = {}
    halves = _halves(patient)
    for name in patient.get("name", ()):
        words = sorted(fold(name.get("text", "")).replace("y", "i").split())
        if not words:
            continue
        keys[f"{born[:4]} {' '.join(words)}"] = None
        if len(born) == _WHOLE:
            day = "-".join(sorted((born[5:7], born[8:])))
            keys[f"{born[:4]}-{day} {''.join(word[0] for word in words)}"] = None
            for half in halves:
                keys[f"{born} {' '.join(words)}{half}"] = None
    return list(keys)


def is_of_number(key: str) -> bool:
    """Whether a blocking key has half of a number in it, so that it leads to those who may have that number mistyped."""
    return _HALF in key


def _halves(patient: Mapping[str, Any]) -> list[str]:
    found = []
    for each in patient.get("identifier", ()):
        mark, number = TELLING_APART.get(each.get("system", "")), each.get("value")
        if mark is not None and number:
            found += [f"{_HALF}{mark.sign}{number[: mark.half]}-", f"{_HALF}{mark.sign}-{number[-mark.half :]}"]
    return found


def likeness_entry(key: str, without: str = "") -> str:
    """The index entry of those with a blocking key, or of those of them `without` a number of a TELLING_APART system.

    Without a number nobody can have it mistyped: a key of a number is asked of everybody.
    """
    return f"{LIKENESS}{TELLING_APART[without].sign if without and not is_of_number(key) else ''}{key}"


def likeness_entries(resource_type: str, resource: Mapping[str, Any]) -> list[str]:
    """The index entries by which people who may be this one are found; [] for what is no Patient."""
    if resource_type != "Patient":
        return []
    held = {each.get("system") for each in resource.get("identifier", ())}
    lacking = ["", *(system for system in TELLING_APART if system not in held)]
    keys = blocking_keys(resource)
    return [likeness_entry(key, without) for key in keys for without in ([""] if is_of_number(key) else lacking)]
