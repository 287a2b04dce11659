"""The bare twin: a minimal Flask view on the same WSGI server and the same MongoDB, for the same MongoDB operation."""

from __future__ import annotations

import os

from flask import Flask, Response, request

from bench.operations import Operations
from fhir_server.store.records import Store


def application() -> Flask:
    """What granian serves; MongoDB and database come from the environment."""
    app = Flask(__name__, static_folder=None)
    operations = Operations(Store.open(os.environ["FHIR_MONGODB_URI"], os.environ["FHIR_DATABASE"]))
    assert operations.updated

    @app.route("/<name>/<path:key>", methods=["GET", "POST", "PUT"])
    def view(name: str, key: str) -> Response:
        if request.method != "GET":
            request.get_data()
        texts = operations.by_name[name](key)
        return Response(",".join(texts).encode(), mimetype="application/fhir+json")

    return app
