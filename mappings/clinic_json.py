"""The clinic's visit: one JSON payload for stations without a hospital system, read into a record as QĐ 831 has it.

docs/mappings/clinic-json.md
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from mappings import person, systems
from mappings.dates import parse_date
from mappings.json_problems import by_path, json_schema
from mappings.qd831.person import patient_of, vietnamese_date
from mappings.qd831.record import HealthRecord, RecordedVisit, Row
from mappings.qd831.table import ALLERGY, DIAGNOSIS, HEADER, PERSON

Resource = dict[str, Any]
MAX_ROWS = 100
# Name in the payload -> field of QĐ 831, least and most that is possible, unit.
VITALS: dict[str, tuple[str, str, str, str]] = {
    "pulse": ("MACH", "10", "350", "/min"),
    "temperature": ("NHIETDO", "25", "45", "°C"),
    "systolic": ("HUYETAPTT", "30", "350", "mmHg"),
    "diastolic": ("HUYETAPTD", "10", "250", "mmHg"),
    "respiratoryRate": ("NHIPTHO", "3", "120", "/min"),
    "height": ("CHIEUCAO", "20", "260", "cm"),
    "weight": ("CANNANG", "0.3", "500", "kg"),
    "waist": ("VONGBUNG", "10", "300", "cm"),
}
ALLERGY_KINDS = {"drug": "1", "chemical": "2", "food": "3", "other": "4"}
_SEXES = {"male": "1", "female": "2", "unknown": "3"}


def _day(text: str) -> None:
    found = parse_date(text)
    if found is None or found.value != text or len(text) != len("2026-11-24"):
        raise ValidationError("Cần ngày dạng yyyy-MM-dd / a date is needed: yyyy-MM-dd")


def _birth(text: str) -> None:
    found = parse_date(text)
    if found is None or found.value != text:
        raise ValidationError("Cần yyyy-MM-dd, yyyy-MM hoặc yyyy / a date is needed: yyyy-MM-dd, yyyy-MM or yyyy")


def _text(longest: int, **more: Any) -> fields.String:
    return fields.String(validate=validate.Length(1, longest), **more)


def _number(least: str, most: str, unit: str = "") -> fields.Decimal:
    metadata = {"description": unit} if unit else {}
    return fields.Decimal(validate=validate.Range(Decimal(least), Decimal(most)), metadata=metadata)


def _rows(row: Schema) -> fields.Field[Any]:
    return fields.List(fields.Nested(row), validate=validate.Length(0, MAX_ROWS))


def _schema(**named: fields.Field[Any]) -> Schema:
    return Schema.from_dict(named)(unknown=RAISE)


PAYLOAD = _schema(
    facility=fields.String(required=True, validate=validate.Regexp("[0-9A-Za-z]{1,10}\\Z")),
    visit=fields.String(required=True, validate=validate.Regexp("[0-9A-Za-z._-]{1,60}\\Z")),
    started=fields.String(required=True, validate=_day, metadata={"format": "date"}),
    ended=fields.String(validate=_day, metadata={"format": "date"}),
    reason=_text(1000),
    practitioner=fields.Nested(_schema(number=_text(50), name=_text(200, required=True))),
    person=fields.Nested(
        _schema(
            card=_text(20),
            cccd=_text(20),
            name=_text(200, required=True),
            birthDate=fields.String(required=True, validate=_birth),
            gender=fields.String(required=True, validate=validate.OneOf(list(_SEXES))),
            phone=_text(20),
            address=_text(500),
        ),
        required=True,
    ),
    vitals=fields.Nested(
        _schema(**{name: _number(least, most, unit) for name, (_, least, most, unit) in VITALS.items()})
    ),
    diagnoses=_rows(
        _schema(
            code=fields.String(required=True, validate=validate.Regexp("[A-Z][0-9]{2}(\\.[0-9]{1,2})?\\Z")),
            name=_text(500, required=True),
            note=_text(1000),
        )
    ),
    prescriptions=_rows(
        _schema(
            name=_text(300, required=True),
            code=_text(60),
            dose=_text(500),
            quantity=_number("0.001", "100000"),
            unit=_text(30),
            days=fields.Integer(strict=True, validate=validate.Range(1, 365)),
        )
    ),
    allergies=_rows(
        _schema(
            kind=fields.String(required=True, validate=validate.OneOf(list(ALLERGY_KINDS))),
            substance=_text(200, required=True),
            reaction=_text(500),
        )
    ),
    advice=_text(2000),
)


def schema() -> Resource:
    """The payload's JSON Schema."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Lượt khám", **json_schema(PAYLOAD)}


def read_visit(payload: Any) -> tuple[dict[str, Any] | None, dict[str, list[str]]]:
    """The visit of a JSON value as it was understood; or None and, by JSON path, what is wrong in two languages."""
    try:
        loaded: dict[str, Any] = PAYLOAD.load(payload)
    except ValidationError as error:
        return None, by_path(error.messages)
    vitals = loaded.get("vitals", {})
    problems = {}
    if ("systolic" in vitals) != ("diastolic" in vitals):
        problems["$.vitals"] = ["Huyết áp cần cả hai số / blood pressure needs both numbers"]
    if loaded.get("ended", loaded["started"]) < loaded["started"]:
        problems["$.ended"] = ["Kết thúc trước khi bắt đầu / it ends before it starts"]
    return (None, problems) if problems else (loaded, {})


def record_of_visit(visit: Mapping[str, Any]) -> HealthRecord:
    """The record that a visit which read_visit() understood says."""
    about, doctor = visit["person"], visit.get("practitioner", {})
    started, ended = (vietnamese_date(visit.get(name, "")) for name in ("started", "ended"))
    own: Row = {
        "MA_LK": visit["visit"],
        "NGAYKHAM": started,
        "NGAYBATDAU": started,
        "NGAYKETTHUC": ended,
        "MABACSI": doctor.get("number", ""),
        "BACSIKHAM": doctor.get("name", ""),
        "LYDOKHAM": visit.get("reason", ""),
        "TUVAN": visit.get("advice", ""),
    }
    own |= {VITALS[name][0]: str(value) for name, value in visit.get("vitals", {}).items()}
    named: Row = {
        "MADINHDANH": about.get("cccd", ""),
        "MATHE": about.get("card", ""),
        "HOTEN": about["name"],
        "GIOITINH": _SEXES[about["gender"]],
        "NGAYSINH": vietnamese_date(about["birthDate"]),
        "DIACHI_HIENTAI": about.get("address", ""),
        "DIENTHOAI_DD": about.get("phone", ""),
    }
    diagnoses = [_renamed(row, code="MABENH", name="TENBENH", note="KETLUAN") for row in visit.get("diagnoses", ())]
    allergies = [
        {**_renamed(row, substance="TEN", reaction="MOTA"), "LOAI": ALLERGY_KINDS[row["kind"]]}
        for row in visit.get("allergies", ())
    ]
    prescriptions = [{name: str(value) for name, value in row.items()} for row in visit.get("prescriptions", ())]
    return HealthRecord(
        {HEADER: {"SENDER_CODE": visit["facility"]}, PERSON: _filled(named)},
        {ALLERGY: allergies} if allergies else {},
        [RecordedVisit(_filled(own), {DIAGNOSIS: diagnoses} if diagnoses else {}, prescriptions)],
    )


def patient_of_visit(record: HealthRecord) -> tuple[Resource, list[Any]]:
    """The Patient of a visit's record, and what is doubtful. Without a card or CCCD the facility knows them by name,
    birth date and sex, under a number of its own that no name can be read from."""
    patient, remarks = patient_of(record.of(PERSON))
    if "identifier" not in patient:
        facts = "|".join(record.of(PERSON).get(field, "") for field in ("HOTEN", "NGAYSINH", "GIOITINH"))
        number = uuid.uuid5(uuid.NAMESPACE_URL, facts.casefold()).hex
        system = systems.facility_patient_system(record.of(HEADER)["SENDER_CODE"])
        patient["identifier"] = [person.identifier("facility", number, system=system)]
    return patient, remarks


def _renamed(row: Mapping[str, str], **names: str) -> Row:
    return {names[name]: value for name, value in row.items() if name in names}


def _filled(row: Row) -> Row:
    return {name: value for name, value in row.items() if value}
