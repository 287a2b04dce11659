"""Which format is sent and read: Accept, _format and Content-Type.

https://hl7.org/fhir/R4/http.html#mime-type
"""

from __future__ import annotations

from functools import lru_cache

from ..errors import NotAcceptable, UnsupportedMediaType

FHIR_JSON = "application/fhir+json; charset=utf-8"
"""What is sent to everyone who takes JSON, by whichever of its names they asked for it."""

JSON_TYPES = ("application/fhir+json", "application/json", "text/json")
FORM_TYPE = "application/x-www-form-urlencoded"

# In a query string "+" is a space, and clients forget to escape it.
_FORMATS = frozenset({"json", *JSON_TYPES, "application/fhir json"})
_FHIR_VERSIONS = frozenset({"4.0", "4.0.1"})
_LONGEST_ACCEPT = 1000


def negotiate(accept: str | None, format_parameter: str | None) -> None:
    """Raise NotAcceptable unless the client takes JSON. `_format` wins over the Accept header."""
    if format_parameter is not None:
        if format_parameter.split(";")[0].strip().lower() not in _FORMATS:
            raise NotAcceptable("This server answers in JSON only: use _format=json, or leave _format away.")
    elif accept and not _accepts_json(accept[:_LONGEST_ACCEPT]):
        raise NotAcceptable("This server answers in JSON only: use Accept: application/fhir+json.")


def check_resource_type(content_type: str | None) -> None:
    """Raise UnsupportedMediaType unless the body is declared as FHIR R4 JSON in UTF-8."""
    if not _is_json(content_type or ""):
        raise UnsupportedMediaType(
            "The body must be FHIR R4 JSON in UTF-8: send it with Content-Type: application/fhir+json."
        )


def check_form_type(content_type: str | None) -> None:
    """Raise UnsupportedMediaType unless the body is a URL-encoded form. Multipart forms are never read."""
    if (content_type or "").split(";")[0].strip().lower() != FORM_TYPE:
        raise UnsupportedMediaType(f"The parameters of a _search must be sent with Content-Type: {FORM_TYPE}.")


@lru_cache(maxsize=256)
def _is_json(content_type: str) -> bool:
    kind, parameters = _media_type(content_type)
    return (
        kind in JSON_TYPES
        and parameters.get("charset", "utf-8") in ("utf-8", "utf8")
        and parameters.get("fhirversion", "4.0") in _FHIR_VERSIONS
    )


@lru_cache(maxsize=256)
def _accepts_json(accept: str) -> bool:
    """The rule of RFC 9110: of the ranges that fit a type the most specific one gives its quality."""
    qualities: dict[str, float] = {}
    for media_range in accept.split(","):
        kind, parameters = _media_type(media_range)
        if parameters.get("fhirversion", "4.0") in _FHIR_VERSIONS:
            qualities[kind] = max(qualities.get(kind, 0.0), _quality(parameters.get("q", "1")))
    for kind in JSON_TYPES:
        for media_range in (kind, kind.split("/")[0] + "/*", "*/*"):
            if media_range in qualities:
                if qualities[media_range] > 0:
                    return True
                break
    return False


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    kind, *parameters = text.lower().split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return kind.strip(), {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
