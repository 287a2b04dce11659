"""What every call of the gateway has around it: who asks, how much may be sent, and refusals as JSON."""

from __future__ import annotations

import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from fhir_server.access import audit_record, gateway_accounts
from fhir_server.access.documents import hash_of
from fhir_server.access.gateway_accounts import GatewayAccount
from fhir_server.citizen.attempts import WINDOW, WRONG_CODES_ALLOWED, return_attempt, spend_attempt
from fhir_server.errors import FhirError
from fhir_server.intake.gateway.replies import Refusal, refused
from mappings.giamdinhhs import MAX_BYTES

if TYPE_CHECKING:
    from fhir_server.repository import Repository

log = logging.getLogger(__name__)

FORM_OVERHEAD = 64 * 1024  # of a multipart body, around the file in it
FORM_FIELD_BYTES = 64 * 1024
ACCOUNT_ATTEMPTS = 100  # from all addresses together, so that a stranger cannot easily lock a facility out
XML_TYPES = ("application/xml", "text/xml", "application/octet-stream", "")
# What the framework itself refuses, in the gateway's words.
FRAMEWORK_CODES = {413: "PAYLOAD_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE"}


def gateway_blueprint(name: str) -> Blueprint:
    """A blueprint whose bodies are bounded and whose refusals have the gateway's shape."""
    blueprint = Blueprint(name, __name__)
    blueprint.before_request(_bound)
    blueprint.after_request(_not_stored)
    blueprint.register_error_handler(Refusal, _refuse)
    blueprint.register_error_handler(HTTPException, _refuse_for_framework)
    blueprint.register_error_handler(FhirError, _refuse_for_store)
    blueprint.register_error_handler(Exception, _failed)
    return blueprint


def log_in(repository: Repository, username: object, password: object) -> str:
    """A token. Raises Refusal: INVALID_REQUEST, INVALID_CREDENTIALS, TOO_MANY_ATTEMPTS."""
    if not isinstance(username, str) or not isinstance(password, str) or not username or not password:
        raise Refusal("INVALID_REQUEST", "Cần username và password")
    audit_record.tried("login", f"facility:{username}")
    named = hash_of(username)
    address = f"gateway-address|{request.remote_addr}"
    spent = {address: WRONG_CODES_ALLOWED, f"gateway-account|{named}": ACCOUNT_ATTEMPTS}
    too_many = Refusal("TOO_MANY_ATTEMPTS", headers={"Retry-After": str(int(WINDOW.total_seconds()))})
    for key, allowed in spent.items():
        # Before the password is looked at: that is what costs.
        if not spend_attempt(repository, key, allowed=allowed):
            raise too_many
    try:
        token = gateway_accounts.log_in(repository.store.database, username, password)
    except gateway_accounts.TooBusy:
        raise Refusal("TOO_MANY_ATTEMPTS", headers={"Retry-After": "5"}) from None
    if token is None:
        raise Refusal("INVALID_CREDENTIALS")
    for key in spent:
        return_attempt(repository, key)
    return token


def signed_in(repository: Repository) -> GatewayAccount:
    """The account of the Bearer token. Raises Refusal: INVALID_TOKEN."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    account = None
    if scheme.lower() == "bearer" and token.strip():
        account = gateway_accounts.account_of(repository.store.database, token.strip())
    if account is None:
        raise Refusal("INVALID_TOKEN", headers={"WWW-Authenticate": "Bearer"})
    audit_record.caller(account.context)
    return account


def xml_body() -> bytes:
    """The request's body, which is XML. Raises Refusal: PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID_XML."""
    if request.mimetype not in XML_TYPES:
        raise Refusal("UNSUPPORTED_MEDIA_TYPE")
    return _checked(request.get_data(cache=False))


def xml_file(field: str) -> bytes:
    """The file in a multipart field. Raises Refusal: MISSING_FIELD, PAYLOAD_TOO_LARGE, INVALID_XML."""
    file = request.files.get(field)
    if file is None:
        raise Refusal("MISSING_FIELD", f"Thiếu tệp {field} (multipart/form-data)")
    return _checked(file.read())


def json_fields(*names: str) -> list[str]:
    """The texts under these names of the JSON body, all of them required. Raises Refusal."""
    sent = request.get_json(force=True, silent=True)
    if not isinstance(sent, dict):
        raise Refusal("INVALID_REQUEST", "Cần một đối tượng JSON")
    values = []
    for name in names:
        value = sent.get(name)
        if not isinstance(value, str) or not 0 < len(value.strip()) <= 1_000:
            raise Refusal("MISSING_FIELD", f"{name} phải là chuỗi từ 1 đến 1000 ký tự")
        values.append(value.strip())
    return values


def reply(data: dict[str, Any], status: int = 200) -> Response:
    """JSON in the order it was written in, Vietnamese as it is."""
    return Response(json.dumps(data, ensure_ascii=False), status, mimetype="application/json")


def _checked(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise Refusal("PAYLOAD_TOO_LARGE")
    if not content.strip():
        raise Refusal("INVALID_XML", "Nội dung rỗng")
    return content


def _bound() -> None:
    multipart = request.mimetype == "multipart/form-data"
    # One byte more than is taken: of a body whose length is not told the framework gives no more than this.
    request.max_content_length = MAX_BYTES + (FORM_OVERHEAD if multipart else 1)
    request.max_form_memory_size = FORM_FIELD_BYTES


def _not_stored(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _refuse(refusal: Refusal) -> Response:
    response = reply(refused(refusal), refusal.status)
    response.headers.update(refusal.headers)
    return response


def _refuse_for_framework(error: HTTPException) -> Response:
    return _refuse(Refusal(FRAMEWORK_CODES.get(error.code or 0, "INVALID_REQUEST")))


def _refuse_for_store(error: FhirError) -> Response:
    log.warning("a gateway call was refused: %s", type(error).__name__)
    return _refuse(Refusal("SERVICE_NOT_AVAILABLE", headers=error.headers))


def _failed(error: Exception) -> Response:
    """A fault of ours. The log is told where it happened, not what was in it: that may be personal."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("a gateway call failed: %s.%s\n%s", type(error).__module__, type(error).__qualname__, where)
    return _refuse(Refusal("SYSTEM_ERROR"))
