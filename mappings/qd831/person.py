"""THONGTINCHUNG and a Patient, both ways. https://hl7.org/fhir/R4/patient.html

What QĐ 831 has no place for (older cards and numbers, periods of cards, a second address of a kind) stays in FHIR only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mappings import person, profile_names, systems
from mappings.addresses import read_address
from mappings.code_lists import codes
from mappings.dates import parse_date
from mappings.names import clean, human_name
from mappings.numbers import parse_bhyt_number
from mappings.places import NEW, OLD, places
from mappings.problems import Problem, problem
from mappings.qd831.record import Row
from mappings.qd831.table import PERSON

Resource = dict[str, Any]
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
_SEXES = {"male": "1", "female": "2"}
# Its religions are numbered otherwise than those of the VN Core list, so they have a system of their own.
_CODED = (
    ("MADANTOC", systems.PATIENT_ETHNIC_GROUP, systems.ETHNIC_GROUP, ""),
    ("MATONGIAO", systems.PATIENT_RELIGION, systems.HEALTH_RECORD_ITEM, "MATONGIAO/"),
    ("MANGHENGHIEP", systems.PATIENT_OCCUPATION, systems.OCCUPATION, ""),
)
_ADDRESSES = (("THUONGTRU", "postal"), ("HIENTAI", ""))
_PLACES = (("MATINH", "state"), ("MAHUYEN", "district"), ("MAXA", "city"))
_PAPERS = (systems.CCCD, systems.CMND, systems.PASSPORT, systems.OTHER_NUMBER)


def fhir_date(text: str) -> str:
    """The FHIR date of a text; empty when it is none."""
    read = parse_date(text)
    return read.value if read else ""


def vietnamese_date(date: str) -> str:
    """dd/MM/yyyy of a FHIR date or dateTime, as far as it is known."""
    return "/".join(reversed(date[:10].split("-")))


def patient_of(row: Row) -> tuple[Resource, list[Problem]]:
    """The Patient that THONGTINCHUNG describes, and what is doubtful about it."""
    sex, remarks = person.gender(f"{PERSON}/GIOITINH", row.get("GIOITINH", ""), person.SEX_CODINGS["1-2-3"])
    born = fhir_date(row.get("NGAYSINH", ""))
    if not born:
        remarks.append(
            problem(
                f"{PERSON}/NGAYSINH", row.get("NGAYSINH", ""), "Ngày sinh không đọc được", "birth date not readable"
            )
        )
    patient: Resource = {"resourceType": "Patient", "meta": {"profile": [profile_names.PATIENT]}}
    addresses, found = _addresses(row)
    telecom = list(_telecom(row))
    name = human_name(row.get("HOTEN", ""))
    identifiers, doubts = _identifiers(row, sex, born)
    parts: Resource = {
        "extension": list(_extensions(row, remarks)),
        "identifier": identifiers,
        "name": [name] if name else [],
        "telecom": telecom,
        "address": addresses,
        "birthDate": born,
    }
    patient |= {element: value for element, value in parts.items() if value}
    return {**patient, "active": True, "gender": sex}, [*remarks, *found, *doubts]


def _identifiers(row: Row, sex: str, born: str) -> tuple[list[Resource], list[Problem]]:
    found: dict[tuple[str, str], Resource] = {}
    remarks: list[Problem] = []
    for field in ("MADINHDANH", "SOCMND"):
        identifier, doubts = person.identity_identifier(f"{PERSON}/{field}", row.get(field, ""), sex, born)
        remarks += doubts
        if identifier is None:
            continue
        if field == "SOCMND":
            issued, by = fhir_date(row.get("NGAYCAP", "")), row.get("NOICAP", "")
            identifier |= {"period": {"start": issued}} if issued else {}
            identifier |= {"assigner": {"display": by}} if by else {}
        found[identifier["system"], identifier["value"]] = identifier
    for field in ("MABHXH", "MATHE"):
        number = parse_bhyt_number(row.get(field, ""))
        if number is not None:
            remarks += person.bhyt_warnings(f"{PERSON}/{field}", number)
            for identifier in person.bhyt_identifiers(number, {}):
                found.setdefault((identifier["system"], identifier["value"]), identifier)
    return list(found.values()), remarks


def _extensions(row: Row, remarks: list[Problem]) -> Iterator[Resource]:
    for field, url, system, prefix in _CODED:
        code = row.get(field, "")
        if field == "MADANTOC" and code and code not in codes("ethnic_groups"):
            remarks.append(
                problem(f"{PERSON}/{field}", code, "Mã dân tộc không có trong danh mục", "unknown ethnic group code")
            )
        elif code:
            yield {"url": url, "valueCodeableConcept": person.concept(system, f"{prefix}{code}")}
    if code := row.get("MAQUOCTICH", ""):
        value = {"url": "code", "valueCodeableConcept": person.concept(systems.NATIONALITY, code)}
        yield {"url": systems.PATIENT_NATIONALITY, "extension": [value]}
    if code := row.get("MATINH_KHAISINH", ""):
        yield {"url": BIRTH_PLACE, "valueAddress": {**_province(code), "country": "VN"}}


def _province(code: str) -> Resource:
    """The state of an Address: which version of the codes is meant is not said, so one of two meanings stays as it was sent."""
    known = [found[code] for version in (OLD, NEW) if code in (found := places("province", version))]
    if len({place.name for place in known}) != 1:
        return {"state": code}
    coding = {"system": systems.PROVINCE, "version": known[0].version, "code": code}
    return {
        "state": known[0].name,
        "_state": {"extension": [{"url": systems.PLACE_CODE, "valueCoding": coding}]},
    }


def _addresses(row: Row) -> tuple[list[Resource], list[Problem]]:
    addresses, remarks = [], []
    for kind, use in _ADDRESSES:
        named = {field: row.get(f"{field}_{kind}", "") for field, _ in _PLACES}
        address, doubts = read_address(
            f"{PERSON}/DIACHI_{kind}",
            row.get(f"DIACHI_{kind}", ""),
            province=named["MATINH"],
            district=named["MAHUYEN"],
            ward=named["MAXA"],
        )
        remarks += doubts
        if address:
            addresses.append({**address, "type": use} if use else address)
    return addresses, remarks


def _telecom(row: Row) -> Iterator[Resource]:
    yield from ({**it, "use": "home"} for it in person.phone(row.get("DIENTHOAI_CD", "")))
    yield from person.phone(row.get("DIENTHOAI_DD", ""))
    if email := row.get("EMAIL"):
        yield {"system": "email", "value": email}


def row_of(patient: Resource) -> Row:
    """THONGTINCHUNG of a Patient."""
    row: Row = {}
    current = [entry for entry in patient.get("identifier", ()) if entry.get("use") != "old" and entry.get("value")]
    row["MADINHDANH"] = _value(current, systems.CCCD)
    row["MABHXH"] = _value(current, systems.BHXH_NUMBER)
    row["MATHE"] = _value(current, systems.BHYT_CARD)
    paper: Resource = next((entry for system in _PAPERS for entry in current if entry.get("system") == system), {})
    row["SOCMND"] = paper.get("value", "")
    row["NGAYCAP"] = vietnamese_date(paper.get("period", {}).get("start", ""))
    row["NOICAP"] = paper.get("assigner", {}).get("display", "")
    name: Resource = next(iter(patient.get("name", ())), {})
    row["HOTEN"] = name.get("text") or clean(" ".join([name.get("family", ""), *name.get("given", ())]))
    row["GIOITINH"] = _SEXES.get(patient.get("gender", ""), "")
    row["NGAYSINH"] = vietnamese_date(patient.get("birthDate", ""))
    row |= _codes_of(patient.get("extension", ()))
    for kind, use in _ADDRESSES:
        address: Resource = next(
            (it for it in patient.get("address", ()) if (it.get("type") == "postal") == bool(use)), {}
        )
        row[f"DIACHI_{kind}"] = address.get("text", "")
        row |= {f"{field}_{kind}": _place(address, element) for field, element in _PLACES}
    row |= _contacts_of(patient.get("telecom", ()))
    return {field: text for field, text in row.items() if text}


def _value(identifiers: Iterable[Resource], system: str) -> str:
    return next((entry["value"] for entry in identifiers if entry.get("system") == system), "")


def _codes_of(extensions: Iterable[Resource]) -> Row:
    row: Row = {}
    by_url = {extension["url"]: extension for extension in extensions}
    for field, url, system, prefix in _CODED:
        codings = by_url.get(url, {}).get("valueCodeableConcept", {}).get("coding", ())
        row[field] = next((it["code"].removeprefix(prefix) for it in codings if it.get("system") == system), "")
    for part in by_url.get(systems.PATIENT_NATIONALITY, {}).get("extension", ()):
        codings = part.get("valueCodeableConcept", {}).get("coding", ())
        row["MAQUOCTICH"] = next((it["code"] for it in codings if it.get("system") == systems.NATIONALITY), "")
    born: Resource = by_url.get(BIRTH_PLACE, {}).get("valueAddress", {})
    sent = born.get("state", "")
    row["MATINH_KHAISINH"] = _place(born, "state") or (sent if sent.isascii() and sent.isdigit() else "")
    return row


def _place(address: Resource, element: str) -> str:
    """The code of a part of an Address as it was first stated: today's stands behind an old one."""
    extensions = address.get(f"_{element}", {}).get("extension", ())
    return next((it["valueCoding"]["code"] for it in extensions if it.get("url") == systems.PLACE_CODE), "")


def _contacts_of(telecom: Iterable[Resource]) -> Row:
    row: Row = {}
    for contact in telecom:
        phone = "DIENTHOAI_CD" if contact.get("use") == "home" else "DIENTHOAI_DD"
        field = {"phone": phone, "email": "EMAIL"}.get(contact.get("system", ""))
        if field:
            row.setdefault(field, contact.get("value", ""))
    return row
