"""What XML1 says beside the Encounter: diagnoses, operations, weight, blood group, and what comes after the visit.

https://hl7.org/fhir/R4/condition.html, https://hl7.org/fhir/R4/careplan.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mappings import laboratory, profile_names, systems
from mappings.dates import parse_date, parse_timestamp
from mappings.giamdinhhs import Visit
from mappings.names import clean
from mappings.person import concept
from mappings.problems import problem
from mappings.qd130.parts import Gathering, Part, Resource, shaped, split

_BLOOD_GROUP = re.compile(r"(AB|A|B|O)\s*[,/ ]?\s*(?:RH|RHESUS)?\s*(?:\(?D\)?)?\s*\(?\s*(\+|-|DUONG|AM|POS|NEG)?\s*\)?")
_RHESUS = {"+": "pos", "-": "neg", "DUONG": "pos", "AM": "neg", "POS": "pos", "NEG": "neg"}
_HEAVIEST_KG = 500
_HEAVIEST_NEWBORN_G = 10_000
# Encounter.diagnosis.use by the beginning of a Condition's key.
_ROLES = {"XML1/CHAN_DOAN_VAO": "AD", "XML1/MA_BENH_YHCT": "CM"}


def diagnosis_role(key: str, position: int) -> Resource:
    """How a diagnosis stands in its visit: on admission, the main one, or one that accompanies it."""
    role = next((role for start, role in _ROLES.items() if key.startswith(start)), "CM" if position else "DD")
    return concept(systems.DIAGNOSIS_ROLE, role)


def parts(gathering: Gathering) -> Iterator[Part]:
    """The Conditions, the main diagnosis first, then what was measured, operated and planned."""
    yield from _conditions(gathering.visit)
    yield from _operations(gathering.visit)
    yield from _measurements(gathering)
    yield from _plan(gathering)


def _conditions(visit: Visit) -> Iterator[Part]:
    summary = visit.summary
    main, accompanying = (split(summary.get(name, "").upper()) for name in ("MA_BENH_CHINH", "MA_BENH_KT"))
    codes = list(dict.fromkeys([*main, *accompanying]))
    written = [clean(text) for text in summary.get("CHAN_DOAN_RV", "").split(";") if clean(text)]
    # The diagnosis text lists all diagnoses; only when there are as many as codes does each name one.
    texts = written if len(written) == len(codes) else ["; ".join(written)]
    for position, code in enumerate(codes):
        diagnosis: Resource = {"coding": [{"system": systems.ICD_10, "code": code}]}
        if position < len(texts) and texts[position]:
            diagnosis["text"] = texts[position]
        cured = position == 0 and summary.get("KET_QUA_DTRI") == "1"
        yield f"XML1/MA_BENH/{code}", _condition(visit, diagnosis, "resolved" if cured else "active")
    if not codes and written:
        yield "XML1/CHAN_DOAN_RV", _condition(visit, {"text": texts[0]})
    for code in split(summary.get("MA_BENH_YHCT", "").upper()):
        yield f"XML1/MA_BENH_YHCT/{code}", _condition(visit, concept(systems.TRADITIONAL_MEDICINE, code))
    if first := clean(summary.get("CHAN_DOAN_VAO", "")):
        yield "XML1/CHAN_DOAN_VAO", _condition(visit, {"text": first}, certainty="provisional")


def _condition(visit: Visit, code: Resource, status: str = "active", certainty: str = "confirmed") -> Resource:
    return shaped(
        "Condition",
        profile_names.CONDITION,
        clinicalStatus=concept(systems.CONDITION_CLINICAL, status),
        verificationStatus=concept(systems.CONDITION_VERIFICATION, certainty),
        category=[concept(systems.CONDITION_CATEGORY, "encounter-diagnosis")],
        code=code,
        recordedDate=parse_timestamp(visit.summary["NGAY_VAO"]),
    )


def _operations(visit: Visit) -> Iterator[Part]:
    for code in split(visit.summary.get("MA_PTTT_QT", "")):
        procedure = shaped(
            "Procedure", profile_names.PROCEDURE, status="completed", code=concept(systems.ICD_9_CM, code)
        )
        yield f"XML1/MA_PTTT_QT/{code}", {**procedure, "performedPeriod": _during(visit)}


def _during(visit: Visit) -> Resource:
    return {"start": parse_timestamp(visit.summary["NGAY_VAO"])}


def _measurements(gathering: Gathering) -> Iterator[Part]:
    visit, summary = gathering.visit, gathering.visit.summary
    weight = concept(systems.LOINC, "29463-7", "Body weight", "Cân nặng")
    if quantity := _quantity(gathering, "CAN_NANG", summary.get("CAN_NANG", ""), "kg", _HEAVIEST_KG):
        yield (
            "XML1/CAN_NANG",
            _measured(visit, profile_names.VITAL_SIGN, "vital-signs", weight, {"valueQuantity": quantity}),
        )
    if group := summary.get("NHOM_MAU"):
        yield "XML1/NHOM_MAU", _measured(visit, profile_names.BLOOD_GROUP, "laboratory", *_blood_group(group))
    # The weight of a child in its mother's record: no code that would let it pass for hers.
    newborn = {"text": "Cân nặng của con lúc sinh"}
    texts = [text.strip() for text in summary.get("CAN_NANG_CON", "").split(";") if text.strip()]
    for position, text in enumerate(texts, start=1):
        if quantity := _quantity(gathering, "CAN_NANG_CON", text, "g", _HEAVIEST_NEWBORN_G):
            value = {"valueQuantity": quantity}
            yield (
                f"XML1/CAN_NANG_CON/{position}",
                _measured(visit, profile_names.NEWBORN_WEIGHT, "exam", newborn, value),
            )


def _quantity(gathering: Gathering, name: str, text: str, unit: str, heaviest: int) -> Resource:
    number = laboratory.parse_number(text)
    if number and not number[0] and 0 < number[1] <= heaviest:
        return laboratory.quantity(number[1], unit)
    if text:
        gathering.remarks.append(
            problem(f"XML1/{name}", text, "Cân nặng không đọc được, đã bỏ", "weight not readable, left out")
        )
    return {}


def _measured(visit: Visit, profile: str, category: str, code: Resource, value: Resource) -> Resource:
    return shaped(
        "Observation",
        profile,
        status="final",
        category=[concept(systems.OBSERVATION_CATEGORY, category)],
        code=code,
        effectiveDateTime=parse_timestamp(visit.summary["NGAY_VAO"]),
        **value,
    )


def _blood_group(text: str) -> tuple[Resource, Resource]:
    """Code and value of a blood group text such as "O+", "AB Rh-" or "B"; kept as text alone where it is neither."""
    both = concept(systems.LOINC, "882-1", "ABO and Rh group [Type] in Blood", "Nhóm máu")
    plain = text.upper().replace("Ư", "U").replace("Ơ", "O").replace("Â", "A").replace("−", "-")
    found = _BLOOD_GROUP.fullmatch(plain.strip())
    if not found:
        return both, {"valueCodeableConcept": {"text": clean(text)}}
    rhesus = _RHESUS.get(found[2] or "", "")
    code = f"{found[1]}-{rhesus}" if rhesus else found[1]
    abo = concept(systems.LOINC, "883-9", "ABO group [Type] in Blood", "Nhóm máu ABO")
    return both if rhesus else abo, {"valueCodeableConcept": concept(systems.BLOOD_GROUP, code, text=clean(text))}


def _plan(gathering: Gathering) -> Iterator[Part]:
    """Treatment, advice and the days to come back, as one CarePlan."""
    summary = gathering.visit.summary
    activities = []
    for text in split(summary.get("NGAY_TAI_KHAM", "")):
        day = parse_date(text)
        if day is None:
            gathering.remarks.append(
                problem("XML1/NGAY_TAI_KHAM", text, "Ngày tái khám không đọc được", "day of return not readable")
            )
            continue
        detail = {"status": "scheduled", "description": "Tái khám", "scheduledPeriod": {"start": day.value}}
        activities.append({"detail": detail})
    advice, treatment = summary.get("GHI_CHU", ""), summary.get("PP_DIEU_TRI", "")
    if activities or advice or treatment:
        status = "active" if activities else "completed"
        note = [{"text": advice}] if advice else []
        plan = shaped("CarePlan", profile_names.CARE_PLAN, status=status, intent="plan", description=treatment)
        yield (
            "XML1/KE_HOACH",
            plan | ({"activity": activities} if activities else {}) | ({"note": note} if note else {}),
        )
