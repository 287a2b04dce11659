"""A slow reading of R4 search, written apart from the server's: FHIRPath by an interpreter, matching value by value.

Only what the tests compare is here. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any

import fhirpathpy
from fhirpathpy.models import models

from fhir_server import r4

VIETNAM = timezone(timedelta(hours=7))


@cache
def _compiled(expression: str) -> Any:
    return fhirpathpy.compile(expression, model=models["r4"])


def values(resource: dict[str, Any], code: str) -> list[Any]:
    """What the official expression of a parameter selects in a resource."""
    resource_type = resource["resourceType"]
    expression = r4.search_parameters(resource_type)[code].expressions[resource_type]
    expression = re.sub(r"^(Domain)?Resource\b", resource_type, expression)
    target = re.search(r"\.where\(resolve\(\) is (\w+)\)", expression)
    expression = re.sub(r"\.where\(resolve\(\) is \w+\)", "", expression)
    # `as` takes a single item only; the parameters mean it of each item, which is ofType.
    expression = re.sub(r"\(([\w.]+) as (\w+)\)", r"\1.ofType(\2)", expression).replace(".as(", ".ofType(")
    # The union of FHIRPath drops equal values (1.0 and 1.00); the parts are taken one by one.
    found = [each for part in expression.split(" | ") for each in _compiled(part)(resource)]
    if target:
        found = [each for each in found if f"{target.group(1)}/" in each.get("reference", "")]
    return found


def plain(text: str) -> str:
    """A text as string search compares it."""
    bare = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    return " ".join(bare.replace("đ", "d").split())


def strings(value: Any) -> list[str]:
    """The texts in a string, HumanName or Address."""
    if isinstance(value, str):
        return [value]
    names = ["text", "family", "line", "city", "district", "state", "postalCode", "country"]
    lists = [*value.get("given", []), *value.get("prefix", []), *value.get("suffix", []), *value.get("line", [])]
    return [value[name] for name in names if isinstance(value.get(name), str)] + lists


def string_matches(value: Any, sought: str) -> bool:
    """Whether a word of the value begins what is sought."""
    for text in strings(value):
        words = plain(text).split(" ")
        if any(" ".join(words[start:]).startswith(plain(sought)) for start in range(len(words))):
            return True
    return False


def token_pairs(value: Any) -> list[tuple[str | None, str | None]]:
    """(system, code) of a token value."""
    if isinstance(value, bool):
        return [(None, str(value).lower())]
    if not isinstance(value, dict):
        return [(None, str(value))]
    if "coding" in value:
        return [(each.get("system"), each.get("code")) for each in value["coding"]]
    return [(value.get("system"), value.get("code", value.get("value")))]


def token_matches(value: Any, sought: str) -> bool:
    """code, system|code, |code or system|."""
    for system, code in token_pairs(value):
        if "|" not in sought:
            matched = code == sought
        else:
            wanted_system, wanted_code = sought.split("|")
            matched = (system or "") == wanted_system and (not wanted_code or code == wanted_code)
        if matched:
            return True
    return False


def span(text: str) -> tuple[datetime, datetime]:
    """The first instant a date covers, and the first one after it."""
    if len(text) == 4:
        start = datetime(int(text), 1, 1, tzinfo=VIETNAM)
        return start, start.replace(year=start.year + 1)
    if len(text) == 7:
        start = datetime(int(text[:4]), int(text[5:]), 1, tzinfo=VIETNAM)
        return start, (start + timedelta(days=32)).replace(day=1)
    if len(text) == 10:
        start = datetime.fromisoformat(text).replace(tzinfo=VIETNAM)
        return start, start + timedelta(days=1)
    start = datetime.fromisoformat(text)
    return start, start + (timedelta(milliseconds=1) if "." in text else timedelta(seconds=1))


def date_matches(value: Any, sought: str) -> bool:
    """A date, dateTime or Period against a searched date with its prefix."""
    if isinstance(value, dict):
        low = span(value["start"])[0] if "start" in value else datetime.min.replace(tzinfo=UTC)
        high = span(value["end"])[1] if "end" in value else datetime.max.replace(tzinfo=UTC)
    else:
        low, high = span(value)
    prefix = sought[:2] if sought[:2].isalpha() else "eq"
    start, end = span(sought.removeprefix(prefix))
    inside = start <= low and high <= end
    return {
        "eq": inside,
        "ne": not inside,
        "gt": high > end,
        "lt": low < start,
        "ge": high > end or inside,
        "le": low < start or inside,
        "sa": low >= end,
        "eb": high <= start,
    }[prefix]


IN_GRAMS = {"kg": Decimal(1000), "g": Decimal(1)}


def quantity_matches(value: Any, sought: str) -> bool:
    """A Quantity against number, number|system|code or number||unit with its prefix."""
    amount, *unit = sought.split("|")
    prefix = amount[:2] if amount[:2].isalpha() else "eq"
    number = Decimal(amount.removeprefix(prefix))
    held = Decimal(str(value["value"]))
    if unit:
        system, code = unit
        if system and value.get("system") != system:
            return False
        held_in, sought_in = IN_GRAMS.get(value.get("code")), IN_GRAMS.get(code)
        if system and held_in and sought_in:
            held = held * held_in / sought_in
        elif code not in (value.get("code"), None if system else value.get("unit")):
            return False
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    half = Decimal(5).scaleb(exponent - 1)
    inside = number - half <= held < number + half
    return {
        "eq": inside,
        "ne": not inside,
        "gt": held > number,
        "lt": held < number,
        "ge": held >= number,
        "le": held <= number,
        "sa": held > number,
        "eb": held < number,
    }[prefix]


def parameter_type(resource_type: str, code: str) -> str:
    return r4.search_parameters(resource_type)[code].type


def exactly(value: Any, sought: str) -> bool:
    return sought in strings(value)


def contains(value: Any, sought: str) -> bool:
    return any(plain(sought) in plain(text) for text in strings(value))


def reference_matches(value: Any, sought: str) -> bool:
    return bool(value.get("reference") == sought)


def contained_values(resource: dict[str, Any], resource_type: str) -> list[dict[str, Any]]:
    """What a resource contains of a type."""
    return [each for each in resource.get("contained", []) if each["resourceType"] == resource_type]
