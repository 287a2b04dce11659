"""Who is asking: the AccessContext of an HTTP request.

https://hl7.org/fhir/R4/security.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from ..access.context import AccessContext
from ..config import Config
from ..errors import Forbidden, Unauthorized

_OPEN = AccessContext.unrestricted("open")


def context_of(environ: Mapping[str, Any], config: Config) -> AccessContext:
    """The caller of a request. Raises Unauthorized, or Forbidden for a name that open access does not answer to.

    In open access whoever reaches the loopback interface may do everything, and a page of any web site reaches it by
    letting its own name point there. So the server then answers to local names only, and to its configured one.
    """
    if config.access != "open":
        raise Unauthorized("Log in first: this server takes no requests without an access token.")
    if not _is_own_name(environ.get("HTTP_HOST", ""), config.base_url):
        raise Forbidden("In open access this server answers to local names only: use 127.0.0.1 or localhost.")
    return _OPEN


@lru_cache(maxsize=64)
def _is_own_name(host: str, base_url: str | None) -> bool:
    if base_url and host == urlsplit(base_url).netloc:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
