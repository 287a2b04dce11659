"""The Prefer header: what a write answers with, and whether unknown search parameters are an error.

https://hl7.org/fhir/R4/http.html#ops (return=...) and https://hl7.org/fhir/R4/search.html#errors (handling=...)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Returns = Literal["minimal", "representation", "OperationOutcome"]

_RETURNS: dict[str, Returns] = {
    "minimal": "minimal",
    "representation": "representation",
    "operationoutcome": "OperationOutcome",
}


@dataclass(frozen=True, slots=True)
class Preference:
    """What the client would like; `explicit` is False when it did not say and the default of the interaction holds."""

    returns: Returns = "representation"
    lenient: bool = False
    explicit: bool = False
    respond_async: bool = False
    """Whether the answer may come later: https://hl7.org/fhir/R4/async.html."""


REPRESENTATION = Preference()


@lru_cache(maxsize=128)
def preference(header: str | None) -> Preference:
    """The preference in a Prefer header. What is not understood is ignored, as RFC 7240 wants it."""
    returns: Returns | None = None
    lenient = respond_async = False
    for part in (header or "").replace(";", ",").split(","):
        name, _, value = part.partition("=")
        name, value = name.strip().lower(), value.strip().strip('"').lower()
        if name == "return" and returns is None:
            returns = _RETURNS.get(value)
        elif name == "handling":
            lenient = value == "lenient"
        elif name == "respond-async":
            respond_async = True
    return Preference(returns or "representation", lenient, returns is not None, respond_async)
