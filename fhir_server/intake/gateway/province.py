"""The provincial receiving gateway (group A of docs/gateway.md): token, visits, QĐ 831 records, and their status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from fhir_server.access import gateway_accounts
from fhir_server.access.gateway_accounts import TOKEN_LIFETIME, GatewayAccount
from fhir_server.intake.gateway import documents, lists, submissions
from fhir_server.intake.gateway.admission import REQUEST_ID_LENGTH, Admitted, admit_health_record, admit_visits
from fhir_server.intake.gateway.front import gateway_blueprint, json_fields, log_in, reply, signed_in, xml_body
from fhir_server.intake.gateway.replies import Refusal, accepted, succeeded

if TYPE_CHECKING:
    from fhir_server.repository import Repository

VISITS = "/api/kham-chua-benh"
RECORDS = "/api/ho-so-suc-khoe/qd-831-2017"
# Calls that exist elsewhere and are answered here with why not, and with the standing refusal for each.
NOT_SERVED = (
    ("POST", "/api/kham-suc-khoe/qd-2062/tiep-nhan", "KSK_LEGACY_API_DISABLED"),
    ("POST", "/api/platform/data-sync/push", "NOT_IMPLEMENTED"),
    ("GET", "/api/kham-suc-khoe/doi-soat-byt/trang-thai", "NOT_IMPLEMENTED"),
)


def create_blueprint(repository: Repository) -> Blueprint:
    """The calls of group A."""
    documents.ensure_indexes(repository)
    gateway_accounts.ensure_indexes(repository.store.database)
    blueprint = gateway_blueprint("gateway")
    _add_access(blueprint, repository)
    _add_visits(blueprint, repository)
    _add_operations(blueprint, repository)
    _add_health_records(blueprint, repository)
    for method, path, code in NOT_SERVED:
        _add_refusal(blueprint, method, path, code)
    return blueprint


def _add_access(blueprint: Blueprint, repository: Repository) -> None:
    @blueprint.post("/api/xac-thuc/token")
    def token() -> Response:
        username, password = json_fields("username", "password")
        given = log_in(repository, username, password)
        seconds = int(TOKEN_LIFETIME.total_seconds())
        return reply(succeeded({"access_token": given, "token_type": "Bearer", "expires_in": seconds}))

    @blueprint.get("/api/xac-thuc/thong-tin")
    def unit() -> Response:
        account = signed_in(repository)
        return reply(succeeded({"ten_don_vi": account.unit_name, "ma_don_vi": account.unit_code}))


def _add_visits(blueprint: Blueprint, repository: Repository) -> None:
    @blueprint.post(f"{VISITS}/hoan-tat")
    def complete() -> Response:
        account = signed_in(repository)
        body = xml_body()
        return _submitted(repository, account, admit_visits(body, account.facilities), body)

    @blueprint.get(f"{VISITS}/ho-so")
    def visits() -> Response:
        account = signed_in(repository)
        return reply(succeeded(lists.visits(repository, account.facilities, request.args)))

    @blueprint.get(f"{VISITS}/ho-so/trang-thai")
    def visit_status() -> Response:
        account = signed_in(repository)
        return reply(succeeded(lists.visit_status(repository, account.facilities, request.args)))


def _add_operations(blueprint: Blueprint, repository: Repository) -> None:
    @blueprint.post(f"{VISITS}/huy-ho-so")
    def cancel() -> Response:
        return _operated(repository, "cancel", "LY_DO_HUY", "Đã hủy hồ sơ")

    @blueprint.post(f"{VISITS}/khoi-phuc-ho-so")
    def restore() -> Response:
        return _operated(repository, "restore", "LY_DO", "Đã khôi phục hồ sơ")


def _add_health_records(blueprint: Blueprint, repository: Repository) -> None:
    @blueprint.post(f"{RECORDS}/tiep-nhan")
    def receive() -> Response:
        account = signed_in(repository)
        body = xml_body()
        return _submitted(repository, account, admit_health_record(body, account.unit_code), body)

    @blueprint.get(f"{RECORDS}/ho-so")
    def health_records() -> Response:
        account = signed_in(repository)
        return reply(succeeded(lists.health_records(repository, account.unit_code, request.args)))

    @blueprint.get(f"{RECORDS}/ho-so/trang-thai")
    def health_record_status() -> Response:
        account = signed_in(repository)
        return reply(succeeded(lists.health_record_status(repository, account.unit_code, request.args)))


def _add_refusal(blueprint: Blueprint, method: str, path: str, code: str) -> None:
    def refuse() -> Response:
        raise Refusal(code)

    blueprint.add_url_rule(path, endpoint=path.replace("/", "_"), view_func=refuse, methods=[method])


def _submitted(repository: Repository, account: GatewayAccount, admitted: Admitted, body: bytes) -> Response:
    code, tracking_id = submissions.submit(repository, account, admitted, body)
    return reply(accepted(code, tracking_id, admitted.warnings))


def _operated(repository: Repository, kind: str, reason_field: str, done: str) -> Response:
    account = signed_in(repository)
    ma_lk, facility, reason, request_id = json_fields("MA_LK", "MA_CSKCB", reason_field, "MA_YEU_CAU")
    if len(request_id) > REQUEST_ID_LENGTH:
        raise Refusal("INVALID_REQUEST", f"MA_YEU_CAU dài quá {REQUEST_ID_LENGTH} ký tự")
    if facility not in account.facilities:
        raise Refusal("ORG_MISMATCH")
    came_of = submissions.operate(repository, account, kind, facility, ma_lk, reason, request_id)
    data = {"tracking_id": came_of.id, "ma_lk": ma_lk, "status": came_of.status}
    if not came_of.finished:
        return reply(accepted("ACCEPTED", came_of.id, []), 202)
    errors = [error for result in came_of.results for error in result["errors"]]
    if came_of.status in submissions.UNSUCCESSFUL:
        raise Refusal("OPERATION_REJECTED", errors[0]["message"] if errors else "", {**data, "errors": errors})
    status = "CANCELLED" if kind == "cancel" else "RESTORED"
    return reply(succeeded({**data, "status": status}, message=done))
