"""Patches: a change to a resource, read from one of the three forms that clients write it in.

https://hl7.org/fhir/R4/http.html#patch. A Patch is a function from a resource to the changed one; it never touches the
resource it is given.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from ..errors import BadRequest, Unprocessable, UnsupportedMediaType
from ..resource.exact import Resource, parse_value
from . import fhirpath_patch, json_patch, merge_patch

Patch = Callable[[Resource], Resource]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


def from_text(media_type: str, text: bytes) -> Patch:
    """The JSON Patch or JSON Merge Patch in `text`. Raises UnsupportedMediaType, or BadRequest when it is none."""
    if media_type == JSON_PATCH:
        return json_patch.read(parse_value(text))
    if media_type == MERGE_PATCH:
        return merge_patch.read(parse_value(text))
    raise UnsupportedMediaType(f"A patch is sent as {JSON_PATCH}, as {MERGE_PATCH}, or as a Parameters resource.")


def from_plain_json(text: bytes) -> Patch:
    """The patch in `text` that was declared as nothing but JSON, as fhirpy does: by its shape one of the three forms.

    Raises BadRequest.
    """
    value = parse_value(text)
    if isinstance(value, list):
        return json_patch.read(value)
    if isinstance(value, dict) and value.get("resourceType") in ("Parameters", "Binary"):
        return from_resource(value)
    return merge_patch.read(value)


def from_resource(resource: Any) -> Patch:
    """The patch in a resource: a FHIRPath Patch in Parameters, or the text of another patch in a Binary.

    The Binary is how an entry of a bundle carries it. Raises BadRequest, UnsupportedMediaType.
    """
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind == "Parameters":
        return fhirpath_patch.read(resource)
    if kind != "Binary":
        raise BadRequest("A patch comes as a Parameters resource, or in a bundle also as a Binary.", code="required")
    try:
        text = base64.b64decode(str(resource.get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("The data of the Binary is not base64.", expression=["Binary.data"]) from None
    return from_text(str(resource.get("contentType", "")).partition(";")[0].strip().lower(), text)


def apply(patch: Patch, resource: Resource) -> Resource:
    """The patched resource, not validated yet. Raises Unprocessable when the patch does not fit or changes what only
    the server sets."""
    patched = patch(resource)
    if not isinstance(patched, dict):
        raise Unprocessable("The patch leaves no resource: it must keep the JSON object that it changes.")
    type = resource["resourceType"]
    for name, expression in (("resourceType", type), ("id", f"{type}.id")):
        if patched.get(name) != resource.get(name):
            raise _server_sets(name, expression)
    before, after = resource.get("meta") or {}, patched.get("meta") or {}
    for name in ("versionId", "lastUpdated"):
        if not isinstance(after, dict) or after.get(name) != before.get(name):
            raise _server_sets(f"meta.{name}", f"{type}.meta.{name}")
    kept: Resource = _without_empty_lists(patched)
    return kept


def _server_sets(name: str, expression: str) -> Unprocessable:
    return Unprocessable(f"A patch may not change {name}: the server sets it.", expression=[expression])


def _without_empty_lists(value: Any) -> Any:
    """The value without the lists that a removal has left empty: FHIR writes an empty list by leaving it out."""
    if isinstance(value, dict):
        return {name: _without_empty_lists(inner) for name, inner in value.items() if inner != []}
    if isinstance(value, list):
        return [_without_empty_lists(inner) for inner in value]
    return value
