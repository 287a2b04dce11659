"""Whose record a resource belongs to: one patient, or nobody.

Stricter than the Patient compartment of https://hl7.org/fhir/R4/compartmentdefinition-patient.html, which admits an
allergy by who recorded it: a resource belongs to the patient it is about, and only if it names no other patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from .. import r4
from ..search.parameters import parameters, token_key

# The parameters that say whom a resource is about. The compartment's others say who did, wrote or asked for it.
_ABOUT = ("patient", "subject", "beneficiary")
_PATIENTS = re.compile(rb"\bPatient/([A-Za-z0-9\-.]{1,64})")


def owner_of(resource_type: str, logical_id: str, text: bytes, tokens: Iterable[str], context: str = "") -> str | None:
    """The logical id of the patient whose record the resource is part of.

    `text` is its JSON, `tokens` its index entries, `context` what its securityContext refers to. None when it is about
    no patient, or names several anywhere.
    """
    if resource_type == "Patient":
        return logical_id
    if resource_type == "Binary":
        # Its content cannot be looked into: it belongs to whom its author says that access follows.
        kind, _, id = context.partition("/")
        return id if kind == "Patient" and id and "/" not in id else None
    about = _about(resource_type)
    if not about:
        return None
    subjects = {token.rpartition("/")[2] for token in tokens if token.startswith(about)}
    if len(subjects) != 1:
        return None
    named = {found.decode() for found in _PATIENTS.findall(text)}
    return subjects.pop() if named == subjects else None


@cache
def _about(resource_type: str) -> tuple[str, ...]:
    """The beginnings of the index entries that say whom a resource of this type is about."""
    if resource_type not in r4.compartment("Patient"):
        return ()
    known = parameters(resource_type)
    return tuple(
        sorted(
            token_key(source, "reference") + "Patient/"
            for code in _ABOUT
            if code in known and known[code].type == "reference"
            for source in known[code].sources
        )
    )
