"""A server with SMART on FHIR, and clients that talk to it over its real HTTP stack with real keys."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwk
from joserfc.jws import JWSRegistry
from werkzeug.test import TestResponse

from fhir_server.access import clients
from fhir_server.access.assertions import TYPE
from fhir_server.access.clients import Registration
from fhir_server.access.context import AccessContext
from fhir_server.citizen.cards import IssuedCard, issue_card
from fhir_server.citizen.pins import set_pin

BASE = "https://fhir.example.vn"
FHIR = f"{BASE}/fhir"
TOKEN = f"{BASE}/auth/token"
CALLBACK = "https://app.example.vn/callback"
PIN = "738215"

# Made once: a new RSA key takes as long as a hundred requests.
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}, private=True)
EC = jwk.ECKey.generate_key("P-384", {"kid": "ec"}, private=True)
STRANGER = jwk.ECKey.generate_key("P-384", {"kid": "ec"}, private=True)
JWKS = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}


def patient(repository: Any, family: str = "Nguyễn") -> str:
    """Store an invented person; the answer is the id."""
    made = repository.create(
        AccessContext.unrestricted("test"),
        "Patient",
        {"resourceType": "Patient", "name": [{"family": family, "given": ["Mẫu"]}], "gender": "female"},
    )
    found: str = made.stored.id
    return found


def assertion(client_id: str, key: Any = EC, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A client assertion that keeps every rule, but for what is given; None leaves a claim or header out.

    A timedelta is a time so far from now.
    """
    now = int(time.time())
    algorithm = "RS384" if isinstance(key, jwk.RSAKey) else "ES384"
    head = {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | (header or {})
    said = {
        "iss": client_id,
        "sub": client_id,
        "aud": TOKEN,
        "exp": now + 240,
        "jti": secrets.token_hex(16),
    } | {
        name: now + int(each.total_seconds()) if isinstance(each, timedelta) else each for name, each in claims.items()
    }
    return signed(
        {name: value for name, value in head.items() if value is not None},
        json.dumps({name: value for name, value in said.items() if value is not None}),
        key,
        algorithm,
    )


def signed(header: dict[str, Any], payload: str, key: Any, algorithm: str) -> str:
    """A compact JWS whose header says what it wants to: the library would not write some of these."""
    text = b".".join(_segment(part.encode()) for part in (json.dumps(header), payload))
    return (text + b"." + _segment(JWSRegistry.algorithms[algorithm].sign(text, key))).decode()


def _segment(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


@dataclass
class World:
    """The server and what is done at it."""

    flask: Flask
    repository: Any
    config: Any
    http: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = self.flask.test_client()

    @property
    def database(self) -> Any:
        return self.repository.store.database

    def register(self, client_id: str, scopes: list[str], **more: Any) -> None:
        clients.register(self.database, Registration(id=client_id, name=f"App {client_id}", scopes=scopes, **more))

    def backend(self, client_id: str, scopes: list[str], **more: Any) -> Backend:
        self.register(client_id, scopes, **{"jwks": JWKS} | more)
        return Backend(self, client_id)

    def app(self, client_id: str, scopes: list[str], **more: Any) -> App:
        self.register(client_id, scopes, redirect_uris=[CALLBACK], **more)
        return App(self, client_id)

    def card(self, patient_id: str, pin: str = PIN) -> IssuedCard:
        card = issue_card(self.repository, AccessContext.unrestricted("test"), patient_id, public_url=BASE)
        set_pin(self.repository, card.id, pin, change=False)
        return card

    def post(self, path: str, form: dict[str, Any], **options: Any) -> TestResponse:
        return self.http.post(path, data=form, base_url=BASE, **options)

    def fhir(self, token: str | None, path: str, method: str = "GET", **headers: str) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return self.http.open(f"/fhir/{path}" if path else "/fhir", method=method, base_url=BASE, headers=sent)


@dataclass
class Backend:
    """A backend service with its keys."""

    world: World
    id: str

    def proof(self, **claims: Any) -> dict[str, str]:
        return {"client_assertion_type": TYPE, "client_assertion": assertion(self.id, **claims)}

    def ask(self, scope: str = "system/*.rs", **form: str) -> TestResponse:
        sent = {"grant_type": "client_credentials", "scope": scope, **self.proof()}
        return self.world.post("/auth/token", {**sent, **form})

    def token(self, scope: str = "system/*.rs") -> str:
        answer = self.ask(scope)
        assert answer.status_code == 200, answer.text
        found: str = answer.json["access_token"]
        return found

    def introspect(self, token: str) -> TestResponse:
        return self.world.post("/auth/introspect", {"token": token, **self.proof()})

    def revoke(self, token: str) -> TestResponse:
        return self.world.post("/auth/revoke", {"token": token, **self.proof()})


@dataclass
class App:
    """An app on somebody's phone, and the person's browser."""

    world: World
    id: str
    scope: str = "launch/patient patient/*.rs offline_access"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def request(self, **changes: str | None) -> dict[str, str]:
        """The parameters of the authorization request; None leaves one out."""
        sent = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": CALLBACK,
            "scope": self.scope,
            "state": "st-98afe1",
            "aud": FHIR,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in sent.items() if value is not None}

    def open(self, **changes: str | None) -> TestResponse:
        return self.world.http.get("/auth/authorize", query_string=self.request(**changes), base_url=BASE)

    def log_in(self, page: TestResponse, card: str, pin: str = PIN, **changes: str) -> TestResponse:
        return self.world.post("/auth/authorize", {**hidden(page), "card": card, "pin": pin, **changes})

    def decide(self, page: TestResponse, decision: str = "allow") -> TestResponse:
        return self.world.post("/auth/authorize", {**hidden(page), "decision": decision})

    def code(self, card: str, **changes: str | None) -> str:
        """Launch from the first page to the code."""
        consent = self.log_in(self.open(**changes), card)
        assert consent.status_code == 200, consent.text
        return told(self.decide(consent))["code"]

    def redeem(self, code: str, **changes: str | None) -> TestResponse:
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": self.id,
            "code_verifier": self.verifier,
        } | changes
        return self.world.post("/auth/token", {name: value for name, value in sent.items() if value is not None})

    def tokens(self, card: str, **changes: str | None) -> dict[str, Any]:
        answer = self.redeem(self.code(card, **changes))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = json.loads(answer.data)
        return found

    def refresh(self, refresh_token: str, **changes: str) -> TestResponse:
        sent = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.id, **changes}
        return self.world.post("/auth/token", sent)


def hidden(page: TestResponse) -> dict[str, str]:
    """The hidden fields of a page's form."""
    from html import unescape

    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    return {name: unescape(value) for name, value in fields}


def told(answer: TestResponse) -> dict[str, str]:
    """What an app is told at its redirect URI."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["Location"]
    assert location.startswith(f"{CALLBACK}?")
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
