"""The numbers that name a person in Vietnam: BHYT card, BHXH number, CCCD, CMND, passport. None has a check digit."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_CARD = re.compile(r"([A-Z]{2})([1-5])([0-9]{2})([0-9]{10})")
# What people and spreadsheets put between or before the characters of a number.
_SEPARATORS = re.compile(r"[\s.'\-\u2010-\u2015\u2212]+")


@dataclass(frozen=True, slots=True)
class BhytNumber:
    """A BHYT number as given. `kind`: card (15 characters), bhxh (10 digits), cccd (12 digits), other (kept)."""

    kind: str
    value: str
    object_code: str = ""
    benefit: str = ""
    bhxh: str = ""


def bare(text: str) -> str:
    """A number without spaces, dots and dashes, in upper case."""
    if text.isascii() and text.isalnum():  # as nearly every one is written
        return text.upper()
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper()


def parse_bhyt_number(text: str) -> BhytNumber | None:
    """The BHYT number in a text; None when the text is empty. Any other length is kept as kind "other"."""
    value = bare(text)
    if not value:
        return None
    if match := _CARD.fullmatch(value):
        return BhytNumber("card", value, match[1], match[2], match[4])
    if re.fullmatch(r"[0-9]{10}", value):
        return BhytNumber("bhxh", value, bhxh=value)
    if re.fullmatch(r"[0-9]{12}", value):
        return BhytNumber("cccd", value)
    return BhytNumber("other", value)


def identity_kind(value: str) -> str:
    """cccd (12 digits), cmnd (9 digits), passport (a letter and 7 digits) or other, for a bare() number."""
    if re.fullmatch(r"[0-9]{12}", value):
        return "cccd"
    if re.fullmatch(r"[0-9]{9}", value):
        return "cmnd"
    if re.fullmatch(r"[A-Z][0-9]{7}", value):
        return "passport"
    return "other"


def cccd_sex_and_year(value: str) -> tuple[str, str]:
    """The sex and birth year that a 12-digit CCCD encodes: its 4th digit is century and sex, the next two the year."""
    century, sex = divmod(int(value[3]), 2)
    return ("female" if sex else "male"), str(1900 + 100 * century + int(value[4:6]))


def facility_code(text: str) -> str:
    """A facility's 5-digit code: '79 - 001' -> '79001'."""
    return bare(text)
