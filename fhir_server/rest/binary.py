"""Binary by its own content type: the content as bytes, without the resource around it.

https://hl7.org/fhir/R4/binary.html#rest. What is served this way was uploaded by somebody, and comes from the address
that health records come from: a page must never run in it, so it gets a sandbox, and only what cannot run opens in place.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import urlsplit

from ..config import Config
from ..errors import BadRequest, Forbidden, TooLarge, UnsupportedMediaType
from ..repository import Stored
from ..resource import exact
from . import body, negotiation
from .call import Answer, Interaction, Pairs

MAX_CONTENT = 5_000_000
"""Bytes of one Binary. In base64, and kept as text and as a document, more would not fit MongoDB's 16 MB."""

_MEDIA_TYPE = re.compile(
    r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(?:; ?[\w-]{1,60}=(?:[\w.+-]{1,100}|\"[\w .:/+-]{1,100}\"))*", re.ASCII
)
_REFERENCE = re.compile(
    r"(?:https?://[!-~]{1,1000}/)?[A-Z][A-Za-z]{1,60}/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?"
)
_IN_PLACE = frozenset(
    {"application/pdf", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp", "text/plain"}
)
_FORMS = frozenset({negotiation.FORM_TYPE, "multipart/form-data"})
_SANDBOX = (("Content-Security-Policy", "default-src 'none'; sandbox"), ("X-Frame-Options", "DENY"))

# How a body that is a Binary resource begins; everything else is content, whatever it is.
_IS_JSON = re.compile(rb'"resourceType"\s*:\s*"Binary"')
_IS_XML = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*(?:<[?!][^>]*>\s*)*<(?:[\w.-]+:)?Binary[\s>/]")


def is_asked_raw(interaction: Interaction, environ: dict[str, Any], form: Pairs) -> bool:
    """Whether a request about Binary reads one for its content: a read does unless it names a format of FHIR."""
    if not {"read", "vread"} & set(interaction.codes):
        return False
    return "_format" not in dict(form) and not negotiation.names_fhir(environ.get("HTTP_ACCEPT", ""))


def content(stored: Stored) -> Answer:
    """The content of a stored Binary, with the content type it was stored with."""
    resource = exact.reread(stored.json or b"{}")
    declared = resource.get("contentType", "")
    media_type = declared if _MEDIA_TYPE.fullmatch(declared) else "application/octet-stream"
    headers = list(_SANDBOX)
    if media_type.partition(";")[0].lower() not in _IN_PLACE:
        headers.append(("Content-Disposition", f'attachment; filename="{stored.type}-{stored.id}"'))
    context = resource.get("securityContext", {}).get("reference", "")
    if _REFERENCE.fullmatch(context):
        headers.append(("X-Security-Context", context))
    return Answer(200, b64decode(resource.get("data", "")), stored, media_type=media_type, headers=tuple(headers))


def read_resource(environ: dict[str, Any], config: Config, id: str) -> dict[str, Any]:
    """The Binary in a body: the resource when it is one, else a Binary around the bytes.

    `id` is the one in the address, "" when the server chooses it. Raises UnsupportedMediaType, TooLarge, Forbidden, BadRequest.
    """
    declared = " ".join(environ.get("CONTENT_TYPE", "").split())
    data = body.read_bytes(environ, config.max_body_bytes)
    form = negotiation.format_of_body(declared) if declared else None
    if form and (_IS_XML.match(data) if form == "xml" else _IS_JSON.search(data)):
        resource = body.parse(data, form)
        if resource["resourceType"] == "Binary":
            return resource
    _check_upload(environ, config, declared, data)
    resource = {"resourceType": "Binary", "contentType": declared, "data": b64encode(data).decode()}
    if id:
        resource["id"] = id
    if context := environ.get("HTTP_X_SECURITY_CONTEXT"):
        if not _REFERENCE.fullmatch(context):
            raise BadRequest("X-Security-Context must be a reference such as Patient/123.", code="value")
        resource["securityContext"] = {"reference": context}
    return resource


def _check_upload(environ: dict[str, Any], config: Config, declared: str, data: bytes) -> None:
    body.require_length(environ)
    if not _MEDIA_TYPE.fullmatch(declared) or declared.partition(";")[0].lower() in _FORMS:
        raise UnsupportedMediaType("Send the content of a Binary with its Content-Type, such as image/png; no form.")
    if not data:
        raise BadRequest("The body is empty: send the content of the Binary.", code="required")
    if len(data) > MAX_CONTENT:
        raise TooLarge(f"The content of a Binary can have {MAX_CONTENT:,} bytes, and this has more.")
    # A page of another site can have a browser send text/plain without asking first, which FHIR's own types it cannot.
    origin = environ.get("HTTP_ORIGIN")
    if origin and not {origin, "*"} & set(config.cors_origins) and urlsplit(origin).netloc != environ.get("HTTP_HOST"):
        raise Forbidden("Web pages of this origin may not upload content here.")
