"""Where a reference leads, as far as the resource itself tells: into `contained`, or to another entry of its Bundle.

https://hl7.org/fhir/R4/references.html#contained and https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

import re

from fhir_server.resource.profiles import CORE
from fhir_server.resource.profiles_items import Item, Json, root_item

_LITERAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?$")
_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]\.resource")


def reference_type(item: Item) -> str | None:
    """Which type a Reference says it points to; None when it does not say."""
    value = item.value
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("type"), str):
        return str(value["type"]).removeprefix(CORE)
    literal = _LITERAL.search(str(value.get("reference", "")))
    return literal[1] if literal else None


def resolved(item: Item, root: Json) -> Item | None:
    """The resource a Reference in `root` leads to; None when it is not in `root`."""
    reference = item.value.get("reference") if isinstance(item.value, dict) else None
    if not isinstance(reference, str):
        return None
    entry = _ENTRY.match(item.expression)
    if reference.startswith("#"):
        holder = root["entry"][int(entry[1])]["resource"] if entry else root
        held = holder.get("contained", ())
        where = f"{entry[0] if entry else item.expression.partition('.')[0]}.contained"
        wanted = reference[1:]
        found = ((number, each) for number, each in enumerate(held) if each.get("id") == wanted)
        return next((root_item(each, f"{where}[{number}]") for number, each in found), None)
    if entry is None:
        return None
    whole = reference.partition("/_history/")[0]
    if "://" not in whole and not whole.startswith("urn:"):
        base = str(root["entry"][int(entry[1])].get("fullUrl", "")).rsplit("/", 2)
        whole = f"{base[0]}/{whole}" if len(base) == 3 else whole
    for number, each in enumerate(root["entry"]):
        if each.get("fullUrl") == whole and isinstance(each.get("resource"), dict):
            return root_item(each["resource"], f"Bundle.entry[{number}].resource")
    return None
