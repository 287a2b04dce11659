"""The authorization request of an app: read, checked, and refused where it must be refused.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ..config import Config
from . import scopes
from .clients import Client, active_client
from .codes import CHALLENGE
from .endpoints import fhir_base
from .oauth import OAuthError, single

PARAMETERS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "aud",
    "code_challenge",
    "code_challenge_method",
)
MAX_STATE = 2_000


class Untrusted(Exception):
    """Nobody can be told but the person in front of the browser: the app or the address to return to is not known."""


class SentBack(Exception):
    """The app is told at its own address what was wrong."""

    def __init__(self, redirect_uri: str, state: str, error: OAuthError) -> None:
        super().__init__(error.code)
        told = {"error": error.code, "error_description": error.description}
        self.location = return_address(redirect_uri, told | ({"state": state} if state else {}))


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """A request that may be shown to a person. `scope` is what the app would get, `sent` what it sent."""

    client: Client
    redirect_uri: str
    state: str
    challenge: str
    scope: str
    sent: Mapping[str, str]


def read_request(database: Any, config: Config, lists: Mapping[str, list[str]]) -> LaunchRequest:
    """The request in the parameters. Raises Untrusted, SentBack."""
    uris = lists.get("redirect_uri", [])
    ids = lists.get("client_id", [])
    client = active_client(database, ids[0]) if len(ids) == 1 else None
    if client is None or len(uris) != 1 or uris[0] not in client.redirect_uris:
        raise Untrusted
    states = lists.get("state", [])
    try:
        sent = {name: value for name, value in single(lists).items() if name in PARAMETERS}
        return LaunchRequest(
            client, uris[0], sent.get("state", ""), sent.get("code_challenge", ""), _granted(client, config, sent), sent
        )
    except OAuthError as error:
        raise SentBack(uris[0], states[0] if len(states) == 1 else "", error) from None


def _granted(client: Client, config: Config, sent: Mapping[str, str]) -> str:
    """The scopes the app would get. Raises OAuthError."""
    if "response_type" not in sent:
        raise OAuthError("invalid_request", "response_type is missing.")
    if sent["response_type"] != "code":
        raise OAuthError("unsupported_response_type", "response_type must be code.")
    if not 0 < len(sent.get("state", "")) <= MAX_STATE:
        raise OAuthError("invalid_request", "state is needed: a value nobody can guess, new for each launch.")
    if sent.get("aud", "").rstrip("/") != fhir_base(config):
        raise OAuthError("invalid_request", f"aud must be the address of the FHIR service, {fhir_base(config)}")
    if sent.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(sent.get("code_challenge", "")):
        raise OAuthError("invalid_request", "PKCE is needed: code_challenge with code_challenge_method S256.")
    granted = scopes.grant(sent.get("scope", ""), client.scopes, "patient")
    if not scopes.is_resource_scope(granted):
        raise OAuthError("invalid_scope", "None of the scopes is one this app may have: ask for patient/Type.rs.")
    return granted


def return_address(redirect_uri: str, told: Mapping[str, str]) -> str:
    """The address of the app with what it is told."""
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(told)}"
