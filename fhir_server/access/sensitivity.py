"""Restricted labels: which records need more than the right to read, and the codes that make the server label them.

https://hl7.org/fhir/R4/security-labels.html. The labels are of v3-ActCode (HIV, PSY, ...) and v3-Confidentiality (R, V).
A label is about the record that carries it; what only refers to that record is not labelled.
"""

from __future__ import annotations

from typing import Any

from .. import r4
from ..resource.exact import dump

Resource = dict[str, Any]

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
RESTRICTED = frozenset({"HIV", "PSY", "ETH", "SUD", "SEX", "STD", "R", "V"})
"""The codes in meta.security that hide a record from whoever was not granted them, whatever their system."""

_ICD10 = frozenset({"http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm"})
_LOINC = "http://loinc.org"
_ATC = "http://www.whocc.no/atc"
_SYSTEMS = tuple(each.encode() for each in ("http://hl7.org/fhir/sid/icd-10", _LOINC, _ATC))
"""What every text of a system begins with."""

# Beginnings of ICD-10 codes: https://icd.who.int/browse10/2019/en
_DISEASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("HIV", ("B20", "B21", "B22", "B23", "B24", "Z21", "R75", "F024", "O987", "Z206", "Z114", "Z717")),
    ("ETH", tuple(f"F1{digit}" for digit in range(10))),
    ("PSY", ("F0", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9")),
    ("SEX", ("O04", "O05", "O06", "O07", "Z303", "Z640", "Z332")),
    ("STD", ("A50", "A51", "A52", "A53", "A54", "A55", "A56", "A57", "A58", "A60", "A63", "A64")),
)
# Tests for HIV: antibodies, antigens, RNA, CD4 counts. https://loinc.org
_TESTS = frozenset(
    {
        *(
            "7917-8",
            "7918-6",
            "7919-4",
            "5220-9",
            "5221-7",
            "5222-5",
            "5223-3",
            "5225-8",
            "14092-1",
            "16974-8",
            "16975-5",
        ),
        *("18396-2", "20447-9", "21331-4", "22357-8", "25835-0", "25836-8", "28004-0", "28052-9", "29327-4", "29541-0"),
        *("29893-5", "30361-0", "31201-7", "33866-5", "35437-3", "35438-1", "35439-9", "38998-1", "40437-6", "40732-0"),
        *("43010-8", "44533-8", "48345-3", "48346-1", "49580-4", "49905-3", "53379-4", "56888-1", "57975-5", "58900-2"),
        *("62469-2", "68961-2", "70241-5", "73905-2", "73906-0", "75622-1", "80203-3", "81641-3", "89374-3", "24467-3"),
    }
)
_MEDICINES = ("J05AE", "J05AF", "J05AG", "J05AJ", "J05AR")  # against HIV


def labelled(resource: Resource) -> Resource:
    """The resource with the restricted labels that its codes ask for in meta.security; itself when it has them."""
    if resource["resourceType"] not in r4.compartment("Patient") or not _names_a_system(resource):
        return resource
    wanted = {label for system, code in _codings(resource) if (label := _label(system, code)) is not None}
    if not wanted:
        return resource
    meta = resource.get("meta", {})
    security = meta.get("security", [])
    missing = wanted - {each.get("code") for each in security}
    if not missing:
        return resource
    added = [*security, *({"system": ACT_CODE, "code": label} for label in sorted(missing))]
    return {**resource, "meta": {**meta, "security": added}}


def restricted(resource: Resource) -> list[str]:
    """The restricted labels that a resource carries."""
    security = resource.get("meta", {}).get("security", ())
    return sorted({each["code"] for each in security if each.get("code") in RESTRICTED})


def _label(system: str, code: str) -> str | None:
    if system in _ICD10:
        plain = code.replace(".", "").upper()
        return next((label for label, beginnings in _DISEASES if plain.startswith(beginnings)), None)
    if (system == _LOINC and code in _TESTS) or (system == _ATC and code.startswith(_MEDICINES)):
        return "HIV"
    return None


def _names_a_system(resource: Resource) -> bool:
    """Whether one of the systems stands anywhere in a resource: asked of every write, and few do."""
    text = dump(resource)
    return any(each in text for each in _SYSTEMS)


def _codings(resource: Resource) -> set[tuple[str, str]]:
    """(system, code) of every coding in a resource, wherever it stands but in its labels."""
    found: set[tuple[str, str]] = set()
    left: list[Any] = [resource]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            system, code = value.get("system"), value.get("code")
            if isinstance(system, str) and isinstance(code, str):
                found.add((system, code))
            left += [each for name, each in value.items() if isinstance(each, dict | list) and name != "meta"]
    return found
