"""Whether an incoming person is one who is already known: certain, possible or no match, each with its reasons.

A number is typed and read by people, so it never decides alone: CCCD makes certain where the birth date agrees and the
name at least resembles, every other number where birth date and folded name agree. What speaks for and against at once
is for a person to decide. Rules and measurements: docs/mappings/identity.md and docs/bench-identity.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mappings import systems
from mappings.dates import agree
from mappings.names import fold, one_slip, resembles
from mappings.numbers import bare, parse_bhyt_number
from mappings.problems import Problem, problem

Key = tuple[str, str]
Grade = Literal["certain", "possible", "none"]
Patient = dict[str, Any]

_WHOLE = len("2026-11-24")
_NEAR = ("near", "doubtful")
_GENERATION = 12  # years; a parent is older than the child by more
# Numbers a person has one of for life, or one of at a time: two of them that differ speak of two people.
_ONLY_ONE = (systems.CCCD, systems.BHXH_NUMBER)


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact that two accounts of a person share. `agrees` tells for or against; the words name no value."""

    code: str
    agrees: bool
    vi: str
    en: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How two accounts of a person stand to each other, and why."""

    grade: Grade
    reasons: tuple[Reason, ...]

    def told(self) -> tuple[str, str]:
        """The reasons as one sentence in Vietnamese and one in English, without any value."""
        return "; ".join(each.vi for each in self.reasons), "; ".join(each.en for each in self.reasons)


@dataclass(frozen=True, slots=True)
class Match:
    """`patient` is the one certainly known person or None; `corrected` what differs from what is known of them.

    `possible` are those who may be the same and wait for a person to decide; `doubt` says so of the first of them.
    `several`: two or more of them are certainly the incoming person, and so each other.
    """

    patient: Patient | None = None
    doubt: Problem | None = None
    corrected: Problem | None = None
    possible: tuple[tuple[Patient, Verdict], ...] = ()
    several: bool = False


_REASONS: dict[tuple[str, bool], tuple[str, str]] = {
    ("cccd", True): ("cùng số CCCD", "same CCCD"),
    ("cccd", False): ("khác số CCCD", "another CCCD"),
    ("bhxh-number", True): ("cùng mã số BHXH", "same BHXH number"),
    ("bhxh-number", False): ("khác mã số BHXH", "another BHXH number"),
    ("number-alike", True): ("số giấy tờ chỉ khác một chữ số", "the numbers differ in one digit"),
    ("number", True): ("cùng số giấy tờ khác", "another number is the same"),
    ("name", True): ("cùng họ tên", "same name"),
    ("name-alike", True): ("họ tên gần giống", "names resemble each other"),
    ("name", False): ("khác họ tên", "another name"),
    ("birth-date", True): ("cùng ngày sinh", "same birth date"),
    ("birth-year", True): ("cùng năm sinh, ngày chưa rõ", "same year of birth, the day is not known"),
    ("birth-date-alike", True): (
        "ngày sinh gần giống (đảo ngày tháng hoặc sai một chữ số)",
        "birth dates resemble each other (day and month swapped, or one digit off)",
    ),
    ("birth-date", False): ("khác ngày sinh", "another birth date"),
    ("sex", True): ("cùng giới tính", "same sex"),
    ("sex", False): ("khác giới tính", "another sex"),
    ("phone", True): ("cùng số điện thoại", "same telephone number"),
}


def _names(patient: Mapping[str, Any]) -> set[str]:
    return {fold(name["text"]) for name in patient.get("name", ()) if name.get("text")}


def numbers(patient: Mapping[str, Any]) -> set[Key]:
    """(system, bare value) of everything a Patient is known by; the 10 digits of a card count as the BHXH number."""
    found: set[Key] = set()
    for entry in patient.get("identifier", ()):
        system, value = entry.get("system", ""), bare(entry.get("value", ""))
        if not value:
            continue
        found.add((system, value))
        card = parse_bhyt_number(value) if system == systems.BHYT_CARD else None
        if card is not None and card.bhxh:
            found.add((systems.BHXH_NUMBER, card.bhxh))
    return found


def judge(one: Mapping[str, Any], other: Mapping[str, Any], *, by_name: bool = True) -> Verdict:
    """How two Patients stand to each other; the order of the two does not matter.

    `by_name=False` is for accounts that may give a newborn the name of a parent: there a name tells nothing.
    """
    shared, differing = _numbers(one, other)
    name = _name(one, other) if by_name else ""
    born = _born(one.get("birthDate", ""), other.get("birthDate", ""))
    reasons = [_reason(code, True) for code in shared] + [_reason(code, False) for code in differing]
    reasons += [_REASON_OF_NAME[name]] if name else []
    reasons += [_REASON_OF_BIRTH[born]] if born else []
    sex = _sex(one, other)
    reasons += [_reason("sex", sex)] if sex is not None else []
    if shared:
        certain = not differing and _confirmed(shared, name, born, by_name)
        return Verdict("certain" if certain else "possible", tuple(reasons))
    mistyped = _mistyped(one, other, differing)
    reasons += [_reason("number-alike", True)] if mistyped else []
    phone = name == "same" and not born and bool(_phones(one) & _phones(other))
    reasons += [_reason("phone", True)] if phone else []
    maybe = sex is not False and (_maybe(name, born, bool(differing), mistyped) or (phone and not differing))
    return Verdict("possible" if maybe else "none", tuple(reasons))


def _maybe(name: str, born: str, differing: bool, mistyped: bool) -> bool:
    """Whether people without a common number may be one; never more than that, since many share name and birth date."""
    if differing:
        return mistyped and name == "same" and born == "same"
    return born == "same" if name == "alike" else name == "same" and born in ("same", "year", *_NEAR)


def _mistyped(one: Mapping[str, Any], other: Mapping[str, Any], differing: list[str]) -> bool:
    """Whether every number in which they differ is one slip away from the other's."""
    here, there = numbers(one), numbers(other)
    return bool(differing) and all(
        any(one_slip(a, b) for s, a in here if s == system for t, b in there if t == system)
        for system in _ONLY_ONE
        if _CODES[system] in differing
    )


def _confirmed(shared: list[str], name: str, born: str, by_name: bool) -> bool:
    """Whether name and birth date confirm what a shared number says."""
    if not by_name:
        return born in ("same", "year")
    if "cccd" in shared and born == "same":
        return name in ("same", "alike", "")
    if "cccd" in shared and not born and not name:
        return True
    return name == "same" and born in ("same", "year", *_NEAR)


def _numbers(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(codes of numbers both have, codes of numbers of which each has another one)."""
    here, there = numbers(one), numbers(other)
    common = {system for system, _ in here & there}
    shared = [_CODES[system] for system in _ONLY_ONE if system in common]
    if common - {*_ONLY_ONE, systems.BHYT_CARD}:
        shared.append("number")
    each = [(system, {s for s, _ in here}, {s for s, _ in there}) for system in _ONLY_ONE]
    differing = [_CODES[system] for system, a, b in each if system in a and system in b and system not in common]
    if not shared and systems.BHYT_CARD in common:
        shared.append("number")
    return shared, differing


def _name(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """same, alike, differs; "" when one of them has no name."""
    here, there = _names(one), _names(other)
    if not here or not there:
        return ""
    if here & there:
        return "same"
    return "alike" if any(resembles(a, b) for a in here for b in there) else "differs"


def _born(one: str, other: str) -> str:
    """same (the whole day), year (as far as known), near, doubtful, differs; "" when one is not known."""
    if not one or not other:
        return ""
    if agree(one, other):
        return "same" if min(len(one), len(other)) == _WHOLE else "year"
    if one[:4] == other[:4] and (one[4:] == "-01-01" or other[4:] == "-01-01"):
        return "doubtful"  # 1 January stands for "only the year is known" in older data
    if len(one) == len(other) == _WHOLE:
        swapped = one[:4] == other[:4] and (one[5:7], one[8:]) == (other[8:], other[5:7])
        slip = sum(a != b for a, b in zip(one, other, strict=True)) == 1
        # A child may come with a parent's name and card, and be born on the same day of the year.
        if swapped or (slip and abs(int(one[:4]) - int(other[:4])) < _GENERATION):
            return "near"
    return "differs"


def _phones(patient: Mapping[str, Any]) -> set[str]:
    contacts = patient.get("telecom", ())
    return {bare(each["value"]) for each in contacts if each.get("system") == "phone" and each.get("value")}


def _sex(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool | None:
    known = {"male", "female"}
    here, there = one.get("gender"), other.get("gender")
    return here == there if here in known and there in known else None


def _reason(code: str, agrees: bool) -> Reason:
    return Reason(code, agrees, *_REASONS[code, agrees])


_CODES = {systems.CCCD: "cccd", systems.BHXH_NUMBER: "bhxh-number"}
_REASON_OF_NAME = {
    "same": _reason("name", True),
    "alike": _reason("name-alike", True),
    "differs": _reason("name", False),
}
_REASON_OF_BIRTH = {
    "same": _reason("birth-date", True),
    "year": _reason("birth-year", True),
    "near": _reason("birth-date-alike", True),
    "doubtful": _reason("birth-year", True),
    "differs": _reason("birth-date", False),
}


def match(
    incoming: Mapping[str, Any],
    keys: Iterable[Key],
    known: Mapping[Key, list[Patient]],
    *,
    others: Iterable[Patient] = (),
    by_name: bool = True,
) -> Match:
    """Find the incoming Patient among the known ones, which stand under the numbers they carry.

    A known Patient that stands under several numbers is one and the same object. `others` may be meant though no
    number says so: those of a like name and birth date.
    """
    candidates: dict[int, tuple[Patient, str]] = {}
    for key in keys:
        for candidate in known.get(key, ()):
            candidates.setdefault(id(candidate), (candidate, key[1]))
    for candidate in others:
        candidates.setdefault(id(candidate), (candidate, ""))
    judged = [
        (candidate, value, judge(incoming, candidate, by_name=by_name)) for candidate, value in candidates.values()
    ]
    certain = [each for each in judged if each[2].grade == "certain"]
    possible = [each for each in judged if each[2].grade != "none"]
    found = tuple((candidate, verdict) for candidate, _, verdict in possible)
    if len(certain) > 1:
        return Match(doubt=_two_people(certain[1][1]), possible=found, several=True)
    if certain:
        candidate, value, verdict = certain[0]
        # Numbers that lead to somebody else of the same name are no slip of the pen, unless it was decided before
        # that all of them belong to this record.
        if numbers(incoming) <= numbers(candidate) or not any(_rivals(each) for each in possible):
            return Match(patient=candidate, corrected=_corrected(value, verdict))
        return Match(doubt=_two_people(value), possible=found)
    return Match(doubt=_doubt(*possible[0][1:]) if possible else None, possible=found)


def _rivals(judged: tuple[Patient, str, Verdict]) -> bool:
    _, value, verdict = judged
    named = any(reason.code == "name" and reason.agrees for reason in verdict.reasons)
    return bool(value) and verdict.grade == "possible" and named


def _two_people(value: str) -> Problem:
    return problem(
        "identifier",
        value,
        "Các số giấy tờ trỏ đến hai người khác nhau; cần cán bộ xem xét",
        "the numbers lead to two different people; somebody has to decide",
    )


def _doubt(value: str, verdict: Verdict) -> Problem:
    vi, en = verdict.told()
    return problem(
        "identifier" if value else "name",
        value,
        f"Có thể là người đã có hồ sơ ({vi}); cần cán bộ xem xét",
        f"may be a person who has a record already ({en}); somebody has to decide",
    )


def _corrected(value: str, verdict: Verdict) -> Problem | None:
    codes = {reason.code for reason in verdict.reasons}
    different = "name" if "name-alike" in codes else "birthDate" if "birth-date-alike" in codes else ""
    if not different:
        return None
    what_vi, what_en = ("Ngày sinh", "birth date") if different == "birthDate" else ("Họ tên", "name")
    return problem(
        different,
        value,
        f"{what_vi} khác với hồ sơ đã có, đã cập nhật",
        f"the {what_en} differs from the record and has been updated",
    )
