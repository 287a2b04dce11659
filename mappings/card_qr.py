"""The texts in the QR codes of a CCCD and of a BHYT card, into a Patient and, of a BHYT card, its Coverage.

Fields are separated by |. CCCD: number, old CMND, name, birth date, sex, address, day of issue. BHYT: card, name and
address as hexadecimal UTF-8, birth date, sex, facility, period, ... Further fields are left out.
"""

from __future__ import annotations

from typing import Any

from mappings import person, profile_names
from mappings.addresses import read_address
from mappings.dates import PartialDate, parse_date, period
from mappings.names import clean, human_name
from mappings.numbers import bare, facility_code, identity_kind, parse_bhyt_number
from mappings.problems import Problem, UnreadableInput

LONGEST = 2000  # characters; a QR code holds about as many

# Places of the fields. BHYT: 8 issued, 9 agency, 10 parent are not kept.
_CCCD = ("number", "cmnd", "name", "born", "sex", "address", "issued")
_BHYT = ("card", "name", "born", "sex", "address", "facility", "start", "end", "", "", "", "area", "five_years")


def read_qr(text: str) -> person.Account:
    """The card whose QR code holds this text. Raises UnreadableInput when it is neither of the two, or names nobody."""
    fields = [field.strip() for field in text[: LONGEST + 1].strip().split("|")]
    if (
        len(text) <= LONGEST
        and identity_kind(bare(fields[0])) == "cccd"
        and len(fields) >= 5
        and not _is_hex(fields[1])
    ):
        return _cccd(_named(_CCCD, fields))
    number = parse_bhyt_number(fields[0])
    if len(text) <= LONGEST and number is not None and number.kind != "other" and len(fields) >= 4:
        return _bhyt(_named(_BHYT, fields))
    raise UnreadableInput(
        "Mã QR này không phải của thẻ căn cước (CCCD) hay thẻ BHYT; hãy quét lại hoặc nhập tay",
        "this QR code is neither of a CCCD nor of a BHYT card; scan it again or type the facts",
    )


def _named(names: tuple[str, ...], fields: list[str]) -> dict[str, str]:
    return dict.fromkeys(names, "") | {name: value for name, value in zip(names, fields, strict=False) if name}


def _cccd(facts: dict[str, str]) -> person.Account:
    patient, warnings = _patient(facts["name"], _born(facts["born"]), facts["sex"], facts["address"])
    identifiers = []
    for name in ("number", "cmnd"):
        entry, found = person.identity_identifier(name, facts[name], patient["gender"], patient["birthDate"])
        warnings += found
        if entry:
            identifiers.append(entry if name == "number" else {**entry, "use": "old"})
    return person.Account(
        person.urn(identifiers[0]["system"], identifiers[0]["value"]),
        _with_identifiers(patient, identifiers),
        (),
        tuple(warnings),
    )


def _bhyt(facts: dict[str, str]) -> person.Account:
    number = parse_bhyt_number(facts["card"])
    assert number is not None  # read_qr has seen to it
    name, home = _unhex(facts["name"]), _unhex(facts["address"])
    patient, warnings = _patient(name, parse_date(facts["born"]), facts["sex"], home)
    dates = {key: parse_date(facts[key]) for key in ("start", "end", "five_years")}
    start, end, five_years = (found.value if found else "" for found in dates.values())
    validity = period(start, end)
    identifiers = person.bhyt_identifiers(number, validity)
    full_url = person.urn(identifiers[0]["system"], identifiers[0]["value"])
    area = facts["area"].upper()
    coverage = person.coverage(
        number,
        full_url,
        period=validity,
        facility=facility_code(facts["facility"]),
        area=area if area in ("K1", "K2", "K3") else "",
        five_years=five_years,
    )
    warnings += person.bhyt_warnings("card", number)
    return person.Account(full_url, _with_identifiers(patient, identifiers), (coverage,), tuple(warnings))


def _patient(name: str, born: PartialDate | None, sex: str, address: str) -> tuple[dict[str, Any], list[Problem]]:
    """The Patient without its identifiers, and what is doubtful about it."""
    full = human_name(name)
    if full is None or born is None:
        raise UnreadableInput(
            "Mã QR thiếu họ tên hoặc ngày sinh; hãy quét lại hoặc nhập tay",
            "the QR code has no readable name or birth date; scan it again or type the facts",
        )
    gender, warnings = person.gender("sex", sex, person.SEX_CODINGS["1-2-3"])
    made: dict[str, Any] = {
        "resourceType": "Patient",
        "meta": {"profile": [profile_names.PATIENT]},
        "active": True,
        "name": [full],
        "gender": gender,
        "birthDate": born.value,
    }
    home, found = read_address("address", address)
    if home:
        made["address"] = [home]
    return made, warnings + found


def _with_identifiers(patient: dict[str, Any], identifiers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Patient", "meta": patient["meta"], "identifier": identifiers} | patient


def _born(text: str) -> PartialDate | None:
    """ddMMyyyy, MMyyyy or yyyy."""
    digits = bare(text)
    if not digits.isascii() or not digits.isdigit() or len(digits) not in (4, 6, 8):
        return parse_date(text)
    parts = [digits[-4:], digits[-6:-4], digits[-8:-6]]
    return parse_date("/".join(part for part in reversed(parts) if part))


def _is_hex(text: str) -> bool:
    return len(text) >= 10 and len(text) % 2 == 0 and all(letter in "0123456789abcdefABCDEF" for letter in text)


def _unhex(text: str) -> str:
    """The UTF-8 text that is written as hexadecimal digits; other text as it is."""
    if not _is_hex(text):
        return clean(text)
    try:
        return clean(bytes.fromhex(text).decode("utf-8"))
    except ValueError:
        raise UnreadableInput(
            "Họ tên hoặc địa chỉ trong mã QR không đọc được; hãy quét lại hoặc nhập tay",
            "name or address in the QR code cannot be read; scan it again or type the facts",
        ) from None
