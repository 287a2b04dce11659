"""What a citizen declares of earlier years: illnesses, operations, the family, disability, habits. No I/O, no clock.

The lists are those of QĐ 831/QĐ-BYT (personal health record). https://hl7.org/fhir/R4/condition.html,
https://hl7.org/fhir/R4/procedure.html and https://hl7.org/fhir/R4/familymemberhistory.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from fhir_server.citizen.remarks import Remark, choice, one_line

OWN = "http://hososuckhoe.example.vn/fhir"
SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
_TERMS = "http://terminology.hl7.org/CodeSystem"
TEXT_LENGTH = 200
FAMILY_ROWS = ("1", "2", "3")
_FIRST_YEAR = 1900

Entry = tuple[str, str, dict[str, Any]]
"""(which answer it is, resource type, what it says)."""


class Illness(NamedTuple):
    """A tile: number in the list, Vietnamese, English, the SNOMED CT code; "" where the tile has no single meaning."""

    number: str
    vi: str
    en: str
    snomed: str


ILLNESSES = {
    row.number: row
    for row in (
        Illness("1", "Bệnh tim mạch", "Heart disease", "56265001"),
        Illness("2", "Tăng huyết áp", "High blood pressure", "38341003"),
        Illness("3", "Đái tháo đường", "Diabetes", "73211009"),
        Illness("4", "Bệnh dạ dày", "Stomach disease", "29384001"),
        Illness("5", "Bệnh phổi mạn tính", "Chronic lung disease", "413839001"),
        Illness("6", "Hen suyễn", "Asthma", "195967001"),
        Illness("7", "Bướu cổ", "Goitre", "3716002"),
        Illness("8", "Viêm gan", "Hepatitis", "128241005"),
        Illness("9", "Tim bẩm sinh", "Congenital heart disease", "13213009"),
        Illness("10", "Tâm thần", "Mental illness", "74732009"),
        Illness("11", "Tự kỷ", "Autism", "408856003"),
        Illness("12", "Động kinh", "Epilepsy", "84757009"),
        Illness("13", "Ung thư", "Cancer", "363346000"),
        Illness("14", "Lao", "Tuberculosis", "56717001"),
        Illness("15", "Bệnh khác", "Another illness", ""),
    )
}
OTHER_ILLNESS = "15"
DISABILITIES = {
    row.number: row
    for row in (
        Illness("1", "Thính lực", "Hearing", ""),
        Illness("2", "Thị lực", "Sight", ""),
        Illness("3", "Tay", "Arm or hand", ""),
        Illness("4", "Chân", "Leg or foot", ""),
        Illness("5", "Cột sống", "Spine", ""),
        Illness("6", "Môi, hàm ếch", "Lip or palate", ""),
        Illness("7", "Khuyết tật khác", "Another disability", ""),
    )
}
OTHER_DISABILITY = "7"
# v3-RoleCode: https://terminology.hl7.org/CodeSystem-v3-RoleCode.html
RELATIVES = {
    "FTH": ("Cha", "Father"),
    "MTH": ("Mẹ", "Mother"),
    "SIB": ("Anh chị em", "Brother or sister"),
    "CHILD": ("Con", "Child"),
    "GRPRN": ("Ông bà", "Grandparent"),
}


class Habit(NamedTuple):
    """A question about living: LOINC code and display, and the answers as (Vietnamese, English, SNOMED CT code)."""

    loinc: str
    display: str
    vi: str
    answers: dict[str, tuple[str, str, str]]


HABITS = {
    "smoking": Habit(
        "72166-2",
        "Tobacco smoking status",
        "Thuốc lá",
        {
            "never": ("Chưa bao giờ hút thuốc", "Never smoked", "266919005"),
            "former": ("Đã bỏ thuốc", "Gave up smoking", "8517006"),
            "current": ("Đang hút thuốc", "Smokes", "77176002"),
        },
    ),
    "alcohol": Habit(
        "11331-6",
        "History of Alcohol use",
        "Rượu bia",
        {
            "never": ("Không uống rượu bia", "Drinks no alcohol", ""),
            "former": ("Đã bỏ rượu bia", "Gave up alcohol", ""),
            "some": ("Thỉnh thoảng uống rượu bia", "Drinks alcohol at times", ""),
            "often": ("Thường xuyên uống rượu bia", "Drinks alcohol often", ""),
        },
    ),
    "activity": Habit(
        "73985-4",
        "Exercise activity",
        "Vận động",
        {
            "none": ("Ít vận động", "Little exercise", ""),
            "some": ("Có vận động", "Some exercise", ""),
            "often": ("Vận động thường xuyên", "Regular exercise", ""),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class History:
    """The answers, understood; nothing declared is empty. `family` are (relative, number of an illness)."""

    illnesses: tuple[str, ...] = ()
    illness_other: str = ""
    surgery: str = ""
    surgery_year: str = ""
    disabilities: tuple[str, ...] = ()
    disability_other: str = ""
    family: tuple[tuple[str, str], ...] = ()
    habits: tuple[tuple[str, str], ...] = ()


NOTHING = History()


def read_history(form: Mapping[str, str], problems: list[Remark], today: date) -> History:
    """Understand illness_1 to illness_15 and illness_other, surgery and surgery_year, relative_1 to relative_3 with
    family_1 to family_3, disability_1 to disability_7 and disability_other, smoking, alcohol and activity."""
    illnesses = tuple(number for number in ILLNESSES if form.get(f"illness_{number}"))
    disabilities = tuple(number for number in DISABILITIES if form.get(f"disability_{number}"))
    habits = [
        (name, choice(form.get(name, ""), tuple(habit.answers), name, problems)) for name, habit in HABITS.items()
    ]
    return History(
        illnesses=illnesses,
        illness_other=_text(form, "illness_other", OTHER_ILLNESS in illnesses, problems),
        surgery=_text(form, "surgery", bool(form.get("surgery_year", "").strip()), problems),
        surgery_year=_year(form.get("surgery_year", ""), problems, today),
        disabilities=disabilities,
        disability_other=_text(form, "disability_other", OTHER_DISABILITY in disabilities, problems),
        family=_family(form, problems),
        habits=tuple((name, answer) for name, answer in habits if answer is not None),
    )


def history_contents(history: History, recorded: str) -> list[Entry]:
    """What becomes of the answers; nothing of whom. `recorded` is the day, for habits that are so now."""
    return [
        *_conditions("illness", ILLNESSES, history.illnesses, OTHER_ILLNESS, history.illness_other),
        *_surgery(history),
        *_relatives(history),
        *_conditions("disability", DISABILITIES, history.disabilities, OTHER_DISABILITY, history.disability_other),
        *_habits(history, recorded),
    ]


def _text(form: Mapping[str, str], name: str, needed: bool, problems: list[Remark]) -> str:
    text = one_line(form.get(name, ""))
    if needed and not text:
        problems.append(Remark(name, "declare.say_which"))
    elif len(text) > TEXT_LENGTH:
        problems.append(Remark(name, "declare.too_long", {"most": str(TEXT_LENGTH)}))
    return text


def _year(text: str, problems: list[Remark], today: date) -> str:
    text = text.strip()
    if text and not (len(text) == 4 and text.isascii() and text.isdigit() and _FIRST_YEAR <= int(text) <= today.year):
        problems.append(Remark("surgery_year", "declare.year", {"low": str(_FIRST_YEAR), "high": str(today.year)}))
        return ""
    return text


def _family(form: Mapping[str, str], problems: list[Remark]) -> tuple[tuple[str, str], ...]:
    found = []
    for row in FAMILY_ROWS:
        relative = choice(form.get(f"relative_{row}", ""), tuple(RELATIVES), f"relative_{row}", problems)
        illness = choice(form.get(f"family_{row}", ""), tuple(ILLNESSES), f"family_{row}", problems)
        if relative and illness:
            found.append((relative, illness))
        elif relative or illness:
            problems.append(Remark(f"family_{row}" if relative else f"relative_{row}", "declare.family_both"))
    return tuple(dict.fromkeys(found))


def _named(row: Illness, text: str = "") -> dict[str, Any]:
    coding = [{"system": SNOMED, "code": row.snomed, "display": row.en}] if row.snomed else []
    return {**({"coding": coding} if coding else {}), "text": text or row.vi}


def _status(kind: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{_TERMS}/condition-{kind}", "code": code}]}


def _conditions(kind: str, rows: Mapping[str, Illness], numbers: tuple[str, ...], other: str, text: str) -> list[Entry]:
    """A tile each; what was typed without its tile counts as the tile "other"."""
    chosen = [*(number for number in numbers if number != other), *([other] if text else [])]
    category = {"text": "Khuyết tật (disability)"} if kind == "disability" else {"text": "Tiền sử bệnh (past illness)"}
    return [
        (
            f"{kind}-{number}",
            "Condition",
            {
                "clinicalStatus": _status("clinical", "active"),
                "verificationStatus": _status("ver-status", "unconfirmed"),
                "category": [
                    {"coding": [{"system": f"{_TERMS}/condition-category", "code": "problem-list-item"}]},
                    category,
                ],
                "code": _named(rows[number], text if number == other else ""),
            },
        )
        for number in chosen
    ]


def _surgery(history: History) -> list[Entry]:
    if not history.surgery:
        return []
    when = {"performedDateTime": history.surgery_year} if history.surgery_year else {}
    surgical = {"system": SNOMED, "code": "387713003", "display": "Surgical procedure"}
    content = {"status": "completed", "category": {"coding": [surgical]}, "code": {"text": history.surgery}, **when}
    return [("surgery", "Procedure", content)]


def _relatives(history: History) -> list[Entry]:
    return [
        (
            f"family-{relative}-{number}",
            "FamilyMemberHistory",
            {
                "status": "partial",
                "relationship": {
                    "coding": [
                        {"system": f"{_TERMS}/v3-RoleCode", "code": relative, "display": RELATIVES[relative][1]}
                    ],
                    "text": RELATIVES[relative][0],
                },
                "condition": [{"code": _named(ILLNESSES[number])}],
            },
        )
        for relative, number in history.family
    ]


def _habits(history: History, recorded: str) -> list[Entry]:
    entries: list[Entry] = []
    for name, answer in history.habits:
        habit = HABITS[name]
        vi, en, snomed = habit.answers[answer]
        coding = [{"system": SNOMED, "code": snomed, "display": en}] if snomed else []
        content = {
            "status": "final",
            "category": [
                {"coding": [{"system": f"{_TERMS}/observation-category", "code": "social-history"}]},
            ],
            "code": {"coding": [{"system": LOINC, "code": habit.loinc, "display": habit.display}], "text": habit.vi},
            "effectiveDateTime": recorded,
            "valueCodeableConcept": {**({"coding": coding} if coding else {}), "text": vi},
        }
        entries.append((name, "Observation", content))
    return entries
