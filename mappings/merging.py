"""A newer account of a person over an older one: numbers are never forgotten, facts come from the newest card.

The result depends on what is known and not on the order in which it came, so a file imported twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings import systems

_FACTS = ("name", "telecom", "gender", "birthDate", "address", "contact")
# A person has one of each at a time, and they come without dates: the one stated last is current.
_UNDATED = (systems.CCCD, systems.CMND, systems.PASSPORT)
# Who has one of these needs no temporary number any more.
_LASTING = (*_UNDATED, systems.BHYT_CARD, systems.BHXH_NUMBER)


def merge_patient(
    existing: Mapping[str, Any], incoming: Mapping[str, Any], *, valid_from: str = "", today: str = ""
) -> dict[str, Any]:
    """The existing Patient brought up to date by the incoming one, whose insurance began on `valid_from`.

    Facts (name, birth date, address...) are taken unless the existing ones came with a newer card; what the incoming
    Patient does not state stays. Identifiers are united. A temporary number becomes an old one when there is a lasting
    one, and ends `today` where that is told.
    """
    newer = not valid_from or (valid_from, _newest_card(incoming)[1] or "~") >= _newest_card(existing)
    merged = dict(existing)
    if newer:
        for element in _FACTS:
            if element in incoming and not _says_less(element, incoming, existing):
                merged[element] = incoming[element]
    if united := _unite(existing.get("identifier", []), incoming.get("identifier", []), newer):
        merged["identifier"] = _without_need(united, today)
    return _claimed(existing, incoming, merged)


def merge_coverage(existing: Mapping[str, Any], incoming: Mapping[str, Any]) -> dict[str, Any]:
    """The Coverage of one card: the incoming account, unless it tells of a period that ended before the known one."""
    if _ended_before(incoming.get("period", {}), existing.get("period", {})):
        return dict(existing)
    kept = {key: existing[key] for key in ("id", "meta") if key in existing}
    return _claimed(existing, incoming, {**incoming, **kept})


def _claimed(existing: Mapping[str, Any], incoming: Mapping[str, Any], merged: dict[str, Any]) -> dict[str, Any]:
    """The merged resource with the profiles the incoming one names, if anything else is new: not a version for that."""
    known = existing.get("meta", {}).get("profile", [])
    more = [each for each in incoming.get("meta", {}).get("profile", []) if each not in known]
    if not more or merged == existing:
        return merged
    return {**merged, "meta": {**existing.get("meta", {}), "profile": [*known, *more]}}


def _says_less(element: str, incoming: Mapping[str, Any], existing: Mapping[str, Any]) -> bool:
    """A year alone does not overwrite a full birth date of that year, nor "unknown" a known sex, nor one address text
    itself: what else an Address has was read out of the text."""
    if element == "address":
        return _texts(incoming) == _texts(existing)
    new, old = incoming[element], existing.get(element) or ""
    if element == "birthDate":
        return len(old) > len(new) and old.startswith(new)
    return element == "gender" and new == "unknown" and old != ""


def _texts(patient: Mapping[str, Any]) -> list[str]:
    return [each.get("text", "") for each in patient.get("address", ())]


def _unite(existing: list[dict[str, Any]], incoming: list[dict[str, Any]], newer: bool) -> list[dict[str, Any]]:
    united = {(entry.get("system"), entry.get("value")): entry for entry in existing}
    for entry in incoming:
        key = (entry["system"], entry["value"])
        known = united.get(key)
        # A source that knows no period does not erase one, and an ended period does not replace a later one.
        if known is None or ("period" in entry and not _ended_before(entry["period"], known.get("period", {}))):
            united[key] = entry
    latest = max((_start(entry) for entry in united.values() if entry.get("system") == systems.BHYT_CARD), default="")
    # Where the incoming account is the newer one, its numbers are current; else those that were there before it.
    current = {
        entry.get("system"): entry.get("value") for entry in (incoming if newer else existing) if _is_current(entry)
    }
    result = []
    for entry in united.values():
        system = entry.get("system")
        if system == systems.BHYT_CARD:
            entry = {**entry, "use": "old" if _start(entry) < latest else "official"}
        elif system in _UNDATED and system in current:
            entry = {**entry, "use": "official" if entry.get("value") == current[system] else "old"}
        result.append(entry)
    return result


def _without_need(identifiers: list[dict[str, Any]], today: str) -> list[dict[str, Any]]:
    """Temporary numbers become old ones beside a lasting number: whoever wrote one down still finds the person."""
    if not any(entry.get("system") in _LASTING for entry in identifiers):
        return identifiers
    ended = {"end": today} if today else {}
    return [
        {**entry, "use": "old", **({"period": {**entry.get("period", {}), **ended}} if ended else {})}
        if entry.get("system") == systems.TEMPORARY_NUMBER and entry.get("use") != "old"
        else entry
        for entry in identifiers
    ]


def _is_current(identifier: Mapping[str, Any]) -> bool:
    return identifier.get("use") != "old"


def _start(identifier: Mapping[str, Any]) -> str:
    start: str = identifier.get("period", {}).get("start", "")
    return start


def _newest_card(patient: Mapping[str, Any]) -> tuple[str, str]:
    cards = (entry for entry in patient.get("identifier", ()) if entry.get("system") == systems.BHYT_CARD)
    return max(((_start(card), card["value"]) for card in cards), default=("", ""))


def _ended_before(period: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    end, start = period.get("end"), other.get("start")
    return bool(end and start and end < start)
