"""The form by which staff enter a person who is in no roster and brings no card with a QR code, into a Patient.

https://hl7.org/fhir/R4/patient.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from mappings import person, profile_names, systems
from mappings.addresses import read_address
from mappings.dates import parse_date
from mappings.names import clean, human_name
from mappings.numbers import bare, facility_code, identity_kind, parse_bhyt_number
from mappings.problems import Problem, UnreadableInput, problem

_TOLD = {
    "missing": ("Cần điền mục này", "this has to be filled in"),
    "unknown": ("Biểu mẫu không có mục này", "the form has no such field"),
    "text": ("Cần là một đoạn chữ", "this has to be text"),
    "form": ("Cần một đối tượng JSON gồm các mục của biểu mẫu", "a JSON object with the fields of the form is needed"),
    "long": ("Dài quá; hãy viết ngắn hơn", "too long; write less"),
    "name": ("Họ tên cần có chữ cái", "a name needs letters"),
    "birth_date": (
        "Ngày sinh không đọc được; dùng ngày/tháng/năm, hoặc chỉ năm",
        "the birth date is not readable; write day/month/year, or the year alone",
    ),
    "future": ("Ngày sinh ở tương lai", "the birth date lies in the future"),
    "sex": ("Chọn nam, nữ hoặc không rõ", "choose male (nam), female (nữ) or unknown (không rõ)"),
    "cccd": ("Số CCCD có 12 chữ số", "a CCCD has 12 digits"),
    "cmnd": ("Số CMND có 9 chữ số", "a CMND has 9 digits"),
    "bhyt": ("Số BHYT có 10, 12 hoặc 15 ký tự", "a BHYT number has 10, 12 or 15 characters"),
    "phone": ("Số điện thoại có 8 đến 15 chữ số", "a telephone number has 8 to 15 digits"),
    "facility": ("Mã cơ sở có 5 ký tự", "the code of a facility has 5 characters"),
}
_SEXES = {**person.SEX_CODINGS["auto"], "khong ro": "unknown", "unknown": "unknown", "other": "other"}
_GUARDIAN = ("http://terminology.hl7.org/CodeSystem/v2-0131", "N", "Người thân, người giám hộ")
NUMBERS = ("cccd", "cmnd", "passport", "bhyt")
"""The fields that hold a number by which a person is found again; who has none of them is given a temporary one."""


class InvalidForm(UnreadableInput):
    """`problems` says of each field what is wrong with it, in two languages."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(
            "; ".join(f"{each.field}: {each.reason_vi}" for each in problems),
            "; ".join(f"{each.field}: {each.reason_en}" for each in problems),
        )


def _text(longest: int, *checks: Any, required: bool = False) -> fields.String:
    told: dict[str, Any] = {"required": "missing", "null": "missing", "invalid": "text", "invalid_utf8": "text"}
    length = validate.Length(max=longest, error="long")
    return fields.String(required=required, error_messages=told, validate=[length, *checks])


def _asks(code: str, holds: Any) -> Any:
    """A check of what stands in a field; an empty field is one that was not filled in."""

    def check(text: str) -> None:
        if clean(text) and not holds(text):
            raise ValidationError(code)

    return check


class StaffForm(Schema):
    """What staff fill in. Texts all of them, as a form on paper has them; an empty one was not filled in."""

    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "unknown", "type": "form"}

    name = _text(200, _asks("name", lambda text: any(letter.isalpha() for letter in text)), required=True)
    birth_date = _text(40, _asks("birth_date", lambda text: parse_date(text) is not None), required=True)
    sex = _text(40, _asks("sex", lambda text: person.gender("sex", text, _SEXES)[1] == []), required=True)
    cccd = _text(40, _asks("cccd", lambda text: identity_kind(bare(text)) == "cccd"))
    cmnd = _text(40, _asks("cmnd", lambda text: identity_kind(bare(text)) == "cmnd"))
    passport = _text(40)
    bhyt = _text(40, _asks("bhyt", lambda text: _kind(text) != "other"))
    phone = _text(40, _asks("phone", lambda text: _is_phone(text)))
    address = _text(500)
    facility = _text(10, _asks("facility", lambda text: _is_facility(text)))
    guardian_name = _text(200, _asks("name", lambda text: any(letter.isalpha() for letter in text)))
    guardian_phone = _text(40, _asks("phone", lambda text: _is_phone(text)))

    @validates_schema(skip_on_field_errors=False)
    def _filled_in(self, data: Mapping[str, str], **_: Any) -> None:
        empty = [name for name in ("name", "birth_date", "sex") if name in data and not clean(data[name])]
        if empty:
            raise ValidationError({name: ["missing"] for name in empty})

    @post_load
    def _cleaned(self, data: Mapping[str, str], **_: Any) -> dict[str, str]:
        return {name: text for name, value in data.items() if (text := clean(value))}


def read_form(form: Any, *, today: str) -> person.Account:
    """The person of a filled-in StaffForm (a dict of texts). `today` is the FHIR date it is filled in on.

    The Patient carries no identifier where no number is known. A BHYT number brings its Coverage. Raises InvalidForm.
    """
    try:
        facts: dict[str, str] = StaffForm().load(form)
    except ValidationError as error:
        raise InvalidForm(list(_problems(form, error.messages_dict))) from None
    born = parse_date(facts["birth_date"])
    assert born is not None  # the schema has seen to it
    if born.value > today:
        raise InvalidForm([_problem("birth_date", facts["birth_date"], "future")])
    sex = person.gender("sex", facts["sex"], _SEXES)[0]
    identifiers, warnings = _identifiers(facts, sex, born.value)
    key = "|".join(identifiers[0][name] for name in ("system", "value")) if identifiers else repr(sorted(facts.items()))
    full_url = person.urn(f"{systems.OWN_BASE}/staff-form", key)
    patient: dict[str, Any] = {"resourceType": "Patient", "meta": {"profile": [profile_names.PATIENT]}}
    patient |= {"identifier": identifiers} if identifiers else {}
    patient |= {"active": True, "name": [human_name(facts["name"])]}
    telecom = person.phone(facts.get("phone", ""))
    patient |= {"telecom": telecom} if telecom else {}
    patient |= {"gender": sex, "birthDate": born.value}
    home, found = read_address("address", facts.get("address", ""))
    patient |= {"address": [home]} if home else {}
    contact = _contact(facts)
    patient |= {"contact": [contact]} if contact else {}
    bhyt = parse_bhyt_number(facts.get("bhyt", ""))
    insured = [person.coverage(bhyt, full_url, period={}, facility=_facility(facts))] if bhyt else []
    return person.Account(full_url, patient, tuple(insured), (*warnings, *found))


def _problems(form: Any, messages: Mapping[str, Any]) -> Iterator[Problem]:
    for name, codes in messages.items():
        value = form.get(name) if isinstance(form, Mapping) else None
        field = "" if name == "_schema" else str(name)[:60]
        yield _problem(field, value if isinstance(value, str) else "", codes[0])


def _problem(field: str, value: str, code: str) -> Problem:
    return problem(field, value, *_TOLD[code])


def _identifiers(facts: Mapping[str, str], sex: str, born: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    found: list[dict[str, Any]] = []
    warnings: list[Problem] = []
    for name in ("cccd", "cmnd", "passport"):
        entry, remarks = person.identity_identifier(name, facts.get(name, ""), sex, born)
        warnings += remarks
        found += [entry] if entry else []
    bhyt = parse_bhyt_number(facts.get("bhyt", ""))
    if bhyt is not None:
        warnings += person.bhyt_warnings("bhyt", bhyt)
        known = {(each["system"], each["value"]) for each in found}
        numbers = person.bhyt_identifiers(bhyt, {})
        found += [each for each in numbers if (each["system"], each["value"]) not in known]
    return found, warnings


def _contact(facts: Mapping[str, str]) -> dict[str, Any]:
    """Who is asked about a child: never a name of the child itself, so nobody is matched by it."""
    made: dict[str, Any] = {}
    if name := human_name(facts.get("guardian_name", "")):
        made["name"] = name
    if telecom := person.phone(facts.get("guardian_phone", "")):
        made["telecom"] = telecom
    system, code, text = _GUARDIAN
    return {"relationship": [person.concept(system, code, text=text)], **made} if made else {}


def _kind(text: str) -> str:
    number = parse_bhyt_number(text)
    return number.kind if number else ""


def _is_phone(text: str) -> bool:
    found = person.phone(text)
    return bool(found) and 8 <= len(found[0]["value"].lstrip("+")) <= 15


def _is_facility(text: str) -> bool:
    return len(code := facility_code(text)) == 5 and code.isascii() and code.isalnum()


def _facility(facts: Mapping[str, str]) -> str:
    return facility_code(facts.get("facility", ""))
