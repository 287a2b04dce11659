"""Who is asking: the AccessContext of an HTTP request, from its access token or, in open access, from where it came.

https://hl7.org/fhir/R4/security.html and
https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html#access-protected-resources
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from flask import Flask, Response, request

from ..access import audit_record, scopes, tokens
from ..access.context import EMERGENCY, PATIENT_REQUEST, TREATMENT, AccessContext
from ..access.documents import hash_of
from ..access.limits import Limit, Standing
from ..access.login import CardLogin
from ..config import Config
from ..epochs import Epoch, Epochs
from ..errors import BadRequest, Forbidden, TooMany, Unauthorized
from . import address, responses

_OPEN = AccessContext.unrestricted("open")
_ANYBODY = AccessContext("anybody", scopes=(), labels=frozenset())
_CALLER = "fhir_server.caller"
# What tells nothing of any record. Everything else below the base needs a token, also what has no address.
_WITHOUT_TOKEN = frozenset({"fhir.GET /metadata", "openapi.show", "smart.discover"})
# Reads and searches, which are answered at once and write nothing.
_AT_ONCE = frozenset({"fhir.GET /<type>/<id>", "fhir.GET /<type>"})
_REMEMBERED = 10_000  # tokens, facilities
_REMEMBERED_SECONDS = 10.0  # at most, should somebody change the database past this server
_BUNDLE = "fhir.POST /"
_BYTES_OF_WEIGHT = 20_000
MAX_REASON = 500
_LIMIT = "fhir_server.limit"


class TokenNeeded(Unauthorized):
    """No token, or none that counts. https://www.rfc-editor.org/rfc/rfc6750#section-3"""

    def __init__(self, diagnostics: str, error: str = "") -> None:
        super().__init__(diagnostics)
        self._error = error

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="fhir"' + (f', error="{self._error}"' if self._error else "")}


def context_of(environ: Mapping[str, Any], config: Config) -> AccessContext:
    """The caller of a request. Raises Unauthorized, or Forbidden for a name that open access does not answer to.

    In open access whoever reaches the loopback interface may do everything, and a page of any web site reaches it by
    letting its own name point there. So the server then answers to local names only, and to its configured one.
    """
    if config.access != "open":
        caller: AccessContext | None = environ.get(_CALLER)
        if caller is None:
            raise TokenNeeded("Log in first: this server takes no requests without an access token.")
        return caller
    if not _is_own_name(environ.get("HTTP_HOST", ""), config.base_url):
        raise Forbidden("In open access this server answers to local names only: use 127.0.0.1 or localhost.")
    return _OPEN


def guard(app: Flask, look_up: LookUp, cards: CardLogin, by_client: Limit, by_address: Limit) -> None:
    """Let nothing below the FHIR base be reached without a token that counts, or beyond the limits."""

    @app.before_request
    def admit() -> None:
        environ, endpoint = request.environ, request.endpoint or ""
        if environ["REQUEST_METHOD"] == "OPTIONS" or endpoint == "smart.discover" or not _is_guarded(request.path):
            return
        weight = weight_of(endpoint, request.content_length or 0 if endpoint == _BUNDLE else 0)
        _spend(by_address, environ.get("REMOTE_ADDR", ""), weight, environ)
        if endpoint in _WITHOUT_TOKEN:
            environ[_CALLER] = _ANYBODY
            return
        secret = _secret(environ.get("HTTP_AUTHORIZATION", ""))
        token = look_up.token(secret)
        if token is not None:
            audit_record.identified(f"client:{token['client']}", token.get("facility"))
        if token is None or not _counts(token, cards.is_in_force):
            raise TokenNeeded("The access token is unknown, over or revoked: ask for another one.", "invalid_token")
        _spend(by_client, token["client"], weight, environ)
        environ[_CALLER] = _caller(token, environ, look_up.denials(token, endpoint))

    @app.after_request
    def tell_limit(response: Response) -> Response:
        standing: Standing | None = request.environ.get(_LIMIT)
        if standing is not None:
            # A refusal brings a Retry-After of its own; to look for what is there costs more than to add.
            tell = response.headers.set if standing.exceeded else response.headers.add
            for name, value in standing.headers:
                tell(name, value)
        return response


@lru_cache(maxsize=512)
def _weight(endpoint: str) -> int:
    method, _, path = endpoint.partition(".")[2].partition(" /")
    if "$" in path or "*" in path or endpoint == _BUNDLE:
        return 10
    if (path.endswith(("_history", "_search", "<type>")) and method != "PUT") or not path:
        return 5 if method == "GET" or path.endswith("_search") else 2
    return 1 if method == "GET" else 2


def weight_of(endpoint: str, length: int) -> int:
    """What a request weighs in the limits: a read 1, a write 2, a search or history 5, a Bundle or operation from 10 on."""
    return _weight(endpoint) + (length // _BYTES_OF_WEIGHT if endpoint == _BUNDLE else 0)


def _is_guarded(path: str) -> bool:
    return path == address.PREFIX or path.startswith(f"{address.PREFIX}/")


def _spend(limit: Limit, caller: str, weight: int, environ: dict[str, Any]) -> None:
    standing = environ[_LIMIT] = limit.spend(caller, weight)
    if standing.exceeded:
        raise TooMany(f"The limit of this {limit.policy} is used up for {standing.reset} seconds.")


class _Known(NamedTuple):
    """What was read, under which epoch, and until when it may be used at most."""

    epoch: Epoch
    until: float
    found: Any


class LookUp:
    """Looks tokens up, and what is hidden from them. What is bound to no patient is remembered, as long as the epoch stands
    that it was read in: what ends a token, and what hides a record, begins another one (fhir_server/epochs.py).
    """

    def __init__(self, database: Any, hiding: Callable[[str | None], tuple[Any, ...]]) -> None:
        self._database = database
        self._epochs = Epochs(database)
        self._hiding = hiding
        self._tokens: dict[str, _Known] = {}
        self._denials: dict[str | None, _Known] = {}

    def token(self, secret: str) -> Mapping[str, Any] | None:
        """The token while it is in force, else None."""
        key = hash_of(secret)
        # The epoch comes first: what is read afterwards is at least as new.
        epoch = self._epochs.present()
        known = self._tokens.get(key)
        if known is not None and _holds(known, epoch):
            return None if tokens.is_over(known.found) else known.found
        token = tokens.find(self._database, secret)
        if token is not None and token.get("patient") is None:
            _remember(self._tokens, key, epoch, token)
        return token

    def denials(self, token: Mapping[str, Any], endpoint: str) -> tuple[Any, ...] | None:
        """What AccessContext.denials is to be; None where the door is to ask for itself."""
        if endpoint not in _AT_ONCE or token.get("patient") is not None or token.get("narrowed"):
            return None
        facility = token.get("facility")
        epoch = self._epochs.present()
        known = self._denials.get(facility)
        if known is None or not _holds(known, epoch):
            known = _remember(self._denials, facility, epoch, self._hiding(facility))
        found: tuple[Any, ...] = known.found
        return found


def _holds(known: _Known, epoch: Epoch) -> bool:
    return known.epoch == epoch and known.until > time.monotonic()


def _remember(memory: dict[Any, _Known], key: Any, epoch: Epoch, found: Any) -> _Known:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    known = memory[key] = _Known(epoch, time.monotonic() + _REMEMBERED_SECONDS, found)
    return known


def _secret(header: str) -> str:
    """The token a request was sent with. Raises TokenNeeded."""
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise TokenNeeded("Log in first: this server takes no requests without an access token.")
    return secret.strip()


def _counts(token: Mapping[str, Any], card_counts: Callable[[str, int], bool]) -> bool:
    # A patient scope that is bound to nobody would be a scope for everybody.
    if token.get("patient") is None and any(each.level == "patient" for each in scopes.parse_all(token["scope"])):
        return False
    return token.get("card") is None or card_counts(token["card"], token["card_version"])


def _caller(token: Mapping[str, Any], environ: dict[str, Any], denials: tuple[Any, ...] | None) -> AccessContext:
    """The caller a token speaks for. Raises Forbidden, BadRequest for what it may not claim."""
    patient = token.get("patient")
    actor = f"client:{token['client']}"
    purpose, reason = _purpose(token, environ)
    return AccessContext(
        actor=actor,
        patient=patient,
        may_write=AccessContext.for_patient(patient, actor).may_write if patient is not None else None,
        scopes=scopes.parse_all(token["scope"]),
        labels=frozenset(token.get("labels", ())),
        facility=token.get("facility"),
        narrowed=bool(token.get("narrowed")),
        purpose=purpose,
        reason=reason,
        origin=environ.get("REMOTE_ADDR", ""),
        request=responses.request_id(environ),
        denials=denials,
    )


def _purpose(token: Mapping[str, Any], environ: Mapping[str, Any]) -> tuple[str, str]:
    """Purpose of use, and the reason for breaking the glass when that is done. Raises Forbidden, BadRequest."""
    if token.get("patient") is not None:
        return PATIENT_REQUEST, ""
    allowed = token.get("purposes") or [TREATMENT]
    claimed = environ.get("HTTP_X_PURPOSE_OF_USE", "").strip()
    if "HTTP_X_BREAK_GLASS_REASON" in environ:
        reason = _reason(environ["HTTP_X_BREAK_GLASS_REASON"])
        if not token.get("break_glass"):
            raise Forbidden("This client may not break the glass (X-Break-Glass-Reason).")
        if claimed not in ("", EMERGENCY):
            raise BadRequest("Whoever breaks the glass does so for the purpose BTG: leave X-Purpose-Of-Use out.")
        return EMERGENCY, reason
    if claimed == EMERGENCY:
        raise BadRequest("To break the glass say why, in X-Break-Glass-Reason.")
    if claimed and claimed not in allowed:
        raise Forbidden(f"This client may claim the purposes {', '.join(allowed)} (X-Purpose-Of-Use).")
    return claimed or allowed[0], ""


def _reason(header: str) -> str:
    """The reason as it was meant: UTF-8 in the header, or percent-encoded. Raises BadRequest."""
    reason = unquote(header.encode("latin-1", "replace").decode("utf-8", "replace")).strip()
    if not 5 <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise BadRequest(f"X-Break-Glass-Reason says why, in 5 to {MAX_REASON} characters.")
    return reason


@lru_cache(maxsize=64)
def _is_own_name(host: str, base_url: str | None) -> bool:
    if base_url and host == urlsplit(base_url).netloc:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
