"""A Vietnamese address text into a FHIR Address: the text as it came, its parts where they are plain to see.

Tỉnh is `state`, huyện (gone since July 2025, still written) is `district`, xã is `city`.
https://hl7.org/fhir/R4/datatypes.html#Address
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from mappings.code_lists import provinces
from mappings.names import clean, fold

_PROVINCE_PREFIX = re.compile(r"^(tinh|thanh pho|tp\.?) ?")
_WARD = re.compile(r"(phuong|xa|thi tran|dac khu|p\.|tt\.) ?\S")
_DISTRICT = re.compile(r"(quan|huyen|thi xa|thanh pho|tp\.?|q\.|h\.|tx\.?) ?\S")


def _bare_province(text: str) -> str:
    return _PROVINCE_PREFIX.sub("", fold(text)).replace("-", " ").replace("  ", " ")


@cache
def _province_names() -> dict[str, str]:
    # Where a name served a province and a city ("Thành phố Huế"), sorting puts the city first and the later one wins;
    # both fold to the same place.
    return {_bare_province(name): name for name in provinces()}


def province_name(text: str) -> str | None:
    """The full name of the province a text names, with or without prefix and diacritics."""
    return _province_names().get(_bare_province(text))


def address(text: str) -> dict[str, Any] | None:
    """The home Address of a text, None when it is empty. `text` is always the whole."""
    full = clean(text)
    if not full:
        return None
    result: dict[str, Any] = {"use": "home", "text": full}
    parts = [part for part in (part.strip() for part in full.split(",")) if part]
    state = province_name(parts[-1]) if parts else None
    if state:
        parts.pop()
    district = city = None
    if parts and _DISTRICT.match(fold(parts[-1])):
        district = parts.pop()
    if parts and _WARD.match(fold(parts[-1])):
        city = parts.pop()
    if parts:
        result["line"] = parts
    for key, value in (("city", city), ("district", district), ("state", state)):
        if value:
            result[key] = value
    if state:
        result["country"] = "VN"
    return result
