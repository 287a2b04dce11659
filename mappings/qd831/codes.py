"""The codes by which both directions of the mapping recognise what QĐ 831 said: one system, codes named after its fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from mappings import systems
from mappings.person import concept
from mappings.qd831.table import FieldRow

Resource = dict[str, Any]
BLOOD = {"NHOMMAU_HEABO": "Nhóm máu ABO", "NHOMMAU_HERH": "Nhóm máu Rh"}
_RH = {"+": "pos", "-": "neg"}
_LARGEST_INTEGER = 2**31 - 1


def item(code: str, text: str = "") -> Resource:
    """A CodeableConcept of our own code, with the text that stood beside it."""
    return concept(systems.HEALTH_RECORD_ITEM, code, text=text)


def own_codes(concept_: Resource | None) -> Iterator[str]:
    """The codes of our own system in a CodeableConcept."""
    for coding in (concept_ or {}).get("coding", ()):
        if coding.get("system") == systems.HEALTH_RECORD_ITEM:
            yield coding.get("code", "")


def after(prefix: str, codes: Iterable[str]) -> str:
    """What follows the prefix in the first code that begins with it; "" where none does."""
    return next((code.removeprefix(prefix) for code in codes if code.startswith(prefix)), "")


def observation_code(row: FieldRow) -> Resource:
    """The code of the Observation of a field: LOINC's where one fits, and always our own."""
    own = {"system": systems.HEALTH_RECORD_ITEM, "code": row.code}
    loinc = [{"system": systems.LOINC, "code": row.loinc, "display": row.display}] if row.loinc else []
    return {"coding": [*loinc, own], "text": BLOOD.get(row.field, row.field)}


def value_of_text(row: FieldRow, text: str) -> Resource:
    """The value[x] of a field's text: a string wherever the text does not have the form of the field's kind."""
    if row.field in BLOOD:
        return {"valueCodeableConcept": concept(systems.BLOOD_GROUP, _RH.get(text, text), text=text)}
    if row.kind == "code":
        return {"valueCodeableConcept": item(f"{row.field}/{text}", text)}
    if row.kind == "flag" and text in ("0", "1"):
        return {"valueBoolean": text == "1"}
    if row.kind == "count" and text.isascii() and text.isdigit() and str(int(text)) == text:
        if int(text) <= _LARGEST_INTEGER:
            return {"valueInteger": int(text)}
    elif row.kind == "number" and (number := decimal(text)) is not None:
        return {"valueQuantity": {"value": number, "unit": row.unit, "system": systems.UCUM, "code": row.unit}}
    return {"valueString": text}


def decimal(text: str) -> Decimal | None:
    """The number of a text with a decimal point or comma; None when it is none."""
    plain = text.replace(",", ".")
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return None
    # What a person writes as a number, and nothing else that Python takes for one.
    return number if plain.isascii() and plain.replace(".", "").isdigit() and len(plain) <= 18 else None


def text_of_value(holder: Resource) -> str:
    """The text of the value[x] of an Observation or component; "" when it has none."""
    if "valueQuantity" in holder:
        value = holder["valueQuantity"].get("value")
        return "" if value is None else str(value)
    if "valueBoolean" in holder:
        return str(int(holder["valueBoolean"]))
    if "valueCodeableConcept" in holder:
        value = holder["valueCodeableConcept"]
        codings: list[Resource] = value.get("coding", [])
        return str(value.get("text") or next((it.get("code", "") for it in codings), ""))
    return str(holder.get("valueString", holder.get("valueInteger", "")))
