"""Provinces, districts and wards of Vietnam before and since July 2025, found by code or by name, and what became what.

A code means something only together with the version of its system: seven two-digit codes of provinces changed meaning.
The tables are read once from mappings/data/places.json.gz (built by mappings/build_places.py).
"""

from __future__ import annotations

import gzip
import json
import re
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple

from mappings.names import fold

OLD = "2004"
"""The codes of QĐ 124/2004/QĐ-TTg with their amendments: 63 provinces, districts, wards, until the end of June 2025."""
NEW = "2025"
"""The codes of QĐ 19/2025/QĐ-TTg: 34 provinces and 3,321 wards, since July 2025."""
CHANGED = "2025-07-01"
"""The first day of NEW."""

_ABBREVIATED = (
    (re.compile(r"^(?:p\.|p(?=\d)) ?"), "phuong "),
    (re.compile(r"^x\. ?"), "xa "),
    (re.compile(r"^(?:tt\.|tt(?= )) ?"), "thi tran "),
    (re.compile(r"^(?:q\.|q(?=\d)) ?"), "quan "),
    (re.compile(r"^h\. ?"), "huyen "),
    (re.compile(r"^tx\.? ?"), "thi xa "),
    (re.compile(r"^(?:tp\.|tp(?= )) ?"), "thanh pho "),
)
_PROVINCE_PREFIX = re.compile(r"^(tinh|thanh pho|tp\.?) ?")
_ZEROES = re.compile(r"(?<= )0+(?=\d)")


class Place(NamedTuple):
    """A place of one version. `parent` is the code of the province or district it is in, "" for a province."""

    version: str
    level: str
    """province, district or ward."""
    code: str
    name: str
    parent: str = ""
    became: tuple[str, ...] = ()
    """The codes of today's wards that an old ward went to, the likeliest first."""


@cache
def _table() -> dict[str, Any]:
    packed = resources.files("mappings").joinpath("data/places.json.gz").read_bytes()
    table: dict[str, Any] = json.loads(gzip.decompress(packed))
    return table


@cache
def places(level: str, version: str) -> dict[str, Place]:
    """Every place of a level by its code; there are no districts in NEW."""
    rows = _table()["old" if version == OLD else "new"].get(level + "s", ())
    return {
        row[0]: Place(
            version, level, row[0], row[1], row[2] if len(row) > 2 else "", tuple(row[3]) if len(row) > 3 else ()
        )
        for row in rows
    }


def province_of(place: Place) -> Place:
    """The province a place is in, of the same version."""
    while place.level != "province":
        above = "district" if place.level == "ward" and place.version == OLD else "province"
        place = places(above, place.version)[place.parent]
    return place


def successors(place: Place) -> list[Place]:
    """The wards of today that an old ward (or a district without wards) went to; a place of today is itself."""
    return [places("ward", NEW)[code] for code in place.became] if place.version == OLD else [place]


@cache
def province_became() -> dict[str, str]:
    """The code of each of the 63 provinces -> the code of the one of the 34 it went to."""
    districts, wards = places("district", OLD), places("ward", NEW)
    became: dict[str, str] = {}
    for old in places("ward", OLD).values():
        became.setdefault(districts[old.parent].parent, wards[old.became[0]].parent)
    return became


@lru_cache(maxsize=4096)  # rosters name the same few thousand places over and over
def key(name: str) -> str:
    """What the spellings of one name have in common: folded, abbreviations written out, no leading zeroes."""
    text = fold(name)
    for pattern, full in _ABBREVIATED:
        text, found = pattern.subn(full, text, count=1)
        if found:
            break
    return _ZEROES.sub("", text.replace("-", " ").replace("  ", " "))


@lru_cache(maxsize=4096)
def province_key(name: str) -> str:
    """The key of a province, which people write with and without its prefix."""
    return _PROVINCE_PREFIX.sub("", fold(name)).replace("-", " ").replace("  ", " ").replace("  ", " ").strip()


@cache
def _provinces(version: str) -> dict[str, Place]:
    return {province_key(place.name): place for place in places("province", version).values()}


def province(name: str, version: str) -> Place | None:
    """The province of a version that a text names."""
    return _provinces(version).get(province_key(name))


@cache
def _within(level: str, version: str) -> dict[tuple[str, str], tuple[Place, ...]]:
    """(code of what it is in, key of the name) -> places; an old ward is found by its district and its province."""
    found: dict[tuple[str, str], tuple[Place, ...]] = {}
    for place in places(level, version).values():
        for above in {place.parent, province_of(place).code}:
            found[above, key(place.name)] = (*found.get((above, key(place.name)), ()), place)
    return found


def named(level: str, version: str, name: str, inside: Place) -> tuple[Place, ...]:
    """Every place inside a district or province whose name folds to the same: more than one is never narrowed down."""
    # The codes of provinces have two digits, those of districts three: one table holds both.
    return _within(level, version).get((inside.code, key(name)), ())
