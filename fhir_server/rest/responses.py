"""Answers as HTTP responses: status, headers and bytes, put together in one place and in one go.

https://hl7.org/fhir/R4/http.html#summary
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import Response
from werkzeug.datastructures import Headers

from ..config import Config
from ..errors import NotAcceptable
from . import compression, cors, negotiation, preconditions, presentation
from .call import Answer

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REQUEST_ID_KEY = "fhir_server.request_id"

# Health records must not stay in a cache on the way or on a shared computer.
_ALWAYS = (
    ("Cache-Control", "private, no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Vary", "Accept, Accept-Encoding, Origin"),
)
_CONTENT_TYPES = {form: f"{kind}; charset=utf-8" for form, kind in negotiation.FHIR_TYPES.items()}


class FhirResponse(Response):
    """A response that is sent with exactly the headers `respond` gave it."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: dict[str, Any]) -> Headers:
        """The headers as they are. Werkzeug's own correction of locations and lengths costs a quarter of a read here
        (20 of 78 µs, bare WSGI call without the store) and changes nothing: locations are absolute and plain ASCII."""
        return self.headers


def request_id(environ: dict[str, Any]) -> str:
    """The id this request goes by in the answer and in the log: the client's X-Request-Id when it is a plain one."""
    known: str | None = environ.get(_REQUEST_ID_KEY)
    if known is None:
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        known = sent if _REQUEST_ID.fullmatch(sent) else os.urandom(8).hex()
        environ[_REQUEST_ID_KEY] = known
    return known


def answer_response(answer: Answer, environ: dict[str, Any], base: str, config: Config) -> Response:
    """The HTTP response to a call that was carried out."""
    headers: list[tuple[str, str]] = []
    stored = answer.stored
    if stored is not None:
        headers.append(("ETag", preconditions.etag(stored.version)))
        headers.append(("Last-Modified", preconditions.http_date(stored.updated)))
        if answer.written or answer.status == 200:
            location = f"{base}/{stored.type}/{stored.id}/_history/{stored.version}"
            if answer.written:
                headers.append(("Location", location))
            if answer.body:
                headers.append(("Content-Location", location))
    headers += answer.headers
    if answer.media_type:
        return _send(answer.status, answer.body, answer.media_type, headers, environ, config)
    return respond(answer.status, answer.body, headers, environ, config)


def respond(
    status: int, body: bytes, headers: Sequence[tuple[str, str]], environ: dict[str, Any], config: Config
) -> Response:
    """A response with `headers` and those every FHIR response carries; `body` is FHIR JSON and is sent as it or as XML."""
    wanted = negotiation.presentation(environ)
    if body and wanted is not negotiation.PLAIN:
        try:
            body = presentation.present(body, wanted)
        except NotAcceptable:
            # What was done or refused must be told even if it cannot be told in XML.
            if status < 400 and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
                raise
            wanted = negotiation.PLAIN
    return _send(status, body, _CONTENT_TYPES[wanted.format], headers, environ, config)


def _send(
    status: int,
    body: bytes,
    content_type: str,
    headers: Sequence[tuple[str, str]],
    environ: dict[str, Any],
    config: Config,
) -> Response:
    """The response as it goes out: gzipped when the client takes it."""
    every = [*headers, *_ALWAYS, ("X-Request-Id", request_id(environ))]
    if body:
        every.append(("Content-Type", content_type))
        compressed = compression.compress(body, environ.get("HTTP_ACCEPT_ENCODING"), content_type)
        if compressed is not None:
            every.append(("Content-Encoding", "gzip"))
            body = compressed
    elif status not in (204, 304):
        every.append(("Content-Length", "0"))
    every += cors.headers(environ.get("HTTP_ORIGIN"), config.cors_origins)
    return FhirResponse(body or None, status, every)


def stream_response(pieces: Iterable[bytes], content_type: str, environ: dict[str, Any], config: Config) -> Response:
    """A body that is sent piece by piece, gzipped when the client takes it."""
    every = [*_ALWAYS, ("X-Request-Id", request_id(environ)), ("Content-Type", content_type)]
    if compression.takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        every.append(("Content-Encoding", "gzip"))
        pieces = compression.stream(pieces)
    every += cors.headers(environ.get("HTTP_ORIGIN"), config.cors_origins)
    return FhirResponse(pieces, 200, every)


def preflight_response(environ: Mapping[str, Any], config: Config) -> Response:
    """The answer to OPTIONS: nothing but what other origins may do."""
    headers = cors.preflight_headers(environ.get("HTTP_ORIGIN"), config.cors_origins)
    return FhirResponse(None, 204, [*headers, ("Vary", "Origin")])
