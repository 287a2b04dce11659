"""Request bodies: read whole or not at all, up to a limit, inflated up to the same limit, parsed exactly.

https://hl7.org/fhir/R4/http.html#mime-type, https://hl7.org/fhir/R4/json.html and https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wsgi import get_content_length

from ..errors import BadRequest, LengthRequired, TooLarge, UnsupportedMediaType
from ..resource import exact, xml
from . import negotiation, query
from .call import Pairs

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1 << 20


def only_whole(application: WSGIApplication) -> WSGIApplication:
    """The application, to which a body that ends before its Content-Length is an error, whoever reads it.

    The server says of every body that it ends by itself (wsgi.input_terminated), of one that a client broke off too.
    """

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if get_content_length(environ) is not None:  # of one in chunks no length counts
            environ.pop("wsgi.input_terminated", None)
        return application(environ, start_response)

    return guarded


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
    """The body, inflated when it came gzipped; neither form may be longer than `limit` bytes.

    Of one that came in chunks the server does not tell whether the last chunk is the last: who reads what does not show
    its own end calls `require_length` too.
    """
    data = _received(environ, limit)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding in ("gzip", "x-gzip"):
        return _inflate(data, limit)
    raise UnsupportedMediaType("The body may be sent as it is or with Content-Encoding: gzip, in no other encoding.")


def require_length(environ: dict[str, Any]) -> None:
    """Raises LengthRequired for a body of which nobody could tell that it was broken off."""
    if get_content_length(environ) is None and not environ.get("HTTP_CONTENT_ENCODING"):
        raise LengthRequired(
            "Send content as it is with its Content-Length, not in chunks: what is cut must be noticed."
        )


def _received(environ: dict[str, Any], limit: int) -> bytes:
    """The bytes that were sent. Raises TooLarge, BadRequest for fewer than were announced."""
    announced = get_content_length(environ)
    if not is_sent(environ):
        return b""
    if announced is not None and announced > limit:
        raise _too_large(limit)
    wanted = limit + 1 if announced is None else announced
    data = bytearray()
    while len(data) < wanted and (piece := environ["wsgi.input"].read(min(_PIECE, wanted - len(data)))):
        data += piece
    if len(data) > limit:
        raise _too_large(limit)
    if announced is not None and len(data) < announced:
        raise BadRequest("The body ended before its Content-Length: send it again.", code="structure")
    return bytes(data)


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
