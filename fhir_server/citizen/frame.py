"""What every page has around it: the language, the hotline, strict headers, errors in plain words, proof of origin."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from fhir_server.errors import FhirError
from fhir_server.translation import LANGUAGES, translate, write_date, write_number

if TYPE_CHECKING:
    from fhir_server.config import Config

log = logging.getLogger(__name__)

FORM_BYTES = 32 * 1024
LANGUAGE_COOKIE_SECONDS = 365 * 24 * 3600
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'; connect-src 'self'; manifest-src 'self'; worker-src 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
ONLY_HTTPS = "max-age=31536000"
"""Browsers that came by https once come by nothing else for a year. https://www.rfc-editor.org/rfc/rfc6797"""
ENTRY_COOKIE, SESSION_COOKIE, LANGUAGE_COOKIE, SIZE_COOKIE = "entry", "citizen", "language", "size"
SIZES = ("1", "2", "3")
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def frame(blueprint: Blueprint, config: Config) -> None:
    """Put the frame around every page of a blueprint."""

    def begin() -> None:
        # A form of a page is small; anything larger is not from our pages.
        request.max_content_length = FORM_BYTES
        asked = request.args.get("lang", "")
        kept = request.cookies.get(LANGUAGE_COOKIE, "")
        g.language = next((language for language in (asked, kept) if language in LANGUAGES), LANGUAGES[0])
        sizes = request.args.get("size", ""), request.cookies.get(SIZE_COOKIE, "")
        g.size = next((size for size in sizes if size in SIZES), SIZES[0])

    def finish(response: Response) -> Response:
        for name, value in PAGE_HEADERS.items():
            response.headers[name] = value
        if served_securely(config):
            response.headers["Strict-Transport-Security"] = ONLY_HTTPS
        if request.endpoint != f"{blueprint.name}.static":
            response.headers["Cache-Control"] = "no-store"
        if request.args.get("lang") == g.get("language"):
            set_cookie(response, config, LANGUAGE_COOKIE, g.language, prefix=False, seconds=LANGUAGE_COOKIE_SECONDS)
        if request.args.get("size") == g.get("size"):
            set_cookie(response, config, SIZE_COOKIE, g.size, prefix=False, seconds=LANGUAGE_COOKIE_SECONDS)
        return response

    def words() -> dict[str, Any]:
        return {
            "t": lambda key, **values: translate(key, g.language, **values),
            "number": lambda value: write_number(value, g.language),
            "day": lambda value: write_date(value, g.language),
            "language": g.language,
            "size": g.size,
            "next_size": SIZES[(SIZES.index(g.size) + 1) % len(SIZES)],
            "trial": config.access == "open",
            "hotline": config.hotline,
            "hotline_link": "tel:" + "".join(sign for sign in config.hotline if sign in "+0123456789"),
        }

    blueprint.before_request(begin)
    blueprint.after_request(finish)
    blueprint.context_processor(words)
    blueprint.register_error_handler(FhirError, refused)
    blueprint.register_error_handler(HTTPException, refused)
    blueprint.register_error_handler(Exception, failed)


def refused(error: FhirError | HTTPException) -> Response:
    """The page for a request that cannot be carried out. What was asked for is not repeated, nor is any detail."""
    status = (error.status if isinstance(error, FhirError) else error.code) or 500
    if status >= 500:
        log.warning("A page was answered with status %d: %s", status, type(error).__name__)
    return problem_page(status, {403: "forbidden", 404: "missing", 410: "missing", 413: "large"}.get(status, "failed"))


def failed(error: Exception) -> Response:
    """The page for a fault of ours. The log is told where it happened, not what was in it: that may be personal."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("A page failed: %s.%s\n%s", type(error).__module__, type(error).__qualname__, where)
    return problem_page(500, "failed")


def problem_page(status: int, kind: str) -> Response:
    """A page that says in plain words what happened and what to do: `problem.<kind>` of the catalogue."""
    return make_response(render_template("citizen/problem.html", kind=kind), status)


def local_only(config: Config) -> Callable[[], Response | None]:
    """What needs no log-in is for trying the server out: shown in open access, to a browser on this very machine.

    The Host header is looked at too, since a web page elsewhere can make its own name point to 127.0.0.1.
    """

    def check() -> Response | None:
        return None if reached_locally(config) else problem_page(403, "closed")

    return check


def reached_locally(config: Config) -> bool:
    """Whether this request may go without a log-in: open access, and from this very machine under its own name."""
    return config.access == "open" and _nearby(config)


def safely_reached(config: Config) -> Callable[[], Response | None]:
    """Pages behind card and PIN: in smart access for everybody over https, else to a browser on this very machine."""

    def check() -> Response | None:
        if (config.access == "smart" and served_securely(config)) or _nearby(config):
            return None
        return problem_page(403, "closed")

    return check


def _nearby(config: Config) -> bool:
    return _loopback(request.remote_addr) and _own_name(request.host, config)


def set_cookie(
    response: Response, config: Config, name: str, value: str, *, prefix: bool = True, seconds: int | None = None
) -> None:
    """A cookie that scripts cannot read and other sites cannot make a browser send."""
    secure = served_securely(config)
    response.set_cookie(
        cookie_name(config, name) if prefix else name,
        value,
        max_age=seconds,
        path="/",
        secure=secure,
        httponly=True,
        samesite="Strict",
    )


def forget_cookie(response: Response, config: Config, name: str) -> None:
    """Have the browser drop one of our cookies."""
    secure = served_securely(config)
    response.delete_cookie(cookie_name(config, name), path="/", secure=secure, httponly=True, samesite="Strict")


def cookie_name(config: Config, name: str) -> str:
    """Under https the browser itself guarantees that only this host set the cookie (prefix `__Host-`)."""
    return f"__Host-{name}" if served_securely(config) else name


def read_cookie(config: Config, name: str) -> str | None:
    """The value of one of our cookies in this request."""
    return request.cookies.get(cookie_name(config, name))


def served_securely(config: Config) -> bool:
    """Whether browsers reach this server by https, perhaps through a proxy that ends TLS."""
    return request.is_secure or (config.public_url or "").startswith("https://")


def page_with_entry_token(config: Config, template: str, status: int = 200, **values: Any) -> Response:
    """A page whose form can be sent before there is a session: the same random value in a cookie and in the form."""
    token = read_cookie(config, ENTRY_COOKIE) or secrets.token_urlsafe(24)
    response = make_response(render_template(template, entry_token=token, **values), status)
    set_cookie(response, config, ENTRY_COOKIE, token)
    return response


def entry_token_matches(config: Config) -> bool:
    """Whether the form was made by this browser's own page (the cookie never comes along from another site)."""
    kept, sent = read_cookie(config, ENTRY_COOKIE), request.form.get("entry_token")
    return bool(kept and sent) and hmac.compare_digest((kept or "").encode(), (sent or "").encode())


def _loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _own_name(host: str, config: Config) -> bool:
    name = urlsplit(f"//{host}").hostname
    return name in LOCAL_NAMES or (name is not None and name == urlsplit(config.public_url or "").hostname)
