"""Pure: what is looked at before a body is accepted, so that it can be queued, found again, and refused to strangers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from fhir_server.intake.gateway.replies import Refusal, place
from mappings.giamdinhhs import RefusedVisit, Visit, parse_xml, read_envelope
from mappings.problems import Problem, UnreadableInput

VISIT, HEALTH_RECORD = "visit", "health_record"
REQUEST_ID_LENGTH = 100
# What facilities are known to leave out of XML1 although it is asked of them: told at once, and refused by nobody here.
EXPECTED = ("SO_CCCD", "LY_DO_VV", "MA_DOITUONG_KCB", "MA_LOAI_KCB")
Remark = dict[str, str]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A body that may be queued. `subjects` says of each visit or record what lists show of it, `request_id` is the
    sender's own, None where the body carries none."""

    kind: str
    facility: str
    keys: list[str]
    subjects: list[dict[str, str]]
    content_hash: str
    warnings: list[Remark] = field(default_factory=list)
    request_id: str | None = None


def visit_key(facility: str, ma_lk: str) -> str:
    """What requests about one visit have in common."""
    return f"{facility}|{ma_lk}"


def admit_visits(xml: bytes, facilities: list[str]) -> Admitted:
    """Look at a GIAMDINHHS document. Raises Refusal: INVALID_XML, MISSING_FIELD, or ORG_MISMATCH when any of its visits
    is of a facility that is not among `facilities`."""
    try:
        envelope = read_envelope(xml)
    except UnreadableInput as error:
        raise Refusal("INVALID_XML", error.reason_vi) from None
    named = [(visit.facility, visit.ma_lk, visit) for visit in envelope.visits]
    unread = [(it.facility or envelope.facility, it.ma_lk, it) for it in envelope.refused]
    found: list[tuple[str, str, Visit | RefusedVisit]] = [*named, *unread]
    for facility in dict.fromkeys([envelope.facility, *(each[0] for each in found)]):
        if facility not in facilities:
            raise Refusal("ORG_MISMATCH", f"Mã cơ sở {facility[:10]!r} không thuộc đơn vị của tài khoản")
    known = [each for each in found if each[1]]
    if not known:
        errors = [_remark("error", problem) for _, _, it in unread for problem in it.problems]
        raise Refusal("MISSING_FIELD", "Không đọc được MA_LK của hồ sơ nào trong tệp", {"errors": errors})
    warnings = [_remark("error", problem) for _, _, it in unread for problem in it.problems]
    warnings += [warning for _, _, visit in named for warning in _warnings(visit)]
    subjects = [_subject(facility, ma_lk, it) for facility, ma_lk, it in known]
    keys = list(dict.fromkeys(visit_key(facility, ma_lk) for facility, ma_lk, _ in known))
    return Admitted(VISIT, envelope.facility, keys, subjects, hash_of(xml), warnings)


def admit_health_record(xml: bytes, unit: str) -> Admitted:
    """Look at a QĐ 831 document. Raises Refusal: INVALID_XML, MISSING_FIELD, or ORG_MISMATCH unless SENDER_CODE is
    the token's unit."""
    try:
        root = parse_xml(xml)
    except UnreadableInput as error:
        raise Refusal("INVALID_XML", error.reason_vi) from None
    if root.tag != "DATA":
        raise Refusal("INVALID_XML", f"Phần tử gốc là {str(root.tag)[:40]}, cần DATA")
    request_id = (root.findtext("HEADER/REQUEST_ID") or "").strip()
    if not 0 < len(request_id) <= REQUEST_ID_LENGTH:
        raise Refusal("MISSING_FIELD", "HEADER/REQUEST_ID phải có từ 1 đến 100 ký tự")
    if (root.findtext("HEADER/SENDER_CODE") or "").strip() != unit:
        raise Refusal("ORG_MISMATCH", "HEADER/SENDER_CODE không phải mã đơn vị của tài khoản")
    person = root.find("BODY/HOSOSUCKHOE/THONGTINCHUNG")
    if person is None:
        raise Refusal("MISSING_FIELD", "Thiếu BODY/HOSOSUCKHOE/THONGTINCHUNG")
    number, name = ((person.findtext(tag) or "").strip() for tag in ("MADINHDANH", "HOTEN"))
    # Without a number nothing else can be about the same person for sure, so it need not wait for anything either.
    key = f"831|{unit}|{number or request_id}"
    subject = {"ma_dinh_danh": number, "ho_ten": name}
    return Admitted(HEALTH_RECORD, unit, [key], [subject], hash_of(xml), request_id=request_id)


def hash_of(content: bytes) -> str:
    """By which the same content is recognised."""
    return hashlib.sha256(content).hexdigest()


def _subject(facility: str, ma_lk: str, it: Visit | RefusedVisit) -> dict[str, str]:
    summary = it.summary if isinstance(it, Visit) else {}
    shown = {name.lower(): summary.get(name, "") for name in ("HO_TEN", "MA_BN", "NGAY_VAO")}
    return {"facility": facility, "ma_lk": ma_lk, **shown}


def _warnings(visit: Visit) -> list[Remark]:
    expected = EXPECTED if visit.source == "XML1" else ()  # of a check-in no more is asked than it has
    missing = [_missing(name) for name in expected if not visit.summary.get(name)]
    return [_remark("warning", problem) for problem in visit.remarks] + missing


def _missing(name: str) -> Remark:
    where = place("XML1", "1", name)
    return {"severity": "warning", "code": "MISSING_FIELD", "field_path": where, "message": f"Thiếu {name}"}


def _remark(severity: str, problem: Problem) -> Remark:
    code = "INVALID_CONTENT" if severity == "error" else "REMARK"
    return {"severity": severity, "code": code, "field_path": problem.field, "message": problem.reason_vi}
