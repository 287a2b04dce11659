"""The gateways that answer at once (groups B, C and D of docs/gateway.md), over the same queue as the province's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from fhir_server.access.gateway_accounts import TOKEN_LIFETIME
from fhir_server.intake.gateway import submissions, worker
from fhir_server.intake.gateway.admission import admit_health_record, admit_visits
from fhir_server.intake.gateway.documents import GatewayRequest
from fhir_server.intake.gateway.front import gateway_blueprint, log_in, reply, signed_in, xml_file
from fhir_server.intake.gateway.replies import ACCEPTED, Refusal

if TYPE_CHECKING:
    from fhir_server.repository import Repository

MINUTES = int(TOKEN_LIFETIME.total_seconds()) // 60
SENDER_LENGTH = 100
Shape = Callable[[GatewayRequest], dict[str, Any]]


def _totals(came_of: GatewayRequest) -> dict[str, Any]:
    outcomes = [result["outcome"] for result in came_of.results]
    failed = outcomes.count("rejected")
    return {
        "TotalSucceed": len(outcomes) - failed,
        "Inserted": outcomes.count("created"),
        "Updated": outcomes.count("updated"),
        "TotalFailed": failed,
        "Total": len(outcomes),
    }


def _failures(came_of: GatewayRequest) -> list[dict[str, str]]:
    return [
        {"MA_LK": result["ma_lk"], "CHI_TIET_LOI": "; ".join(map(_told, result["errors"]))}
        for result in came_of.results
        if result["outcome"] == "rejected"
    ]


def _told(error: dict[str, str]) -> str:
    return f"{error['field_path']}: {error['message']}" if error["field_path"] else error["message"]


def shared_database(came_of: GatewayRequest) -> dict[str, Any]:
    """The answer of group B."""
    return {**_totals(came_of), "ListFailed": _failures(came_of)}


def can_tho(came_of: GatewayRequest) -> dict[str, Any]:
    """The answer of group C."""
    return {"response3176": {"IdLanGui": came_of.id, **_totals(came_of), "ListLoi": _failures(came_of)}}


# Log-in, its `time`, and where visits go with what is answered: B counts minutes in a number, C in a text.
LOG_INS: tuple[tuple[str, int | str], ...] = (("/get-token", MINUTES), ("/api/get-token", str(MINUTES)))
IMPORTS: tuple[tuple[str, str, Shape], ...] = (
    ("/csdl-4750/import-csdl-4750-by-xml-file", "", shared_database),
    ("/api/csdl-3176/import-csdl-3176-by-xml-file-khong-dong-bo", "3176", can_tho),
)


def create_blueprint(repository: Repository) -> Blueprint:
    """The calls of groups B, C and D."""
    blueprint = gateway_blueprint("gateway_adapters")
    for path, minutes in LOG_INS:
        _add_log_in(blueprint, repository, path, minutes)
    for path, type_, shape in IMPORTS:
        _add_import(blueprint, repository, path, type_, shape)
    _add_health_record(blueprint, repository)
    return blueprint


def _add_log_in(blueprint: Blueprint, repository: Repository, path: str, minutes: int | str) -> None:
    def get_token() -> Response:
        token = log_in(repository, request.form.get("username"), request.form.get("password"))
        return reply({"success": True, "token": token, "time": minutes, "message": "Thành công"})

    blueprint.add_url_rule(path, endpoint=path.replace("/", "_"), view_func=get_token, methods=["POST"])


def _add_import(blueprint: Blueprint, repository: Repository, path: str, type_: str, shape: Shape) -> None:
    def import_visits() -> Response:
        account = signed_in(repository)
        if type_ and request.form.get("type") != type_:
            raise Refusal("INVALID_REQUEST", f"type phải là {type_}")
        body = xml_file("file")
        admitted = admit_visits(body, account.facilities)
        _, tracking_id = submissions.submit(repository, account, admitted, body)
        came_of = worker.finished(repository, tracking_id)
        if not came_of.finished:
            waits = "Đã nhận và đang chờ xử lý; gửi lại cùng tệp này để lấy kết quả"
            raise Refusal("SERVICE_NOT_AVAILABLE", waits, {"tracking_id": tracking_id})
        return reply(shape(came_of))

    blueprint.add_url_rule(path, endpoint=path.replace("/", "_"), view_func=import_visits, methods=["POST"])


def _add_health_record(blueprint: Blueprint, repository: Repository) -> None:
    @blueprint.post("/CSDLYTE831/import-csdlyte831-mobile")
    def import_health_record() -> Response:
        account = signed_in(repository)
        sender = request.form.get("nguoi_gui", "")
        if not 0 < len(sender) <= SENDER_LENGTH:
            raise Refusal("MISSING_FIELD", f"nguoi_gui phải có từ 1 đến {SENDER_LENGTH} ký tự")
        body = xml_file("xmlFile")
        code, _ = submissions.submit(repository, account, admit_health_record(body, account.unit_code), body)
        answer = {"ContentType": "application/json", "SerializerSettings": {}, "StatusCode": 200}
        return reply({**answer, "Value": ACCEPTED[code]})
