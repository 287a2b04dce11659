"""JSON Merge Patch: the patch looks like the resource and holds what shall be different, null for what shall go.

https://www.rfc-editor.org/rfc/rfc7396
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import BadRequest
from ..resource.exact import Resource


def read(value: Any) -> Callable[[Resource], Resource]:
    """The patch in a JSON value. Raises BadRequest unless it is an object."""
    if not isinstance(value, dict):
        raise BadRequest("A JSON Merge Patch for a resource is a JSON object.", code="structure")
    return lambda resource: _merged(resource, value)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    kept = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = _merged(kept.get(name), value)
    return kept
