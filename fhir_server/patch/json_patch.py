"""JSON Patch: a list of operations on JSON Pointers.

https://www.rfc-editor.org/rfc/rfc6902
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import jsonpatch

from ..errors import BadRequest, TooLarge, Unprocessable
from ..resource.exact import Resource, dump

MAX_OPERATIONS = 1_000
MAX_BYTES = 16_000_000
"""A copy of the whole into itself, forty times over, would be 2^40 times the resource."""

_NEEDED = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "from"),
    "copy": ("path", "from"),
    "test": ("path", "value"),
}


def read(value: Any) -> Callable[[Resource], Resource]:
    """The patch in a JSON value. Raises BadRequest when it is no list of operations, naming the one that is wrong."""
    if not isinstance(value, list) or not value:
        raise BadRequest("A JSON Patch is a JSON array of operations.", code="structure")
    if len(value) > MAX_OPERATIONS:
        raise TooLarge(f"A JSON Patch may hold at most {MAX_OPERATIONS} operations.")
    for number, operation in enumerate(value):
        _check(number, operation)

    def patch(resource: Resource) -> Resource:
        document: Any = deepcopy(resource)
        for number, operation in enumerate(value):
            document = _applied(number, operation, document)
        return document

    return patch


def _check(number: int, operation: Any) -> None:
    if not isinstance(operation, dict) or operation.get("op") not in _NEEDED:
        raise BadRequest(f"Operation {number} of the patch needs an op: one of {', '.join(_NEEDED)}.")
    for name in _NEEDED[operation["op"]]:
        if name not in operation:
            raise BadRequest(f"Operation {number} of the patch ({operation['op']}) needs '{name}'.", code="required")
    for name in ("path", "from"):
        pointer = operation.get(name, "")
        if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
            raise BadRequest(f"The {name} of operation {number} is not a JSON Pointer such as /name/0/family.")


def _applied(number: int, operation: dict[str, Any], document: Any) -> Any:
    kind, path = operation["op"], operation["path"]
    try:
        if kind == "test":
            # The library takes true for 1, as Python does.
            found = jsonpatch.JsonPointer(path).resolve(document)
            if found != operation["value"] or isinstance(found, bool) != isinstance(operation["value"], bool):
                raise Unprocessable(f"Operation {number} of the patch: the value at {_shown(path)} is another one.")
            return document
        document = jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError, ValueError):
        # What the library says may quote the record.
        raise Unprocessable(f"Operation {number} of the patch: {kind} does not fit at {_shown(path)}.") from None
    if kind == "copy" and len(dump(document)) > MAX_BYTES:
        raise TooLarge(f"Operation {number} of the patch makes the resource larger than can be stored.")
    return document


def _shown(pointer: str) -> str:
    return f"'{pointer[:80]}'"
