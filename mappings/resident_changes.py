"""Birth, death, move and correction as a registry tells of them; what several messages in any order make of a Patient.

Each field is a register: of one sender the highest sequence counts, of several senders the latest `recorded`. So an
earlier message that arrives late undoes nothing. docs/mappings/resident-changes.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from mappings import person, profile_names, systems
from mappings.addresses import address
from mappings.dates import parse_date
from mappings.identity import Key, judge, numbers
from mappings.json_problems import by_path
from mappings.names import human_name
from mappings.numbers import identity_kind, parse_bhyt_number

Resource = dict[str, Any]
KINDS = ("birth", "death", "move", "correction")
# What each kind must say, and may say.
STATES = {
    "birth": ({"name", "birthDate", "gender"}, {"name", "birthDate", "gender", "cccd", "address"}),
    "death": ({"deceased"}, {"deceased"}),
    "move": ({"address"}, {"address"}),
    "correction": (set(), {"name", "birthDate", "gender", "cccd", "deceased"}),
}
_MOTHER = ("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "MTH")


def _date(text: str) -> None:
    found = parse_date(text)
    if found is None or found.value != text:
        raise ValidationError(
            "Cần ngày dạng yyyy-MM-dd, yyyy-MM hoặc yyyy / a date is needed: yyyy-MM-dd, yyyy-MM, yyyy"
        )


def _cccd(text: str) -> None:
    if identity_kind(text) != "cccd":
        raise ValidationError("Số CCCD có 12 chữ số / a CCCD has 12 digits")


def _text(longest: int, **more: Any) -> fields.String:
    return fields.String(validate=validate.Length(1, longest), **more)


class _PersonSchema(Schema):
    class Meta:
        unknown = RAISE

    cccd = fields.String(validate=_cccd)
    bhyt = _text(15)
    registration = _text(60)
    name = _text(200)
    birthDate = fields.String(validate=_date)


class _ChangesSchema(Schema):
    class Meta:
        unknown = RAISE

    name = _text(200)
    birthDate = fields.String(validate=_date)
    gender = fields.String(validate=validate.OneOf(["male", "female", "other", "unknown"]))
    cccd = fields.String(validate=_cccd)
    address = _text(500)
    deceased = fields.String(validate=_date, allow_none=True)


class ChangeSchema(Schema):
    """The payload of one message."""

    class Meta:
        unknown = RAISE

    sender = fields.String(required=True, validate=validate.Regexp(r"[0-9A-Za-z.-]{1,40}\Z"))
    sequence = fields.Integer(required=True, strict=True, validate=validate.Range(1, 2**53))
    recorded = fields.AwareDateTime(required=True, format="iso")
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    person = fields.Nested(_PersonSchema, required=True)
    changes = fields.Nested(_ChangesSchema, required=True)
    mother = fields.Nested(_PersonSchema(only=("cccd", "bhyt", "name")))


@dataclass(frozen=True, slots=True)
class Change:
    """One message: `person` says whom it is about as the sender knew them, `states` what is so from now on."""

    sender: str
    sequence: int
    recorded: datetime
    kind: str
    person: Mapping[str, str]
    states: Mapping[str, str | None]
    mother: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the message is known by: a sender uses a sequence number once."""
        return f"{self.sender}|{self.sequence}"


def read_change(payload: Any) -> tuple[Change | None, dict[str, list[str]]]:
    """The message of a JSON value; or None and, by JSON path, what is wrong in Vietnamese and English."""
    try:
        json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return None, {"$": ["Có ký tự không hợp lệ / holds a character that is none"]}
    try:
        loaded = ChangeSchema().load(payload if isinstance(payload, dict) else {})
    except ValidationError as error:
        return None, by_path(error.messages)
    states: dict[str, str | None] = loaded["changes"]
    needed, allowed = STATES[loaded["kind"]]
    problems = {f"$.changes.{name}": ["Thiếu / missing"] for name in sorted(needed - states.keys())}
    problems |= {
        f"$.changes.{name}": [f"Không thuộc loại {loaded['kind']} / not part of a {loaded['kind']}"]
        for name in sorted(states.keys() - allowed)
    }
    if not states:
        problems["$.changes"] = ["Không có thay đổi nào / nothing is changed"]
    named = loaded["person"].keys()
    if not {"cccd", "bhyt", "registration"} & named and not {"name", "birthDate"} <= named:
        problems["$.person"] = [
            "Cần cccd, bhyt, registration, hoặc name và birthDate"
            " / cccd, bhyt, registration, or name and birthDate are needed"
        ]
    elif loaded["kind"] == "birth" and "registration" not in loaded["person"]:
        problems["$.person.registration"] = [
            "Thiếu số giấy khai sinh / the number of the birth registration is missing"
        ]
    if problems:
        return None, problems
    sender, sequence, recorded, kind, about = (
        loaded[each] for each in ("sender", "sequence", "recorded", "kind", "person")
    )
    return Change(sender, sequence, recorded, kind, about, states, loaded.get("mother", {})), {}


def described(change: Change) -> Resource:
    """The Patient as the message identifies them, for matching."""
    return _patient(change.person, change.sender)


def _patient(known: Mapping[str, str], sender: str) -> Resource:
    identifiers = [person.identifier("cccd", known["cccd"])] if "cccd" in known else []
    number = parse_bhyt_number(known.get("bhyt", ""))
    identifiers += person.bhyt_identifiers(number, {}) if number else []
    if "registration" in known:
        identifiers.append({"system": systems.BIRTH_REGISTRATION_BASE + sender, "value": known["registration"]})
    patient: Resource = {"resourceType": "Patient", "identifier": identifiers}
    patient |= {"name": [human_name(known["name"])]} if "name" in known else {}
    return patient | ({"birthDate": known["birthDate"]} if "birthDate" in known else {})


def keys(change: Change) -> tuple[Key, ...]:
    """(system, value) by which the person of a message is looked up."""
    return person.match_keys(described(change)["identifier"])


def is_about(change: Change, patient: Resource, applied: Iterable[Change]) -> bool:
    """Whether a message is certainly about a Patient: as they are, or as the messages applied so far knew them.

    Who was called A and then B is found under either name, so that two corrections of A may come in any order.
    """
    registration = (systems.BIRTH_REGISTRATION_BASE + change.sender, change.person.get("registration"))
    if any((it.get("system"), it.get("value")) == registration for it in patient.get("identifier", ())):
        return True
    wanted = described(change)
    accounts: list[Mapping[str, str | None]] = []
    for each in applied:
        accounts += [each.person, each.states]
    texts = {name for each in accounts if (name := each.get("name"))}
    names = [*patient.get("name", ()), *(human_name(text) for text in sorted(texts))]
    births = {patient.get("birthDate", ""), *(each.get("birthDate") or "" for each in accounts)}
    return any(
        judge(wanted, {**patient, "name": names, "birthDate": born}).grade == "certain" for born in sorted(births)
    )


def newborn(change: Change) -> Resource:
    """The new Patient of a birth."""
    base = _patient({"registration": change.person["registration"]}, change.sender)
    return applied({**base, "meta": {"profile": [profile_names.PATIENT]}, "active": True}, change, [change])


def registered(patient: Resource, change: Change) -> Resource:
    """The Patient with the number under which the birth was registered."""
    number = {"system": systems.BIRTH_REGISTRATION_BASE + change.sender, "value": change.person["registration"]}
    known = patient.get("identifier", [])
    return patient if number in known else {**patient, "identifier": [*known, number]}


def is_the_mother(change: Change, patient: Resource) -> bool:
    """Whether a Patient has a number of the mother, and so is not the child."""
    return bool(numbers(_patient(change.mother, change.sender)) & numbers(patient))


def mother_of(change: Change, child: str) -> Resource | None:
    """The RelatedPerson of the mother, when her number is told. `child` is a reference."""
    identifiers = _patient(change.mother, change.sender)["identifier"]
    if not identifiers:
        return None
    name = human_name(change.mother.get("name", ""))
    own = {
        "system": systems.BIRTH_REGISTRATION_BASE + change.sender,
        "value": f"{change.person['registration']}/mother",
    }
    return {
        "resourceType": "RelatedPerson",
        "meta": {"profile": [profile_names.RELATED_PERSON]},
        "identifier": [own, *identifiers],
        "active": True,
        "patient": {"reference": child},
        "relationship": [person.concept(*_MOTHER, text="Mẹ")],
        **({"name": [name]} if name else {}),
    }


def standing(field: str, changes: Iterable[Change]) -> Change | None:
    """The message whose value of a field stands: each sender's highest sequence, then the latest of those."""
    latest: dict[str, Change] = {}
    for change in changes:
        if field in change.states:
            known = latest.get(change.sender)
            if known is None or change.sequence > known.sequence:
                latest[change.sender] = change
    return max(latest.values(), key=lambda it: (it.recorded, it.sender), default=None)


def applied(patient: Resource, change: Change, changes: Iterable[Change]) -> Resource:
    """The Patient once a message is applied; `changes` are all that are known to be about them, this one among them.

    Only the fields that the message states are touched, and each gets the value that stands.
    """
    everything = list(changes)
    result = dict(patient)
    for field in change.states:
        winner = standing(field, everything)
        assert winner is not None
        _set(result, field, winner.states[field])
    if "cccd" in change.states:
        result["identifier"] = _with_cccds(patient.get("identifier", []), everything)
    return result


def _set(patient: Resource, field: str, value: str | None) -> None:
    if field == "name":
        patient["name"] = [human_name(value or "")]
    elif field == "address":
        patient["address"] = [address(value or "")]
    elif field in ("birthDate", "gender"):
        patient[field] = value
    elif field == "deceased":
        patient.pop("deceasedDateTime", None)
        patient |= {"deceasedDateTime": value} if value else {}


def _with_cccds(known: list[Resource], changes: list[Change]) -> list[Resource]:
    """The identifiers with every CCCD that was ever told, all but the one that stands as old."""
    current = standing("cccd", changes)
    assert current is not None
    told = sorted({value for change in changes if (value := change.states.get("cccd"))})
    result = [it if it.get("system") != systems.CCCD else {**it, "use": "old"} for it in known if not _is(it, told)]
    for value in told:
        use = "official" if value == current.states["cccd"] else "old"
        result.append({**person.identifier("cccd", value), "use": use})
    return result


def _is(identifier: Resource, values: list[str]) -> bool:
    return identifier.get("system") == systems.CCCD and identifier.get("value") in values
