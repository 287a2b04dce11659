"""Whether a coded value keeps a binding: https://hl7.org/fhir/R4/terminologies.html#required"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from fhir_server.errors import FhirError
from fhir_server.terminology.expansion import Key
from fhir_server.terminology.service import Terminology

SECONDS = 5.0
"""How long an expansion is kept: bindings are asked for on every write of a resource that names a profile."""
_KEPT = 64


class Bindings:
    """Tells whether values are in value sets. Thread-safe."""

    def __init__(self, terminology: Terminology, clock: Callable[[], float] = monotonic) -> None:
        self._terminology = terminology
        self._clock = clock
        self._expanded: dict[str, tuple[float, frozenset[Key] | None]] = {}

    def forget(self) -> None:
        """Expand anew: a definition has changed."""
        self._expanded.clear()

    def keeps(self, value: Any, kind: str, value_set: str) -> bool | None:
        """Whether one of the value's codes is in the value set; None when the codes of the set cannot be listed."""
        codes = self._codes(value_set)
        if codes is None:
            return None
        if kind == "CodeableConcept":
            codings = value.get("coding", ())
            return any((each.get("system", ""), each.get("code")) in codes for each in codings)
        if isinstance(value, dict):
            return (value.get("system", ""), value.get("code")) in codes
        return any(code == value for _, code in codes)

    def _codes(self, value_set: str) -> frozenset[Key] | None:
        kept = self._expanded.get(value_set)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        try:
            found = frozenset(self._terminology.members(value_set))
        except FhirError:  # not here, not to be listed or too large: the caller says that it was not checked
            found = None
        if len(self._expanded) >= _KEPT:
            self._expanded.clear()
        self._expanded[value_set] = (self._clock() + SECONDS, found)
        return found
