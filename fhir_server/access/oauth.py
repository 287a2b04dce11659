"""Requests and answers of OAuth: the parameters of a form, errors in its JSON, and nothing that stays in a cache.

https://www.rfc-editor.org/rfc/rfc6749#section-5
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Request, Response

FORM_BYTES = 32 * 1024
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}

_STATUS = {"invalid_client": 401, "temporarily_unavailable": 429, "server_error": 500}


class OAuthError(Exception):
    """A refusal: one of the error codes of OAuth, and a sentence for the developer of the client."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code, self.description = code, description
        self.status = _STATUS.get(code, 400)


def form_of(request: Request) -> Mapping[str, str]:
    """The parameters of a form, each at most once; empty ones count as left out. Raises OAuthError."""
    request.max_content_length = FORM_BYTES
    if request.mimetype != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "Send the parameters as application/x-www-form-urlencoded.")
    return single(request.form.to_dict(flat=False))


def single(lists: Mapping[str, list[str]]) -> Mapping[str, str]:
    """Parameters of which none comes twice (https://www.rfc-editor.org/rfc/rfc6749#section-3.1). Raises OAuthError."""
    doubled = [name for name, values in lists.items() if len(values) > 1]
    if doubled:
        raise OAuthError("invalid_request", "A parameter was sent more than once.")
    return {name: values[0] for name, values in lists.items() if values and values[0]}


def answer(status: int, content: Mapping[str, Any] | None) -> Response:
    """An answer of the token endpoint."""
    body = b"" if content is None else json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, dict(NO_STORE), mimetype="application/json")


def refusal(error: OAuthError) -> Response:
    """The answer to what was refused."""
    response = answer(error.status, {"error": error.code, "error_description": error.description})
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="token"'
    return response
