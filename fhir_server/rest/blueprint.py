"""The FHIR service as Flask routes: one route for each row of the table of interactions.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from ..access import audit_record
from ..config import Config
from ..repository import Repository
from . import access, address, binary, body, negotiation, noting, preconditions, query, responses, routing, subset
from .call import Call, Interaction, Service
from .capabilities import Capabilities
from .interactions import INTERACTIONS
from .patch import read_patch
from .prefer import preference


def create_blueprint(repository: Repository, config: Config) -> Blueprint:
    """The routes of every interaction, and OPTIONS at each of their addresses."""
    service = Service(repository, config, INTERACTIONS, Capabilities(INTERACTIONS))
    blueprint = Blueprint("fhir", __name__, url_prefix=address.PREFIX)

    def preflight(**_: str) -> Response:
        return responses.preflight_response(request.environ, config)

    def add(path: str, method: str, view: Callable[..., Response]) -> None:
        blueprint.add_url_rule(
            f"/{path}" if path else "",
            endpoint=f"{method} /{path}",
            view_func=view,
            methods=[method],
            provide_automatic_options=False,
            strict_slashes=False,
        )

    for interaction in INTERACTIONS:
        add(interaction.path, interaction.method, _view(service, interaction))
    for path in dict.fromkeys(interaction.path for interaction in INTERACTIONS):
        add(path, "OPTIONS", preflight)
    return blueprint


def _view(service: Service, interaction: Interaction) -> Callable[..., Response]:
    config = service.config

    def view(**values: str) -> Response:
        environ = request.environ
        noting.note_interaction(interaction, values, environ.get("QUERY_STRING", ""))
        call = _call(interaction, values, environ, config)
        answer = routing.perform(service, interaction, call)
        return responses.answer_response(answer, environ, call.base, config)

    return view


def _resource(
    interaction: Interaction, values: dict[str, str], environ: dict[str, Any], config: Config
) -> dict[str, Any] | None:
    """The resource in the body, where the interaction takes one; an operation may come without any."""
    if interaction.body == "operation" and not body.is_sent(environ):
        return None
    if interaction.body == "resource" and values.get("type") == "Binary":
        return binary.read_resource(environ, config, values.get("id", ""))
    return body.read_resource(environ, config.max_body_bytes) if interaction.body in ("resource", "operation") else None


def _call(interaction: Interaction, values: dict[str, str], environ: dict[str, Any], config: Config) -> Call:
    """The call an HTTP request makes. Raises Unauthorized, Forbidden, NotAcceptable, UnsupportedMediaType, TooLarge, BadRequest."""
    context = access.context_of(environ, config)
    audit_record.caller(context)
    pairs = query.parse(environ.get("QUERY_STRING", ""))
    if interaction.body == "form":
        pairs = pairs + body.read_form(environ, config.max_body_bytes)
    pairs, form = query.split_form(pairs)
    raw = values.get("type") == "Binary" and binary.is_asked_raw(interaction, environ, form)
    if not raw:
        negotiation.settle(environ, form)
    call = Call(
        context=context,
        base=address.base_of(environ, config.base_url),
        query=pairs,
        form=form,
        resource=_resource(interaction, values, environ, config),
        patch=read_patch(environ, config.max_body_bytes) if interaction.body == "patch" else None,
        if_match=environ.get("HTTP_IF_MATCH"),
        if_none_match=environ.get("HTTP_IF_NONE_MATCH"),
        if_modified_since=preconditions.parse_http_date(environ.get("HTTP_IF_MODIFIED_SINCE")),
        if_none_exist=environ.get("HTTP_IF_NONE_EXIST"),
        prefer=preference(environ.get("HTTP_PREFER")),
        **values,
    )
    call.raw = raw
    if call.prefer.lenient and not call.operation:
        call.form = subset.understood(form, call.type)
    return call
