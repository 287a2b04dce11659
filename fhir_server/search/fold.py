"""Fold text for search: a Vietnamese name is found with or without its diacritics.

String search is case- and accent-insensitive: https://hl7.org/fhir/R4/search.html#string
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# NFD takes a diacritic off its letter; these letters carry a stroke or a ligature that NFD leaves alone.
_STROKES = str.maketrans({"đ": "d", "ð": "d", "ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe"})
_SPACES = re.compile(r"\s+")


@lru_cache(maxsize=20_000)  # streets, wards and provinces come again and again
def fold(text: str) -> str:
    """Lower case, without diacritics, runs of white space as one space: 'Nguyễn  Đào' -> 'nguyen dao'."""
    if text.isascii():
        folded = text.lower()
    else:
        decomposed = unicodedata.normalize("NFD", text.casefold())
        bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
        folded = unicodedata.normalize("NFC", bare).translate(_STROKES)
    return _SPACES.sub(" ", folded).strip()


def last_word_first(text: str) -> str:
    """The key people are sorted by: 'Nguyễn Thị Ánh Đào' -> 'dao nguyen thi anh'."""
    words = fold(text).split(" ")
    return " ".join(words[-1:] + words[:-1])
