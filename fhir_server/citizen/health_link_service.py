"""The service behind a SMART Health Link: the manifest, for a passcode, and the sealed file.

https://docs.smarthealthit.org/smart-health-links/spec
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, make_response, request, url_for

from fhir_server.citizen.frame import safely_reached
from fhir_server.citizen.health_links import open_link, sealed_file, ticket

if TYPE_CHECKING:
    from fhir_server.config import Config
    from fhir_server.repository import Repository

MANIFEST_BYTES = 4_096
CONTENT = "application/fhir+json"
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*"}


def create_blueprint(repository: Repository, config: Config) -> Blueprint:
    """POST /shl/<id> answers with the manifest, GET /shl/<id>/<ticket> with the file. Viewers live on any origin."""
    blueprint = Blueprint("health_links", __name__)
    blueprint.before_request(safely_reached(config))

    @blueprint.after_request
    def finish(response: Response) -> Response:
        response.headers.update(HEADERS)
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "POST, GET"
            response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        return response

    @blueprint.post("/shl/<id>")
    def manifest(id: str) -> Response:
        request.max_content_length = MANIFEST_BYTES
        asked: Any = request.get_json(silent=True)
        if not isinstance(asked, dict) or not isinstance(asked.get("recipient"), str) or not asked["recipient"].strip():
            return _refused(400, "Send JSON with `recipient` (who is asking) and `passcode`.")
        opened = open_link(repository, "link", id, str(asked.get("passcode", "")))
        if opened is None:
            return _refused(404, "This link is not in force.")
        if opened.link is None:
            return make_response(jsonify({"remainingAttempts": opened.left}), 401)
        most = asked.get("embeddedLengthMax")
        file: dict[str, str] = {"contentType": CONTENT}
        if isinstance(most, int) and len(opened.link.sealed) > most:
            where = url_for("health_links.file", id=id, given=ticket(repository, id))
            file["location"] = config.public_url.rstrip("/") + where
        else:
            file["embedded"] = opened.link.sealed
        return jsonify({"files": [file]})

    @blueprint.get("/shl/<id>/<given>")
    def file(id: str, given: str) -> Response:
        sealed = sealed_file(repository, id, given)
        if sealed is None:
            return _refused(404, "This file is not there, or the time to fetch it is over: ask for the manifest again.")
        return Response(sealed, mimetype="application/jose")

    return blueprint


def _refused(status: int, text: str) -> Response:
    return make_response(jsonify({"error": text}), status)
