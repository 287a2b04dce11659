"""The pages of an app launch: the card and its PIN, then what the app asks for, and the way back to the app.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code. The application puts the frame
of the citizens' pages around them, with its headers, languages and errors in plain words.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, g, make_response, render_template, request

from ..config import Config
from ..errors import TooMany
from ..translation import translate
from . import codes, scopes
from .documents import new_secret
from .endpoints import AUTHORIZE, PREFIX
from .launch_request import LaunchRequest, SentBack, Untrusted, read_request, return_address
from .limits import Limit
from .login import CardLogin
from .oauth import OAuthError
from .tokens import Authorization

PAGE_WEIGHT = 10
_NAMED = ("AllergyIntolerance", "Condition", "Coverage", "Encounter", "Observation", "Patient")


def create_blueprint(
    database: Any, config: Config, cards: CardLogin, addresses: Limit, frame: Callable[[Blueprint, Config], None]
) -> Blueprint:
    """The pages. `addresses` is the limit of each network address, `frame` puts around them what all pages have."""
    blueprint = Blueprint("launch", __name__, template_folder="templates", url_prefix=PREFIX)
    launches = _Launches(database, config, cards)

    @blueprint.after_request
    def let_forms_lead_to_the_app(response: Response) -> Response:
        # Browsers hold form-action against where a form's answer redirects to as well.
        if target := g.get("form_target"):
            policy = response.headers.get("Content-Security-Policy", "")
            response.headers["Content-Security-Policy"] = policy.replace(
                "form-action 'self'", f"form-action 'self' {target}"
            )
        return response

    # After let_forms_lead_to_the_app, since what is registered later works on the answer earlier.
    frame(blueprint, config)

    @blueprint.before_request
    def within_limit() -> None:
        if addresses.spend(request.remote_addr or "", PAGE_WEIGHT).exceeded:
            raise TooMany("Too many requests from this address: wait a little.")

    @blueprint.errorhandler(Untrusted)
    def untrusted(_: Untrusted) -> Response:
        return make_response(render_template("access/refused.html", message="app.unknown"), 400)

    @blueprint.errorhandler(SentBack)
    def sent_back(error: SentBack) -> Response:
        return _redirect(error.location)

    @blueprint.get(f"/{AUTHORIZE}")
    def ask() -> Response:
        return launches.ask(read_request(database, config, request.args.to_dict(flat=False)))

    @blueprint.post(f"/{AUTHORIZE}")
    def go_on() -> Response:
        steps = {"log-in": launches.log_in, "decide": launches.decide}
        step = steps.get(request.form.get("step", ""))
        if step is not None:
            return step()
        return launches.ask(read_request(database, config, request.form.to_dict(flat=False)))

    return blueprint


class _Launches:
    """The steps of a launch."""

    def __init__(self, database: Any, config: Config, cards: CardLogin) -> None:
        self._database, self._config, self._cards = database, config, cards
        self._secure = config.public_url.startswith("https://")
        self._cookie = "__Host-launch" if self._secure else "launch"

    def ask(self, asked: LaunchRequest, message: str | None = None, status: int = 200) -> Response:
        """The page that asks for card and PIN."""
        secret = request.cookies.get(self._cookie) or new_secret()
        other = "en" if g.language == "vi" else "vi"
        page = render_template(
            "access/log_in.html",
            app=asked.client.name,
            sent=asked.sent,
            other_language=f"{PREFIX}/{AUTHORIZE}?{urlencode({**asked.sent, 'lang': other})}",
            message=message,
            form_token=_form_token(secret, "log-in"),
        )
        return self._page(page, secret, asked.redirect_uri, status)

    def log_in(self) -> Response:
        """Card and PIN were sent: the page that asks for consent, or the question again."""
        sent = {
            name: values for name, values in request.form.to_dict(flat=False).items() if name not in ("card", "pin")
        }
        asked = read_request(self._database, self._config, sent)
        if not self._is_own_form("log-in"):
            return self.ask(asked, "app.again", 400)
        person = self._cards.log_in(
            request.form.get("card", ""), request.form.get("pin", ""), request.remote_addr or ""
        )
        if person is None:
            return self.ask(asked, "app.wrong", 403)
        given = Authorization.new(
            asked.scope, patient=person.patient, card=person.card, card_version=person.card_version
        )
        # A new secret after the log-in: whoever placed the old cookie gains nothing.
        secret = codes.await_consent(
            self._database,
            given,
            client=asked.client.id,
            redirect_uri=asked.redirect_uri,
            state=asked.state,
            challenge=asked.challenge,
        )
        page = render_template(
            "access/consent.html",
            app=asked.client.name,
            returns_to=urlsplit(asked.redirect_uri).hostname or urlsplit(asked.redirect_uri).scheme,
            rights=_rights(asked.scope),
            form_token=_form_token(secret, "decide"),
        )
        return self._page(page, secret, asked.redirect_uri, 200)

    def decide(self) -> Response:
        """The person has agreed or refused: back to the app with a code or without."""
        secret = request.cookies.get(self._cookie, "")
        launch = codes.decide(self._database, secret) if self._is_own_form("decide") else None
        if launch is None:
            return make_response(render_template("access/refused.html", message="app.over"), 400)
        if request.form.get("decision") != "allow":
            raise SentBack(launch.redirect_uri, launch.state, OAuthError("access_denied", "The person did not agree."))
        told = {"code": codes.issue_code(self._database, launch), "state": launch.state}
        response = _redirect(return_address(launch.redirect_uri, told))
        response.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="Strict")
        return response

    def _page(self, page: str, secret: str, redirect_uri: str, status: int) -> Response:
        g.form_target = _origin(redirect_uri)
        response = make_response(page, status)
        response.set_cookie(
            self._cookie, secret, path="/", secure=self._secure, httponly=True, samesite="Strict", max_age=900
        )
        return response

    def _is_own_form(self, step: str) -> bool:
        kept, sent = request.cookies.get(self._cookie, ""), request.form.get("form_token", "")
        return bool(kept) and hmac.compare_digest(_form_token(kept, step).encode(), sent.encode())


def _form_token(secret: str, step: str) -> str:
    """What a form must carry to count as sent from our own page of this step."""
    return hmac.new(secret.encode(), step.encode(), hashlib.sha256).hexdigest()


def _redirect(location: str) -> Response:
    return Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})


def _origin(uri: str) -> str:
    """What a Content-Security-Policy calls the address: its origin, or the scheme of an app's own."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def _rights(scope: str) -> list[dict[str, str]]:
    """What scopes mean, in Vietnamese and in English."""
    meanings: list[dict[str, str]] = []
    for each in scopes.parse_all(scope):
        if each.interactions & set("rs"):
            meanings.append(_in_both("app.see", each))
        if each.interactions & set("cud"):
            meanings.append(_in_both("app.change", each))
    if scopes.OFFLINE in scope.split():
        meanings.append({language: translate("app.offline", language) for language in ("vi", "en")})
    return [each for at, each in enumerate(meanings) if each not in meanings[:at]]


def _in_both(key: str, scope: scopes.Scope) -> dict[str, str]:
    def said(language: str) -> str:
        if scope.type == "*":
            what = translate("app.everything", language)
        elif scope.type in _NAMED:
            what = translate(f"app.kind.{scope.type}", language)
        else:
            what = scope.type
        return translate(key, language, what=what) + (translate("app.part", language) if scope.query else "")

    return {language: said(language) for language in ("vi", "en")}
