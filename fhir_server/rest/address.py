"""The base address of the service, as the client sees it.

https://hl7.org/fhir/R4/http.html#root
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ..errors import BadRequest

PREFIX = "/fhir"
"""Where the FHIR service lives below the root of the server."""

# What a host may look like. The address goes into JSON and headers unescaped, so nothing else gets past here.
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


def base_of(environ: Mapping[str, Any], configured: str | None) -> str:
    """The configured base address, or else the one the request came to. No final slash. Raises BadRequest."""
    if configured:
        return configured
    return _base(environ["wsgi.url_scheme"], environ.get("HTTP_HOST") or environ["SERVER_NAME"])


@lru_cache(maxsize=64)
def _base(scheme: str, host: str) -> str:
    if not _HOST.fullmatch(host):
        raise BadRequest("The Host header is not a host name with an optional port.", code="value")
    return f"{scheme}://{host}{PREFIX}"
