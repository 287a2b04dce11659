"""Vietnamese personal names: into a HumanName, and folded so that spellings of one name compare equal.

https://hl7.org/fhir/R4/datatypes.html#HumanName
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any


def clean(text: str) -> str:
    """NFC, control and zero-width characters out, white space collapsed."""
    if text.isprintable() and "  " not in text and text == text.strip() and unicodedata.is_normalized("NFC", text):
        return (
            text  # as nearly every cell is; isprintable() knows no control, zero-width or other white-space character
        )
    composed = unicodedata.normalize("NFC", text)
    kept = (" " if character.isspace() else character for character in composed)
    visible = "".join(character for character in kept if unicodedata.category(character) not in ("Cc", "Cf"))
    return " ".join(visible.split())


@lru_cache(maxsize=20_000)  # streets, wards and provinces come again and again
def fold(text: str) -> str:
    """Lower case without diacritics: 'Nguyễn Thị Ánh Đào' -> 'nguyen thi anh dao'."""
    decomposed = unicodedata.normalize("NFD", clean(text).lower())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    # NFD leaves đ whole: it is a letter of its own, not d with a mark.
    return bare.replace("đ", "d")


def loose(folded: str) -> str:
    """A folded name with the letters made equal that one name is spelt with: y and i ('ly' and 'li')."""
    return folded.replace("y", "i")


def resembles(one: str, other: str) -> bool:
    """Whether two folded names may be one: words swapped or one of them missing, y for i, or a letter mistyped."""
    here, there = loose(one).split(), loose(other).split()
    if sorted(here) == sorted(there):
        return True
    fewer, more = sorted((here, there), key=len)
    if len(fewer) >= 2 and len(more) == len(fewer) + 1 and not set(fewer) - set(more):
        return True
    return one_slip(" ".join(here), " ".join(there))


def one_slip(one: str, other: str) -> bool:
    """Whether a character more, less, different, or two neighbours swapped make one text of the other."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


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
