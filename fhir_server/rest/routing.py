"""From a method and an address to the interaction they mean, and the check that every one of them begins with.

https://hl7.org/fhir/R4/http.html#root
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import BadRequest, MethodNotAllowed, NotFound
from . import noting
from .call import WRITES, Answer, Call, Interaction, Service

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


def perform(service: Service, interaction: Interaction, call: Call) -> Answer:
    """Carry the call out once its id is known to be one. Raises a FhirError of any kind."""
    if call.id and not _ID.fullmatch(call.id):
        if interaction.method == "PUT":
            raise BadRequest(
                "The id in the URL must be 1 to 64 letters, digits, '-' and '.'.", expression=(f"{call.type}.id",)
            )
        raise NotFound("There is no resource under this address: an id is 1 to 64 letters, digits, '-' and '.'.")
    noting.note_call(interaction, call)
    if WRITES.intersection(interaction.codes):
        service.repository.refuse_append_only(call.type)
    return interaction.perform(service, call)


def find(
    interactions: Sequence[Interaction], method: str, segments: Sequence[str]
) -> tuple[Interaction, dict[str, str]]:
    """The interaction at an address below the base, with what stands for <type>, <id> and <version>.

    Raises NotFound when no interaction has such an address, MethodNotAllowed when some do with another method.
    """
    allowed: set[str] = set()
    # A path with more fixed parts is the better match: `Patient/_history` is a history and not the read of an id.
    for interaction in sorted(interactions, key=lambda row: row.path.count("<") - row.path.count("$<")):
        values = _match(interaction.path.split("/") if interaction.path else [], segments)
        if values is not None:
            if interaction.method == method:
                return interaction, values
            allowed.add(interaction.method)
    if not allowed:
        raise no_such_address()
    raise not_this_method(sorted(allowed))


def no_such_address() -> NotFound:
    """The refusal of an address that has no meaning here."""
    return NotFound(
        "There is nothing under this address: use <type>, <type>/<id>, their _history, <type>/_search or metadata.",
        code="not-supported",
    )


def not_this_method(allowed: Sequence[str]) -> MethodNotAllowed:
    """The refusal of a method that an address does not take."""
    methods = ", ".join(allowed)
    return MethodNotAllowed(f"This address takes {methods} and no other method.", allow=methods)


def _match(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    values = {}
    for expected, segment in zip(pattern, segments, strict=True):
        fixed, varies, name = expected.partition("<")
        if varies and segment.startswith(fixed):
            values[name.rstrip(">")] = segment[len(fixed) :]
        elif expected != segment:
            return None
    return values
