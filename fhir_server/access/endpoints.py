"""The addresses of the authorization server, as clients see them.

They follow from the configuration alone and never from the Host header: an assertion is made for one address, and
whoever chooses the header would choose which assertions count.
"""

from __future__ import annotations

from ..config import Config

PREFIX = "/auth"
AUTHORIZE, TOKEN, INTROSPECT, REVOKE = "authorize", "token", "introspect", "revoke"
WELL_KNOWN = "/.well-known/smart-configuration"


def fhir_base(config: Config) -> str:
    """The address of the FHIR service without a final slash: the `aud` of an app launch."""
    return config.base_url or f"{config.public_url}/fhir"


def endpoint(config: Config, name: str) -> str:
    """The address of an endpoint: endpoint(config, TOKEN) is also the `aud` of client assertions."""
    return f"{config.public_url}{PREFIX}/{name}"
