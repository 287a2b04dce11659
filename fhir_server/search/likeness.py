"""By what a Patient is found whom no number leads to: index entries that no search parameter can name.

They stand in `x` beside the others and begin with a character that no parameter's entries begin with. What a name and
a birth date have in common with others of their kind is found by them; whether it is the same person is not said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fold import fold

LIKENESS = "~"
_WHOLE = len("2026-11-24")


def blocking_keys(patient: Mapping[str, Any]) -> list[str]:
    """Words of each name with the year of birth, and their initials with the whole birth date; [] without both.

    Swapped words, i for y, and day and month swapped give the same keys; a typo leaves at least one of them.
    """
    born = patient.get("birthDate", "")
    if not born:
        return []
    keys: dict[str, None] = {}
    for name in patient.get("name", ()):
        words = sorted(fold(name.get("text", "")).replace("y", "i").split())
        if not words:
            continue
        keys[f"{born[:4]} {' '.join(words)}"] = None
        if len(born) == _WHOLE:
            day = "-".join(sorted((born[5:7], born[8:])))
            keys[f"{born[:4]}-{day} {''.join(word[0] for word in words)}"] = None
    return list(keys)


def likeness_entries(resource_type: str, resource: Mapping[str, Any]) -> list[str]:
    """The index entries by which people who may be this one are found; [] for what is no Patient."""
    return [LIKENESS + key for key in blocking_keys(resource)] if resource_type == "Patient" else []
