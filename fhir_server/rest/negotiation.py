"""Which format is sent and read: Accept, _format and Content-Type.

https://hl7.org/fhir/R4/http.html#mime-type and https://hl7.org/fhir/R4/http.html#parameters
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

from ..errors import BadRequest, NotAcceptable, UnsupportedMediaType
from . import query
from .call import Pairs

Format = Literal["json", "xml"]

FHIR_TYPES: dict[Format, str] = {"json": "application/fhir+json", "xml": "application/fhir+xml"}

NAMES: dict[Format, tuple[str, ...]] = {
    "json": (FHIR_TYPES["json"], "application/json", "text/json"),
    "xml": (FHIR_TYPES["xml"], "application/xml", "text/xml"),
}
"""The media types a format goes by; the first is what is sent, whichever of them was asked for."""

FORM_TYPE = "application/x-www-form-urlencoded"

_FORMAT_OF: dict[str, Format] = {name: form for form, names in NAMES.items() for name in names}
# In a query string "+" is a space, and clients forget to escape it.
_FORMAT_OF_PARAMETER = _FORMAT_OF | {name.replace("+", " "): form for name, form in _FORMAT_OF.items()}
_FORMAT_OF_PARAMETER |= {"json": "json", "xml": "xml"}
_FHIR_VERSIONS = frozenset({"4.0", "4.0.1"})
_LONGEST_HEADER = 1000


class Presentation(NamedTuple):
    """How an answer is written."""

    format: Format = "json"
    pretty: bool = False


PLAIN = Presentation()
_KEY = "fhir_server.presentation"


def settle(environ: dict[str, Any], form: Pairs) -> None:
    """Decide how every answer to this request is written, refusals that are still to come included.

    `form` are the parameters of the request that choose it. Raises NotAcceptable when the client takes neither format.
    """
    wanted = dict(form) if form else {}
    pretty = wanted.get("_pretty") == "true"
    try:
        environ[_KEY] = _settled(
            environ.get("HTTP_ACCEPT"), wanted.get("_format"), environ.get("CONTENT_TYPE"), pretty=pretty
        )
    except NotAcceptable:
        environ[_KEY] = Presentation("json", pretty)
        raise


def presentation(environ: dict[str, Any]) -> Presentation:
    """What was settled; for a request that was refused before that, what its headers ask for."""
    known: Presentation | None = environ.get(_KEY)
    if known is None:
        try:
            settle(environ, query.split_form(query.parse(environ.get("QUERY_STRING", "")))[1])
        except (NotAcceptable, BadRequest):
            environ.setdefault(_KEY, PLAIN)
        known = environ[_KEY]
    return known


@lru_cache(maxsize=256)
def _settled(
    accept: str | None, format_parameter: str | None, content_type: str | None, *, pretty: bool
) -> Presentation:
    wanted = Presentation(choose(accept, format_parameter, content_type), pretty)
    return PLAIN if wanted == PLAIN else wanted


def choose(accept: str | None, format_parameter: str | None, content_type: str | None = None) -> Format:
    """The format of the answer. `_format` wins over Accept; who asks for nothing gets what they sent. NotAcceptable."""
    if format_parameter is not None:
        chosen = _FORMAT_OF_PARAMETER.get(format_parameter.split(";")[0].strip().lower())
        if chosen is None:
            raise NotAcceptable("Answers come in JSON and XML: use _format=json or _format=xml, or leave it away.")
        return chosen
    if not accept or accept == "*/*":
        return (format_of_body(content_type) if content_type else None) or "json"
    found = _best(accept[:_LONGEST_HEADER])
    if found is None:
        raise NotAcceptable(
            "Answers come in JSON and XML: use Accept: application/fhir+json or Accept: application/fhir+xml."
        )
    return found


@lru_cache(maxsize=256)
def names_fhir(accept: str) -> bool:
    """Whether an Accept header asks for the representation of a resource by its own name, and not for just anything."""
    asked = _qualities(accept[:_LONGEST_HEADER])
    return any(asked.get(kind, 0) > 0 for kind in FHIR_TYPES.values())


@lru_cache(maxsize=256)
def format_of_body(content_type: str) -> Format | None:
    """The format a Content-Type declares; None when it is not FHIR R4 in UTF-8."""
    kind, parameters = media_type(content_type)
    if parameters.get("charset", "utf-8") not in ("utf-8", "utf8"):
        return None
    return _FORMAT_OF.get(kind) if parameters.get("fhirversion", "4.0") in _FHIR_VERSIONS else None


def check_resource_type(content_type: str | None) -> Format:
    """The format of a body. Raises UnsupportedMediaType unless it is declared as FHIR R4 JSON or XML in UTF-8."""
    declared = format_of_body(content_type or "")
    if declared is None:
        raise UnsupportedMediaType(
            "The body must be FHIR R4 in UTF-8: send it with Content-Type: application/fhir+json or "
            "application/fhir+xml."
        )
    return declared


def check_form_type(content_type: str | None) -> None:
    """Raise UnsupportedMediaType unless the body is a URL-encoded form. Multipart forms are never read."""
    if (content_type or "").split(";")[0].strip().lower() != FORM_TYPE:
        raise UnsupportedMediaType(f"The parameters of a _search must be sent with Content-Type: {FORM_TYPE}.")


def media_type(text: str) -> tuple[str, dict[str, str]]:
    """A media type and its parameters, all in lower case."""
    kind, *parameters = text.lower().split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return kind.strip(), {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def _best(accept: str) -> Format | None:
    """The format with the highest quality; of equals the one that is named more precisely, then JSON."""
    asked = _qualities(accept)
    ranked = [(*_quality_of(asked, names), form == "json", form) for form, names in NAMES.items()]
    quality, _, _, chosen = max(ranked)
    return chosen if quality > 0 else None


def _quality_of(asked: dict[str, float], names: tuple[str, ...]) -> tuple[float, int]:
    """The best quality of the names a format goes by, and how precisely it was given.

    The rule of RFC 9110: of the ranges that fit a type the most specific one gives its quality.
    """
    found = []
    for kind in names:
        for precision, media_range in ((2, kind), (1, kind.split("/")[0] + "/*"), (0, "*/*")):
            if media_range in asked:
                found.append((asked[media_range], precision))
                break
    return max(found, default=(0.0, 0))


def _qualities(accept: str) -> dict[str, float]:
    qualities: dict[str, float] = {}
    for media_range in accept.split(","):
        kind, parameters = media_type(media_range)
        if parameters.get("fhirversion", "4.0") in _FHIR_VERSIONS:
            qualities[kind] = max(qualities.get(kind, 0.0), _quality(parameters.get("q", "1")))
    return qualities


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
