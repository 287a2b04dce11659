"""The grants of the token endpoint: what a client has to show for each, and what it gets.

https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html and
https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-access-token
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import assertions, audit_record, clients, codes, scopes, tokens
from .assertions import AssertionRefused, Verifier
from .clients import Client
from .login import CardLogin
from .oauth import OAuthError
from .tokens import Authorization

Form = Mapping[str, str]
CLIENT_CREDENTIALS, CODE, REFRESH = "client_credentials", "authorization_code", "refresh_token"


@dataclass(frozen=True, slots=True)
class Grants:
    """Gives tokens for what a client shows."""

    database: Any
    verifier: Verifier
    cards: CardLogin

    def client_of(self, form: Form, *, public: bool = False) -> Client:
        """The client that sends a form. Raises OAuthError.

        It proves itself by an assertion; a public one, where it may come, only says its client_id.
        """
        assertion, kind = form.get("client_assertion"), form.get("client_assertion_type")
        if assertion is not None or kind is not None:
            if assertion is None or kind != assertions.TYPE:
                raise OAuthError(
                    "invalid_client", f"client_assertion goes with client_assertion_type {assertions.TYPE}"
                )
            try:
                client = self.verifier.client_of(assertion)
            except AssertionRefused as error:
                raise OAuthError("invalid_client", str(error)) from None
            if form.get("client_id", client.id) != client.id:
                raise OAuthError("invalid_client", "client_id is another than the one the assertion is for.")
            audit_record.tried("login", f"client:{client.id}")
            return client
        known = clients.active_client(self.database, form.get("client_id", "")) if public else None
        if known is None or not known.is_public:
            raise OAuthError("invalid_client", "This client must prove itself by a client_assertion (private_key_jwt).")
        audit_record.tried("login", f"client:{known.id}")
        return known

    def give(self, form: Form) -> dict[str, Any]:
        """The token response. Raises OAuthError."""
        kinds: dict[str, Callable[[Form], dict[str, Any]]] = {
            CLIENT_CREDENTIALS: self._for_backend,
            CODE: self._for_code,
            REFRESH: self._for_refresh,
        }
        kind = form.get("grant_type")
        if kind is None:
            raise OAuthError("invalid_request", "grant_type is missing.")
        if kind not in kinds:
            raise OAuthError("unsupported_grant_type", f"grant_type can be {', '.join(kinds)}.")
        return kinds[kind](form)

    def _for_backend(self, form: Form) -> dict[str, Any]:
        client = self.client_of(form)
        granted = scopes.grant(form.get("scope", ""), client.scopes, "system")
        if not scopes.is_resource_scope(granted):
            raise OAuthError("invalid_scope", "None of the scopes is one this client may have: ask for system/Type.rs.")
        return self._issued(client, Authorization.new(" ".join(w for w in granted.split() if scopes.parse(w))))

    def _for_code(self, form: Form) -> dict[str, Any]:
        client = self.client_of(form, public=True)
        code = form.get("code", "")
        given = codes.redeem(
            self.database,
            code,
            client=client.id,
            redirect_uri=form.get("redirect_uri", ""),
            verifier=form.get("code_verifier", ""),
        )
        if given is None or not self._card_counts(given):
            raise OAuthError(
                "invalid_grant", "The code is unknown, over or used, or redirect_uri or code_verifier differ."
            )
        response = self._issued(client, given)
        if not codes.is_remembered(self.database, code):
            raise self._ended(given)
        return response

    def _for_refresh(self, form: Form) -> dict[str, Any]:
        client = self.client_of(form, public=True)
        secret = form.get("refresh_token", "")
        given = tokens.exchange(self.database, secret, client.id)
        if given is None:
            raise OAuthError("invalid_grant", "The refresh token is unknown, over or used before.")
        if not self._card_counts(given):
            raise self._ended(given)
        narrower = given
        if "scope" in form:
            kept = scopes.grant(form["scope"], [given.scope], "patient")
            if not scopes.is_resource_scope(kept):
                raise OAuthError("invalid_scope", "A refresh can ask for no more than was granted.")
            narrower = Authorization(given.family, kept, given.patient, given.card, given.card_version)
        response = self._issued(client, narrower, whole=given)
        if not tokens.is_remembered(self.database, secret):
            raise self._ended(given)
        return response

    def _card_counts(self, given: Authorization) -> bool:
        return (
            given.card is not None
            and given.card_version is not None
            and self.cards.is_in_force(given.card, given.card_version)
        )

    def _ended(self, given: Authorization) -> OAuthError:
        tokens.end_family(self.database, given.family)
        return OAuthError("invalid_grant", "What was granted has ended: ask the person again.")

    def _issued(self, client: Client, given: Authorization, *, whole: Authorization | None = None) -> dict[str, Any]:
        """The response with an access token, and with a refresh token where offline access was granted.

        A refresh token stands for the `whole` of what was granted, also after a narrower access token was asked for.
        """
        response: dict[str, Any] = {
            "access_token": tokens.issue(self.database, client, given),
            "token_type": "Bearer",
            "expires_in": tokens.ACCESS_SECONDS,
            "scope": given.scope,
        }
        whole = whole or given
        if scopes.OFFLINE in whole.scope.split():
            response["refresh_token"] = tokens.issue(self.database, client, whole, tokens.REFRESH)
        if given.patient is not None:
            response["patient"] = given.patient
        # A client that was disabled meanwhile: either its tokens were ended after this one came, or this sees it.
        if not clients.is_unchanged(self.database, client.id, client.version):
            tokens.end_family(self.database, given.family)
            raise OAuthError("invalid_client", "This client was disabled.")
        return response
