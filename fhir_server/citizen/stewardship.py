"""The one widening of a citizen's rights: to change the state of what they themselves wrote, after it was looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext


def as_steward(ctx: AccessContext, type: str) -> AccessContext:
    """The citizen as one who may store a new version of records of a type, still named in the audit trail.

    A caller bound to a patient adds, and changes nothing. Whoever asks for this has read the record as the bound
    caller, so that it is theirs, has seen that they wrote it, and changes no more than its state.
    """
    return replace(ctx, patient=None, may_write=frozenset({type}))
