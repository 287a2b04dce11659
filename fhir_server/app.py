"""The web application: FHIR at /fhir, the pages of citizens and staff, /health, and what becomes of failures."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from .citizen import pages
from .config import Config
from .desk import start
from .errors import FhirError
from .repository import Repository
from .rest import address, blueprint, bundles, openapi, responses
from .rest.errors import from_framework, unexpected
from .rest.interactions import INTERACTIONS


def create_app(repository: Repository, *, config: Config) -> Flask:
    """The WSGI application that serves the records behind `repository`."""
    app = Flask("fhir_server", static_folder=None)
    # A doubled slash is a wrong address, not one to redirect from.
    app.url_map.merge_slashes = False
    app.register_blueprint(blueprint.create_blueprint(repository, config))
    app.register_blueprint(openapi.create_blueprint(INTERACTIONS, config))
    app.register_blueprint(pages.create_blueprint(repository, config))
    app.register_blueprint(start.create_blueprint(repository, config))
    _add_health(app, repository)
    _add_error_handlers(app, config)
    return app


def _add_health(app: Flask, repository: Repository) -> None:
    @app.get("/health")
    def health() -> Response:
        """200 while the store answers; what docker-compose and load balancers ask."""
        repository.store.ping()
        return Response("ok\n", mimetype="text/plain")


def _add_error_handlers(app: Flask, config: Config) -> None:
    def refuse(error: FhirError) -> Response:
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
        return refuse(unexpected(error))


def _is_fhir(path: str) -> bool:
    return path == address.PREFIX or path.startswith(address.PREFIX + "/")
