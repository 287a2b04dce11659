"""The web application: FHIR at /fhir, the pages of citizens and staff, /health, and what becomes of failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from .access import audit_border, audit_record, authorize, smart
from .access.audit_spool import Spool
from .access.limits import Limit
from .citizen import health_link_service, pages
from .citizen.card_login import CardHolders
from .citizen.frame import frame
from .config import Config
from .desk import pages as desk_pages
from .desk import start
from .errors import FhirError
from .intake import clinic_calls, resident_calls
from .intake.gateway import adapters, province
from .repository import Repository
from .rest import access, address, blueprint, body, bundles, cors, export_status, openapi, responses
from .rest.errors import from_framework, unexpected
from .rest.interactions import INTERACTIONS


class _Application(Flask):
    """Flask without a single async function, which it would otherwise look for at every call of every hook and view."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(repository: Repository, *, config: Config) -> Flask:
    """The WSGI application that serves the records behind `repository`."""
    app = _Application("fhir_server", static_folder=None)
    # A doubled slash is a wrong address, not one to redirect from.
    app.url_map.merge_slashes = False
    app.wsgi_app = body.only_whole(app.wsgi_app)  # type: ignore[assignment,method-assign]  # as Flask's manual says
    if config.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=config.proxies, x_proto=config.proxies)  # type: ignore[method-assign]  # as Flask's manual says
    if config.audit:
        repository.seal_audit_trail()
        audit_border.watch(app, Spool(config.audit_spool), responses.request_id)
    if config.access == "smart":
        _add_smart(app, repository, config)
    app.register_blueprint(blueprint.create_blueprint(repository, config))
    app.register_blueprint(export_status.create_blueprint(repository, config))
    app.register_blueprint(openapi.create_blueprint(INTERACTIONS, config, repository.append_only))
    app.register_blueprint(pages.create_blueprint(repository, config))
    app.register_blueprint(health_link_service.create_blueprint(repository, config))
    app.register_blueprint(start.create_blueprint(repository, config))
    app.register_blueprint(desk_pages.create_blueprint(repository, config))
    app.register_blueprint(province.create_blueprint(repository))
    app.register_blueprint(adapters.create_blueprint(repository))
    app.register_blueprint(clinic_calls.create_blueprint(repository, config))
    app.register_blueprint(resident_calls.create_blueprint(repository, config))
    _add_health(app, repository)
    _add_error_handlers(app, repository, config)
    return app


def _add_smart(app: Flask, repository: Repository, config: Config) -> None:
    """The authorization server, and the guard that asks for its tokens."""
    database, cards = repository.store.database, CardHolders(repository)
    by_address = Limit(database, "address", config.address_limit)
    look_up = access.LookUp(database, repository.denials)
    access.guard(app, look_up, cards, Limit(database, "client", config.client_limit), by_address)
    for_clients = smart.create_blueprint(database, config, cards, by_address)
    _open_to_origins(for_clients, config)
    app.register_blueprint(for_clients)
    app.register_blueprint(authorize.create_blueprint(database, config, cards, by_address, frame))


def _open_to_origins(blueprint: Blueprint, config: Config) -> None:
    """Let the pages of the allowed origins read what a blueprint answers: apps that live in a browser."""

    @blueprint.after_request
    def allow(response: Response) -> Response:
        told = cors.preflight_headers if request.method == "OPTIONS" else cors.headers
        response.headers.extend(told(request.headers.get("Origin"), config.cors_origins))
        response.vary.add("Origin")
        return response


def _add_health(app: Flask, repository: Repository) -> None:
    @app.get("/health")
    def health() -> Response:
        """200 while the store answers; what docker-compose and load balancers ask."""
        repository.store.ping()
        return Response("ok\n", mimetype="text/plain")


def _add_error_handlers(app: Flask, repository: Repository, config: Config) -> None:
    def refuse(error: FhirError) -> Response:
        audit_record.refused(error)
        environ = request.environ
        if _is_fhir(request.path):
            return responses.respond(
                error.status, bundles.outcome(error.issues), list(error.headers.items()), environ, config
            )
        headers = {**error.headers, "X-Content-Type-Options": "nosniff"}
        return Response(f"{error}\n", error.status, headers, mimetype="text/plain")

    @app.errorhandler(FhirError)
    def refused(error: FhirError) -> Response:
        return refuse(error)

    @app.errorhandler(HTTPException)
    def refused_by_framework(error: HTTPException) -> Response | HTTPException:
        return refuse(from_framework(error)) if _is_fhir(request.path) else error

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return refuse(repository.refusal(error) or unexpected(error))


def _is_fhir(path: str) -> bool:
    return path == address.PREFIX or path.startswith(address.PREFIX + "/")
