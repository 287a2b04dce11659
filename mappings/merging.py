"""A newer account of a person over an older one: numbers are never forgotten, facts come from the newest card.

The result depends on what is known and not on the order in which it came, so a file imported twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings import systems

_ROSTER_FACTS = ("name", "telecom", "gender", "birthDate", "address")
# A person has one of each at a time, and they come without dates: the one stated last is current.
_UNDATED = (systems.CCCD, systems.CMND, systems.PASSPORT)


def merge_patient(existing: Mapping[str, Any], incoming: Mapping[str, Any], *, valid_from: str = "") -> dict[str, Any]:
    """The existing Patient brought up to date by the incoming one, whose insurance began on `valid_from`.

    Facts (name, birth date, address...) are taken unless the existing ones came with a newer card; what the incoming
    Patient does not state stays. Identifiers are united.
    """
    newer = not valid_from or (valid_from, _newest_card(incoming)[1] or "~") >= _newest_card(existing)
    merged = dict(existing)
    if newer:
        for element in _ROSTER_FACTS:
            if element in incoming and not _less_precise(element, incoming, existing):
                merged[element] = incoming[element]
    merged["identifier"] = _unite(existing.get("identifier", []), incoming.get("identifier", []), newer)
    return merged


def merge_coverage(existing: Mapping[str, Any], incoming: Mapping[str, Any]) -> dict[str, Any]:
    """The Coverage of one card: the incoming account, unless it tells of a period that ended before the known one."""
    if _ended_before(incoming.get("period", {}), existing.get("period", {})):
        return dict(existing)
    kept = {key: existing[key] for key in ("id", "meta") if key in existing}
    return {**kept, **incoming}


def _less_precise(element: str, incoming: Mapping[str, Any], existing: Mapping[str, Any]) -> bool:
    """A year alone does not overwrite a full birth date of that year, nor "unknown" a known sex."""
    new, old = incoming[element], existing.get(element) or ""
    if element == "birthDate":
        return len(old) > len(new) and old.startswith(new)
    return element == "gender" and new == "unknown" and old != ""


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
