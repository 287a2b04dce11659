"""What follows the kick-off of a bulk export: how far it is, its manifest, its files, and its removal.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request. The addresses cannot be guessed, and are good for the
client that asked for the export only.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from ..access import audit_record
from ..config import Config
from ..errors import FhirError
from ..exporting import KEPT, Job, manifest
from ..repository import Repository
from . import access, address, preconditions, responses
from .call import Answer
from .operations.export import STATUS

NDJSON = "application/fhir+ndjson"
_RETRY_SECONDS = 2


class ExportFailed(FhirError):
    """The export ended without a result."""

    status, code = 500, "exception"


def create_blueprint(repository: Repository, config: Config) -> Blueprint:
    """The addresses below the one that a kick-off answers with."""
    blueprint = Blueprint("export", __name__, url_prefix=f"{address.PREFIX}/{STATUS}")
    exports = repository.exports

    def status(job_id: str) -> Response:
        environ = request.environ
        base = address.base_of(environ, config.base_url)
        answer = _status(exports.status(access.context_of(environ, config), job_id), base, config)
        return responses.answer_response(answer, environ, base, config)

    def remove(job_id: str) -> Response:
        environ = request.environ
        exports.remove(access.context_of(environ, config), job_id)
        return responses.respond(202, b"", (), environ, config)

    def file(job_id: str, name: str) -> Response:
        environ = request.environ
        audit_record.asked("export", name=name)
        ctx = access.context_of(environ, config)
        audit_record.caller(ctx)
        pieces = exports.file(ctx, job_id, name)
        return responses.stream_response(pieces, NDJSON, environ, config)

    def preflight(**_: str) -> Response:
        return responses.preflight_response(request.environ, config)

    routes: tuple[tuple[str, str, Callable[..., Response]], ...] = (
        ("/<job_id>", "GET", status),
        ("/<job_id>", "DELETE", remove),
        ("/<job_id>/<name>", "GET", file),
        ("/<job_id>", "OPTIONS", preflight),
        ("/<job_id>/<name>", "OPTIONS", preflight),
    )
    for path, method, view in routes:
        blueprint.add_url_rule(path, f"{method} {path}", view, methods=[method], provide_automatic_options=False)
    return blueprint


def _status(job: Job, base: str, config: Config) -> Answer:
    """202 while it goes on, 200 with the manifest once it is done. Raises ExportFailed."""
    if job.state == "failed":
        raise ExportFailed(job.error)
    if job.state != "done" or job.ended is None:
        progress = f"{job.progress.get('lines', 0)} resources written" if job.progress else "waiting"
        return Answer(202, headers=(("X-Progress", progress), ("Retry-After", str(_RETRY_SECONDS))))
    body = manifest(job, lambda name: f"{base}/{STATUS}/{job.id}/{name}", requires_token=config.access != "open")
    expires = preconditions.http_date(job.ended + KEPT)
    return Answer(200, body, media_type="application/json", headers=(("Expires", expires),))
