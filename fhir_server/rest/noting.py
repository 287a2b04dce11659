"""What the audit trail is told of an interaction before the door sees it: which one it is, on what, and who asks."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from ..access import audit_record
from .call import Call, Interaction


def note_interaction(interaction: Interaction, values: dict[str, str], query: str = "") -> None:
    """Note an interaction at an address. `query` is how the parameters stand in the URL."""
    kind = _kind(interaction, values)
    if audit_record.current() is None or kind == "capabilities":
        return
    path = _path(values)
    searched = f"{path}?{query}" if query or kind.startswith("search") else ""
    audit_record.asked(kind, _address(values), searched, values.get("operation", ""))


def note_call(interaction: Interaction, call: Call) -> None:
    """The same once the request is read: with the parameters of its body too, and with the caller."""
    if audit_record.current() is None:
        return
    values: dict[str, Any] = {
        name: getattr(call, name) for name in ("compartment", "type", "id", "version", "operation")
    }
    note_interaction(interaction, values, urlencode(call.query))
    if call.resource is not None and "batch" in interaction.codes:
        audit_record.asked("batch" if call.resource.get("type") == "batch" else "transaction")
    audit_record.caller(call.context)


def _kind(interaction: Interaction, values: dict[str, str]) -> str:
    """The R4 code, where the table has one; the others are searches in compartments, and operations."""
    if interaction.codes:
        return "transaction" if interaction.codes == ("batch", "transaction") else interaction.codes[0]
    return "operation" if values.get("operation") else "search-type"


def _address(values: dict[str, str]) -> str:
    type, id = values.get("compartment") or values.get("type", ""), values.get("id", "")
    return f"{type}/{id}" if id else type


def _path(values: dict[str, str]) -> str:
    compartment, type, id = (values.get(name, "") for name in ("compartment", "type", "id"))
    if compartment:
        return f"{compartment}/{id}/{type or '*'}"
    operation = values.get("operation", "")
    return "/".join(part for part in (type, id, f"${operation}" if operation else "") if part)
