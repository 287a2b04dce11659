"""Vietnamese personal names: into a HumanName, and folded so that spellings of one name compare equal.

https://hl7.org/fhir/R4/datatypes.html#HumanName
"""

from __future__ import annotations

import unicodedata
from typing import Any


def clean(text: str) -> str:
    """NFC, control and zero-width characters out, white space collapsed."""
    composed = unicodedata.normalize("NFC", text)
    kept = (" " if character.isspace() else character for character in composed)
    visible = "".join(character for character in kept if unicodedata.category(character) not in ("Cc", "Cf"))
    return " ".join(visible.split())


def fold(text: str) -> str:
    """Lower case without diacritics: 'Nguyễn Thị Ánh Đào' -> 'nguyen thi anh dao'."""
    decomposed = unicodedata.normalize("NFD", clean(text).lower())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    # NFD leaves đ whole: it is a letter of its own, not d with a mark.
    return bare.replace("đ", "d")


def human_name(text: str) -> dict[str, Any] | None:
    """The HumanName of a full name, None when nothing is left of it. The first word is the family name."""
    full = clean(text)
    if not full:
        return None
    family, *given = full.split(" ")
    name: dict[str, Any] = {"use": "official", "text": full, "family": family}
    if given:
        name["given"] = given
    return name
