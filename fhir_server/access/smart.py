"""The authorization server's addresses for clients: discovery, token, introspection and revocation.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#using-well-known,
https://www.rfc-editor.org/rfc/rfc7662 and https://www.rfc-editor.org/rfc/rfc7009
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from ..config import Config
from . import assertions, codes, limits, tokens
from .assertions import Verifier
from .endpoints import AUTHORIZE, INTROSPECT, PREFIX, REVOKE, TOKEN, WELL_KNOWN, endpoint
from .grants import CLIENT_CREDENTIALS, CODE, REFRESH, Grants
from .keys import ALGORITHMS, FetchedKeys
from .limits import Limit
from .login import CardLogin
from .oauth import OAuthError, answer, form_of, refusal

REQUEST_WEIGHT = 10
"""What one request to these addresses weighs in the limit of its network address."""

CAPABILITIES = (
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-asymmetric",
    "context-standalone-patient",
    "permission-offline",
    "permission-patient",
    "permission-v1",
    "permission-v2",
)
SCOPES = ("launch/patient", "offline_access", "patient/*.rs", "patient/*.cruds", "system/*.rs", "system/*.cruds")


def ensure_indexes(database: Any) -> None:
    """Create what the look-ups of this room need."""
    for module in (tokens, codes, assertions, limits):
        module.ensure_indexes(database)


def configuration(config: Config) -> dict[str, Any]:
    """What /.well-known/smart-configuration holds."""
    return {
        "authorization_endpoint": endpoint(config, AUTHORIZE),
        "token_endpoint": endpoint(config, TOKEN),
        "introspection_endpoint": endpoint(config, INTROSPECT),
        "revocation_endpoint": endpoint(config, REVOKE),
        "grant_types_supported": [CODE, CLIENT_CREDENTIALS, REFRESH],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": list(SCOPES),
        "capabilities": list(CAPABILITIES),
    }


def create_blueprint(
    database: Any, config: Config, cards: CardLogin, addresses: Limit, *, fetched: FetchedKeys | None = None
) -> Blueprint:
    """The addresses. `addresses` is the limit of each network address, `fetched` where key sets come from."""
    ensure_indexes(database)
    grants = Grants(database, Verifier(database, endpoint(config, TOKEN), fetched or FetchedKeys()), cards)
    blueprint = Blueprint("smart", __name__)

    @blueprint.before_request
    def within_limit() -> Response | None:
        if request.method == "OPTIONS":
            return None
        standing = addresses.spend(request.remote_addr or "", REQUEST_WEIGHT)
        if not standing.exceeded:
            return None
        refused = refusal(OAuthError("temporarily_unavailable", "Too many requests from this address: wait a little."))
        refused.headers.extend(standing.headers)
        return refused

    @blueprint.errorhandler(OAuthError)
    def refused(error: OAuthError) -> Response:
        return refusal(error)

    @blueprint.errorhandler(HTTPException)
    def unreadable(error: HTTPException) -> Response:
        response = refusal(OAuthError("invalid_request", f"The request was refused: {error.name}."))
        response.status_code = error.code or 400
        return response

    @blueprint.get(WELL_KNOWN)
    @blueprint.get(f"/fhir{WELL_KNOWN}")
    def discover() -> Response:
        return answer(200, configuration(config))

    @blueprint.post(f"{PREFIX}/{TOKEN}")
    def token() -> Response:
        return answer(200, grants.give(_form()))

    @blueprint.post(f"{PREFIX}/{INTROSPECT}")
    def introspect() -> Response:
        form = _form()
        client = grants.client_of(form)
        found = tokens.find(database, form.get("token", ""))
        if found is not None and not (client.introspects or found["client"] == client.id):
            found = None
        if found is not None and not _card_counts(cards, found):
            found = None
        return answer(200, {"active": False} if found is None else _told(found))

    @blueprint.post(f"{PREFIX}/{REVOKE}")
    def revoke() -> Response:
        form = _form()
        client = grants.client_of(form, public=True)
        if "token" not in form:
            raise OAuthError("invalid_request", "token is missing.")
        tokens.revoke(database, form["token"], client.id)
        return answer(200, None)

    return blueprint


def _form() -> Any:
    # Credentials in the header or the address are another way to authenticate, which this server does not offer.
    if request.headers.get("Authorization"):
        raise OAuthError("invalid_client", "Clients prove themselves by client_assertion, not by the header.")
    if request.query_string:
        raise OAuthError("invalid_request", "Parameters belong into the body: addresses end up in logs.")
    return form_of(request)


def _card_counts(cards: CardLogin, found: Any) -> bool:
    return found.get("card") is None or cards.is_in_force(found["card"], found["card_version"])


def _told(found: Any) -> dict[str, Any]:
    """https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html"""
    told = {
        "active": True,
        "scope": found["scope"],
        "client_id": found["client"],
        "token_type": "Bearer",
        "iat": int(found["issued"].timestamp()),
        "exp": int(found["expires"].timestamp()),
    }
    return told | ({"patient": found["patient"]} if found.get("patient") else {})
