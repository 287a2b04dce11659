"""A Vietnamese address into a FHIR Address: the text as it came, its parts, and the codes of places that are certain.

Tỉnh is `state`, huyện (gone since July 2025, still written) is `district`, xã is `city`. An old place keeps its old code
and gets today's beside it. https://hl7.org/fhir/R4/datatypes.html#Address
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from mappings import places, systems
from mappings.code_lists import provinces
from mappings.names import clean, fold
from mappings.places import NEW, OLD, Place
from mappings.problems import Problem, problem

_WARD = re.compile(r"(phuong|xa|thi tran|dac khu|p\.|tt\.) ?\S")
_DISTRICT = re.compile(r"(quan|huyen|thi xa|thanh pho|tp\.?|q\.|h\.|tx\.?) ?\S")
_SYSTEMS = {"province": systems.PROVINCE, "district": systems.DISTRICT, "ward": systems.WARD}


@cache
def _province_names() -> dict[str, str]:
    # Where a name served a province and a city ("Thành phố Huế"), sorting puts the city first and the later one wins;
    # both fold to the same place.
    return {places.province_key(name): name for name in provinces()}


def province_name(text: str) -> str | None:
    """The full name of the province a text names, with or without prefix and diacritics."""
    return _province_names().get(places.province_key(text))


def address(text: str) -> dict[str, Any] | None:
    """The home Address of a text, None when it is empty. `text` is always the whole."""
    return read_address("", text)[0]


def read_address(
    field: str, text: str, *, province: str = "", district: str = "", ward: str = "", as_of: str = ""
) -> tuple[dict[str, Any] | None, list[Problem]]:
    """The home Address of a text, of the codes a source sends beside it, or of both; None when there is neither.

    `as_of` is the day (yyyy-MM-dd) on which the source sent them: it decides where a code has a meaning in both versions
    and the text does not tell. A place that could be several is given no code: the Problem names `field` and lists the
    candidates. Where the text names another ward than the codes, the text stands.
    """
    full = clean(text)
    written = _parts(full)
    codes = _Codes(province.strip(), district.strip(), ward.strip(), as_of)
    coded = _by_codes(codes, written)
    named, candidates = _by_names(written)
    problems = [] if coded or _are_told(codes, named) else [_unused(field, codes)]
    if not full and not coded:
        return None, problems
    if "city" in coded and "city" in named and not _is_named(coded["city"], named["city"]):
        problems.append(_contradiction(field, named["city"], coded["city"]))
        coded = {}
    result: dict[str, Any] = {"use": "home", "text": full or _text_of(coded)}
    parts = {element: place.name for element, place in coded.items()} | written
    result |= {name: parts[name] for name in ("line", "city", "district", "state") if name in parts}
    if "state" in parts:
        result["country"] = "VN"
    recognised = named if "city" in named and "city" not in coded else coded or named
    if candidates and "city" not in coded:
        problems.append(_doubt(field, written["city"], candidates))
    problems += _add_codes(result, recognised, field)
    return result, problems


def _parts(full: str) -> dict[str, Any]:
    """city, district, state as written, and the other parts as `line`."""
    parts = [part for part in (part.strip() for part in full.split(",")) if part]
    found: dict[str, Any] = {}
    state = province_name(parts[-1]) if parts else None
    if state:
        found["state"] = state
        parts.pop()
    for name, pattern in (("district", _DISTRICT), ("city", _WARD)):
        if parts and pattern.match(fold(parts[-1])):
            found[name] = parts.pop()
    if parts:
        found["line"] = parts
    return found


class _Codes(NamedTuple):
    """The codes a source sends, and the day on which it did."""

    province: str
    district: str
    ward: str
    as_of: str


def _by_codes(codes: _Codes, written: dict[str, Any]) -> dict[str, Place]:
    """The places that codes name, of the version in which all of them exist inside each other; empty when in none.

    `written` are the parts of the text: it tells the version where the codes exist in both.
    """
    fitting = [found for version in _versions(codes) if (found := _inside(codes, version))]
    agreeing = [found for found in fitting if _agrees(found, written)]
    if codes.ward:
        return next(iter(agreeing or fitting), {})
    if not any("district" in found for found in fitting):
        # A province alone is confirmed by nothing. Seven codes changed their meaning: only the name says which it is.
        meanings = {places.province_key(found["state"].name) for found in fitting}
        if not codes.as_of or (len(meanings) > 1 and "state" not in written):
            return {}
    return next(iter(agreeing), {})


def _versions(codes: _Codes) -> tuple[str, str]:
    """The likelier version first: only the old one has districts."""
    old = codes.district or (codes.as_of and codes.as_of < places.CHANGED)
    return (OLD, NEW) if old else (NEW, OLD)


def _inside(codes: _Codes, version: str) -> dict[str, Place]:
    """The places of a version that the codes name, if each is inside the others; districts are gone from the new one."""
    given = {"city": ("ward", codes.ward), "state": ("province", codes.province)}
    given |= {"district": ("district", codes.district)} if version == OLD else {}
    found = {element: places.places(level, version).get(code) for element, (level, code) in given.items() if code}
    known = {element: place for element, place in found.items() if place is not None}
    if not known or len(known) < len(found) or len({places.province_of(it) for it in known.values()}) > 1:
        return {}
    if "city" in known:
        return _with_parents(known["city"])
    return known | {"state": places.province_of(next(iter(known.values())))}


def _agrees(found: dict[str, Place], written: dict[str, Any]) -> bool:
    """Whether the text, as far as it goes, names the same ward and, where there is no ward, the same province."""
    if "city" in found:
        return "city" not in written or places.key(written["city"]) == places.key(found["city"].name)
    return "state" not in written or places.province_key(written["state"]) == places.province_key(found["state"].name)


def _is_named(coded: Place, named: Place) -> bool:
    """Whether a coded ward is the named one, or one of today that the named one went to, or came from it."""
    return named == coded or coded in places.successors(named) or named in places.successors(coded)


def _by_names(parts: dict[str, Any]) -> tuple[dict[str, Place], tuple[Place, ...]]:
    """The places that the parts name for certain, by element; and the several wards that `city` may mean."""
    if "state" not in parts:
        return {}, ()
    old, new = (places.province(parts["state"], version) for version in (OLD, NEW))
    found: tuple[Place, ...] = ()
    if "city" in parts:
        if "district" in parts:
            inside = places.named("district", OLD, parts["district"], old) if old else ()
            found = places.named("ward", OLD, parts["city"], inside[0]) if len(inside) == 1 else ()
        else:
            found = places.named("ward", NEW, parts["city"], new) if new else ()
            # No ward of today: it may be written without the district that is gone.
            found = found or (places.named("ward", OLD, parts["city"], old) if old else ())
    if len(found) == 1:
        return _with_parents(found[0]), ()
    # A name that both versions have says nothing about which of the two is meant.
    return ({"state": old} if old and not new else {}), found


def _contradiction(field: str, named: Place, coded: Place) -> Problem:
    return problem(
        field,
        coded.code,
        f"Mã địa bàn {coded.code} là {coded.name}, địa chỉ ghi {named.name}; ghi theo địa chỉ",
        f"the code {coded.code} is {coded.name}, the address says {named.name}; the address was taken",
    )


def _are_told(codes: _Codes, named: dict[str, Place]) -> bool:
    """Whether the places that the text names say all that the codes say, if there are any."""
    told = {each.code for place in named.values() for each in (place, *_became(place))}
    return told.issuperset(filter(None, (codes.province, codes.district, codes.ward)))


def _became(place: Place) -> tuple[Place, ...]:
    """What an old ward or province may be today; none for a place of today, and for districts, which are gone."""
    if place.version != OLD or place.level == "district":
        return ()
    if place.level == "ward":
        return tuple(places.successors(place))
    return (places.places("province", NEW)[places.province_became()[place.code]],)


def _unused(field: str, codes: _Codes) -> Problem:
    listed = ", ".join(filter(None, (codes.province, codes.district, codes.ward)))
    return problem(
        field,
        listed,
        f"Mã địa bàn {listed} chưa được ghi: không có trong danh mục, không thuộc về nhau, có thể là nhiều nơi hoặc khác địa chỉ",
        f"the place codes {listed} were not stored: in no list, not inside each other, several places, or not those of the address",
    )


def _with_parents(ward: Place) -> dict[str, Place]:
    found = {"city": ward, "state": places.province_of(ward)}
    if ward.version == OLD:
        found["district"] = places.places("district", OLD)[ward.parent]
    return found


def _text_of(recognised: dict[str, Place]) -> str:
    return ", ".join(recognised[element].name for element in ("city", "district", "state") if element in recognised)


def _add_codes(result: dict[str, Any], recognised: dict[str, Place], field: str) -> list[Problem]:
    """Puts the codes beside the names; what an old ward may have become is told when that is more than one."""
    problems = []
    for element, place in recognised.items():
        if element not in result:
            continue
        codings = [place]
        became = _became(place)
        if len(became) == 1:
            codings.append(became[0])
        elif place.version == OLD and element == "city":
            problems.append(_doubt(field, place.name, became))
        result[f"_{element}"] = {
            "extension": [{"url": systems.PLACE_CODE, "valueCoding": coding(each)} for each in codings]
        }
    return problems


def coding(place: Place) -> dict[str, str]:
    """The Coding of a place, with the version of its system. The name stands beside it in the Address."""
    return {"system": _SYSTEMS[place.level], "version": place.version, "code": place.code}


def _doubt(field: str, name: str, candidates: Iterable[Place]) -> Problem:
    listed = "; ".join(f"{place.name}, {places.province_of(place).name} ({place.code})" for place in candidates)
    return problem(
        field,
        name,
        f"Địa danh có thể là một trong: {listed}. Chưa ghi mã mới",
        f"the place may be one of: {listed}. No code of today was stored",
    )
