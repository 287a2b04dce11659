"""Request bodies: read up to a limit, inflated up to the same limit, parsed exactly.

https://hl7.org/fhir/R4/http.html#mime-type, https://hl7.org/fhir/R4/json.html and https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

import zlib
from typing import Any

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from ..errors import BadRequest, TooLarge, UnsupportedMediaType
from ..resource import exact, xml
from . import negotiation, query
from .call import Pairs

_GZIP = 16 + zlib.MAX_WBITS


def is_sent(environ: dict[str, Any]) -> bool:
    """Whether the request carries a body at all."""
    return environ.get("CONTENT_LENGTH", "") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ


def read_resource(environ: dict[str, Any], limit: int) -> dict[str, Any]:
    """The resource in the body. Raises UnsupportedMediaType, TooLarge (over `limit` bytes) or BadRequest."""
    declared = negotiation.check_resource_type(environ.get("CONTENT_TYPE"))
    data = read_bytes(environ, limit)
    if not data.strip():
        raise BadRequest("The body is empty: send the resource as JSON or XML.", code="required")
    return parse(data, declared)


def parse(data: bytes, declared: negotiation.Format) -> dict[str, Any]:
    """The resource in `data`, in the format it was declared to have. Raises BadRequest."""
    return xml.parse(data) if declared == "xml" else exact.parse(data)


def read_form(environ: dict[str, Any], limit: int) -> Pairs:
    """The parameters in the body of a POST _search; none when there is no body."""
    data = read_bytes(environ, limit)
    if not data:
        return []
    negotiation.check_form_type(environ.get("CONTENT_TYPE"))
    return query.parse(data.decode("latin-1"))


def read_bytes(environ: dict[str, Any], limit: int) -> bytes:
    """The body, inflated when it came gzipped; neither form may be longer than `limit` bytes."""
    try:
        data = get_input_stream(environ, max_content_length=limit).read()
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding in ("gzip", "x-gzip"):
        return _inflate(data, limit)
    raise UnsupportedMediaType("The body may be sent as it is or with Content-Encoding: gzip, in no other encoding.")


def _inflate(data: bytes, limit: int) -> bytes:
    """The content of one gzip member, never holding more than `limit` + 1 bytes of it however small `data` is."""
    inflater = zlib.decompressobj(_GZIP)
    try:
        content = inflater.decompress(data, limit + 1)
    except zlib.error:
        raise BadRequest("The body is declared as gzip and is not.", code="structure") from None
    if len(content) > limit:
        raise _too_large(limit)
    if not inflater.eof:
        raise BadRequest("The gzipped body ends too early.", code="structure")
    if inflater.unused_data:
        raise BadRequest("The gzipped body goes on after its end: send one gzip member.", code="structure")
    return content


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is longer than {limit} bytes: send it in several requests.")
