"""The reconciliation lists and status calls: what the gateway has received, and what became of it."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mongoengine import Q
from mongoengine.queryset import QuerySet

from fhir_server.intake.gateway.admission import HEALTH_RECORD, visit_key
from fhir_server.intake.gateway.documents import GatewayRequest, GatewayVisit, documents
from fhir_server.intake.gateway.replies import Data, Refusal
from fhir_server.intake.gateway.visit_states import status_of

if TYPE_CHECKING:
    from fhir_server.repository import Repository

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
MONTHS = 3
PAGE_SIZE, MAX_PAGE_SIZE = 100, 500
# What is still waiting is neither: only "all" shows it, so that nobody takes it for valid.
ERROR_STATUS = {
    "all": Q(),
    "has_error": Q(status__in=("INVALID", "FAILED")),
    "no_error": Q(status__in=("VALID", "VALID_WITH_WARNING")),
}
Asked = Mapping[str, str]


def visits(repository: Repository, facilities: list[str], asked: Asked) -> Data:
    """One page of the visits whose last sending came in the window. Raises Refusal."""
    found = documents(repository, GatewayVisit).filter(facility__in=facilities)
    if not _yes(asked, "include_cancelled"):
        found = found.filter(is_cancelled=False)
    return _page(found, asked, _visit)


def health_records(repository: Repository, unit: str, asked: Asked) -> Data:
    """One page of the QĐ 831 records that came in the window. Raises Refusal."""
    found = documents(repository, GatewayRequest).filter(facility=unit, kind=HEALTH_RECORD)
    for name in ("ma_dinh_danh", "ma_lk"):
        if asked.get(name):
            found = found.filter(**{f"subjects__{name}": asked[name]})
    return _page(found, asked, _health_record)


def visit_status(repository: Repository, facilities: list[str], asked: Asked) -> Data:
    """How it stands with one visit, and all that was sent for it, the newest first. Raises Refusal."""
    ma_lk = asked.get("ma_lk", "").strip()
    if not ma_lk:
        raise Refusal("MISSING_FIELD", "Thiếu tham số ma_lk")
    visit = (
        documents(repository, GatewayVisit)
        .filter(id__in=[visit_key(facility, ma_lk) for facility in facilities])
        .order_by("-number")
        .first()
    )
    if visit is None:
        raise Refusal("NOT_FOUND")
    sent = documents(repository, GatewayRequest).filter(keys=visit.id).order_by("-number").limit(MAX_PAGE_SIZE)
    record = {"ma_lk": visit.ma_lk, "status": status_of(visit), "is_cancelled": visit.is_cancelled}
    return {"ho_so": record, "requests": [_request(request, visit) for request in sent]}


def health_record_status(repository: Repository, unit: str, asked: Asked) -> Data:
    """How it stands with one QĐ 831 request. Raises Refusal."""
    tracking_id = asked.get("tracking_id", "").strip()
    if not tracking_id:
        raise Refusal("MISSING_FIELD", "Thiếu tham số tracking_id")
    found = documents(repository, GatewayRequest).filter(id=tracking_id, facility=unit, kind=HEALTH_RECORD).first()
    if found is None:
        raise Refusal("NOT_FOUND")
    return {
        "tracking_id": found.id,
        "status": found.status,
        "received_at": written(found.received),
        "completed_at": written(found.completed),
        "events": _events(found),
        "errors": [error for result in found.results for error in result["errors"]],
    }


def written(moment: datetime | None) -> str:
    """A moment in Vietnam's time, "" for one that has not come yet."""
    return moment.astimezone(VIETNAM).isoformat(timespec="seconds") if moment else ""


def _page(found: QuerySet, asked: Asked, shown: Any) -> Data:
    begin, end = _window(asked)
    page = _number(asked, "page", 1, 1_000_000)
    size = _number(asked, "page_size", PAGE_SIZE, MAX_PAGE_SIZE)
    status = asked.get("error_status") or "all"
    if status not in ERROR_STATUS:
        raise Refusal("INVALID_REQUEST", f"error_status là một trong {', '.join(ERROR_STATUS)}")
    found = found.filter(ERROR_STATUS[status], received__gte=begin, received__lt=end)
    rows = found.order_by("received", "number").skip((page - 1) * size).limit(size)
    return {"items": [shown(each) for each in rows], "total": found.count(), "page": page, "page_size": size}


def _window(asked: Asked) -> tuple[datetime, datetime]:
    """The beginning of from_date and the end of to_date, in Vietnam."""
    try:
        begin, end = (date.fromisoformat(asked[name]) for name in ("from_date", "to_date"))
        after = datetime.combine(end + timedelta(days=1), datetime.min.time(), VIETNAM)
    except (KeyError, ValueError, OverflowError):
        raise Refusal("INVALID_REQUEST", "Cần from_date và to_date dạng yyyy-MM-dd") from None
    if end < begin:
        raise Refusal("INVALID_REQUEST", "to_date phải từ from_date trở đi")
    if end > _months_later(begin, MONTHS):
        raise Refusal("INVALID_REQUEST", f"Khoảng ngày tra cứu không quá {MONTHS} tháng")
    return datetime.combine(begin, datetime.min.time(), VIETNAM), after


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    year = min(day.year + years, date.max.year)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _number(asked: Asked, name: str, default: int, most: int) -> int:
    text = asked.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise Refusal("INVALID_REQUEST", f"{name} là số nguyên từ 1 đến {most}")
    return int(text)


def _yes(asked: Asked, name: str) -> bool:
    text = (asked.get(name) or "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise Refusal("INVALID_REQUEST", f"{name} là true hoặc false")
    return text in ("true", "1")


def _visit(visit: GatewayVisit) -> Data:
    return {
        "ma_lk": visit.ma_lk,
        "ho_ten": visit.ho_ten or "",
        "ma_bn": visit.ma_bn or "",
        "ngay_vao": visit.ngay_vao or "",
        "status": status_of(visit),
        "is_cancelled": visit.is_cancelled,
        "latest_tracking_id": visit.latest_tracking_id,
    }


def _health_record(request: GatewayRequest) -> Data:
    (subject,) = request.subjects
    return {
        "ma_dinh_danh": subject["ma_dinh_danh"],
        "ho_ten": subject["ho_ten"],
        "status": request.status,
        "received_at": written(request.received),
        "tracking_id": request.id,
    }


def _request(request: GatewayRequest, visit: GatewayVisit) -> Data:
    """A request as far as it is about this visit: others of the same file are not told of."""
    own = [
        result for result in request.results if (result["facility"], result["ma_lk"]) == (visit.facility, visit.ma_lk)
    ]
    return {
        "tracking_id": request.id,
        "status": own[0]["status"] if own else request.status,
        "events": _events(request),
        "errors": [error for result in own for error in result["errors"]],
    }


def _events(request: GatewayRequest) -> list[Data]:
    return [
        {**{name: line[name] for name in ("event_type", "to_status", "message")}, "at": written(line["at"])}
        for line in request.events
    ]
