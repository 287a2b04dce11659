"""What a citizen declares: a form, understood, made into FHIR resources labelled as self-declared. No I/O, no clock.

https://hl7.org/fhir/R4/observation-vitalsigns.html and https://hl7.org/fhir/R4/allergyintolerance.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_server.citizen.declared_history import NOTHING, History, read_history
from fhir_server.citizen.remarks import Remark, choice, one_line

OWN = "http://hososuckhoe.example.vn/fhir"
DECLARATION_SYSTEM = f"{OWN}/sid/declaration"
RECORD_SOURCE_SYSTEM = f"{OWN}/CodeSystem/record-source"
BLOOD_GROUP_SYSTEM = f"{OWN}/CodeSystem/blood-group"
SELF_DECLARED = {"system": RECORD_SOURCE_SYSTEM, "code": "self-declared", "display": "Self-declared"}
# Security label "patient asserted", https://terminology.hl7.org/CodeSystem-v3-ObservationValue.html
PATIENT_ASSERTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "PATAST",
    "display": "patient asserted",
}
CATEGORY_SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-category"
CLINICAL_SYSTEM = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
VERIFICATION_SYSTEM = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
LOINC, UCUM, SNOMED = "http://loinc.org", "http://unitsofmeasure.org", "http://snomed.info/sct"
NO_KNOWN_ALLERGY = {"system": SNOMED, "code": "716186003", "display": "No known allergy"}
ADULT_YEARS = 18
SUBSTANCE_LENGTH = 200
NUMBER = re.compile(r"([0-9]{1,4})(?:\s*[.,]\s*([0-9]{1,3}))?\s*(?:kg|cm|mmhg)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of the form: what is possible at all, and what is usual for adults and for children."""

    name: str
    code: str
    display: str
    unit: str
    ucum: str
    possible: tuple[str, str]
    adult: tuple[str, str]
    child: tuple[str, str]
    whole: bool = False

    def within(self, value: Decimal, limits: tuple[str, str]) -> bool:
        return Decimal(limits[0]) <= value <= Decimal(limits[1])


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("weight", "29463-7", "Body weight", "kg", "kg", ("0.5", "400"), ("30", "150"), ("2", "120")),
        Measure("height", "8302-2", "Body height", "cm", "cm", ("30", "250"), ("130", "200"), ("45", "190")),
        Measure(
            "systolic",
            "8480-6",
            "Systolic blood pressure",
            "mmHg",
            "mm[Hg]",
            ("40", "300"),
            ("80", "179"),
            ("60", "139"),
            whole=True,
        ),
        Measure(
            "diastolic",
            "8462-4",
            "Diastolic blood pressure",
            "mmHg",
            "mm[Hg]",
            ("20", "200"),
            ("40", "119"),
            ("30", "99"),
            whole=True,
        ),
    )
}
# What the codes are called in Vietnamese, for whoever reads the record.
NAMES = {
    "29463-7": "Cân nặng",
    "8302-2": "Chiều cao",
    "85354-9": "Huyết áp",
    "882-1": "Nhóm máu ABO và Rh",
    "883-9": "Nhóm máu ABO",
    "10331-7": "Nhóm máu Rh",
}
BLOOD_PRESSURE = {"system": LOINC, "code": "85354-9", "display": "Blood pressure panel with all children optional"}
ABO, RH = ("A", "B", "AB", "O"), ("+", "-")
# Which LOINC code fits depends on how much of the blood group is known.
BLOOD_GROUP_BOTH = {"system": LOINC, "code": "882-1", "display": "ABO and Rh group [Type] in Blood"}
BLOOD_GROUP_ABO = {"system": LOINC, "code": "883-9", "display": "ABO group [Type] in Blood"}
BLOOD_GROUP_RH = {"system": LOINC, "code": "10331-7", "display": "Rh [Type] in Blood"}
# Kinds of allergy of QĐ 831/QĐ-BYT; "other" has no FHIR category.
ALLERGY_KINDS = {"drug": "medication", "chemical": "environment", "food": "food", "other": None}


@dataclass(frozen=True, slots=True)
class Declaration:
    """The form's answers, understood. Nothing declared is None; decimals keep the digits that were typed."""

    measured: date
    weight: Decimal | None = None
    height: Decimal | None = None
    systolic: Decimal | None = None
    diastolic: Decimal | None = None
    abo: str | None = None
    rh: str | None = None
    no_allergy: bool = False
    allergy_kind: str | None = None
    substance: str | None = None
    history: History = NOTHING


@dataclass(frozen=True, slots=True)
class Reading:
    """A form that was read: refused because of `problems`, or a declaration of which `doubts` should be confirmed."""

    declaration: Declaration | None
    problems: tuple[Remark, ...]
    doubts: tuple[Remark, ...]

    @property
    def doubted(self) -> str:
        """The doubtful values as one text: a confirmation is good for these values and no others."""
        return "|".join(f"{doubt.field}={doubt.values['value']}" for doubt in self.doubts)


def read_form(form: Mapping[str, str], *, today: date, born: date | None = None) -> Reading:
    """Understand the fields weight, height, systolic, diastolic, measured, abo, rh, allergy, kind and substance, and
    those of `read_history`."""
    problems: list[Remark] = []
    numbers = {name: _number(form.get(name, ""), measure, problems) for name, measure in MEASURES.items()}
    _check_pressure(numbers, problems)
    measured = _measured(form.get("measured", ""), today, born, problems)
    abo = choice(form.get("abo", ""), ABO, "abo", problems)
    rh = choice(form.get("rh", ""), RH, "rh", problems)
    allergy = choice(form.get("allergy", ""), ("yes", "no"), "allergy", problems)
    kind, substance = _allergy(form, problems) if allergy == "yes" else (None, None)
    history = read_history(form, problems, today)
    if not problems and not any((*numbers.values(), abo, rh, allergy, history != NOTHING)):
        problems.append(Remark("weight", "declare.nothing"))
    if problems:
        return Reading(None, tuple(problems), ())
    declaration = Declaration(
        measured=measured,
        **numbers,
        abo=abo,
        rh=rh,
        no_allergy=allergy == "no",
        allergy_kind=kind,
        substance=substance,
        history=history,
    )
    return Reading(declaration, (), tuple(_doubts(numbers, born, measured)))


def contents(declaration: Declaration) -> list[tuple[str, str, dict[str, Any]]]:
    """(which answer, type, what it says) of everything that was measured or is an allergy; nothing of whom or when."""
    made = [_measurement(declaration, name) for name in ("weight", "height")]
    made += [_blood_pressure(declaration), _blood_group(declaration)]
    found = [(kind, "Observation", content) for kind, content in filter(None, made)]
    allergy = _allergy_resource(declaration)
    return found + ([] if allergy is None else [("allergy", "AllergyIntolerance", allergy)])


def read_date(text: str) -> date | None:
    """A day as phones send it (2026-03-05) or as people write it (5/3/2026); None for anything else."""
    text = text.strip()
    for pattern, order in (
        (r"(\d{4})-(\d{2})-(\d{2})", (1, 2, 3)),
        (r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", (3, 2, 1)),
    ):
        found = re.fullmatch(pattern, text, re.ASCII)
        if found:
            try:
                return date(*(int(found[part]) for part in order))
            except ValueError:
                return None
    return None


def _number(text: str, measure: Measure, problems: list[Remark]) -> Decimal | None:
    text = text.strip()
    if not text:
        return None
    found = NUMBER.fullmatch(text)
    if found is None or (measure.whole and found[2]):
        problems.append(Remark(measure.name, f"declare.unreadable.{measure.name}"))
        return None
    value = Decimal(f"{int(found[1])}.{found[2]}" if found[2] else str(int(found[1])))
    if not measure.within(value, measure.possible):
        low, high = measure.possible
        problems.append(Remark(measure.name, f"declare.impossible.{measure.name}", {"low": low, "high": high}))
        return None
    return value


def _check_pressure(numbers: dict[str, Decimal | None], problems: list[Remark]) -> None:
    systolic, diastolic = numbers["systolic"], numbers["diastolic"]
    if any(problem.field in ("systolic", "diastolic") for problem in problems):
        return
    if systolic is None and diastolic is not None:
        problems.append(Remark("systolic", "declare.pressure_needs_both"))
    elif diastolic is None and systolic is not None:
        problems.append(Remark("diastolic", "declare.pressure_needs_both"))
    elif systolic is not None and diastolic is not None and systolic <= diastolic:
        problems.append(Remark("systolic", "declare.pressure_order"))


def _measured(text: str, today: date, born: date | None, problems: list[Remark]) -> date:
    if not text.strip():
        return today
    measured = read_date(text)
    if measured is None:
        problems.append(Remark("measured", "declare.unreadable.measured"))
    elif measured > today:
        problems.append(Remark("measured", "declare.future"))
    elif measured < (born or date(1900, 1, 1)):
        problems.append(Remark("measured", "declare.before_birth"))
    return measured or today


def _allergy(form: Mapping[str, str], problems: list[Remark]) -> tuple[str | None, str | None]:
    kind = choice(form.get("kind", ""), tuple(ALLERGY_KINDS), "kind", problems)
    if kind is None and not form.get("kind"):
        problems.append(Remark("kind", "declare.kind_missing"))
    substance = one_line(form.get("substance", ""))
    if not substance:
        problems.append(Remark("substance", "declare.substance_missing"))
    elif len(substance) > SUBSTANCE_LENGTH:
        problems.append(Remark("substance", "declare.substance_long", {"most": str(SUBSTANCE_LENGTH)}))
    return kind, substance


def _doubts(numbers: dict[str, Decimal | None], born: date | None, measured: date) -> list[Remark]:
    grown = born is None or measured.year - born.year - ((measured.month, measured.day) < (born.month, born.day)) >= (
        ADULT_YEARS
    )
    doubts = []
    for name, value in numbers.items():
        measure = MEASURES[name]
        usual = measure.adult if grown else measure.child
        if value is not None and not measure.within(value, usual):
            high = measure.whole and value > Decimal(usual[1])
            doubts.append(
                Remark(name, "declare.high_pressure" if high else f"declare.odd.{name}", {"value": str(value)})
            )
    return doubts


def _quantity(measure: Measure, value: Decimal) -> dict[str, Any]:
    return {"value": value, "unit": measure.unit, "system": UCUM, "code": measure.ucum}


def _observation(category: str, code: Mapping[str, str], measured: date, **value: Any) -> dict[str, Any]:
    return {
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY_SYSTEM, "code": category}]}],
        "code": {"coding": [dict(code)], "text": NAMES[code["code"]]},
        "effectiveDateTime": measured.isoformat(),
        **value,
    }


def _measurement(declaration: Declaration, name: str) -> tuple[str, dict[str, Any]] | None:
    value: Decimal | None = getattr(declaration, name)
    if value is None:
        return None
    measure = MEASURES[name]
    code = {"system": LOINC, "code": measure.code, "display": measure.display}
    quantity = _quantity(measure, value)
    return name, _observation("vital-signs", code, declaration.measured, valueQuantity=quantity)


def _blood_pressure(declaration: Declaration) -> tuple[str, dict[str, Any]] | None:
    if declaration.systolic is None or declaration.diastolic is None:
        return None
    components = []
    for name, value in (("systolic", declaration.systolic), ("diastolic", declaration.diastolic)):
        measure = MEASURES[name]
        code = {"coding": [{"system": LOINC, "code": measure.code, "display": measure.display}]}
        components.append({"code": code, "valueQuantity": _quantity(measure, value)})
    return "pressure", _observation("vital-signs", BLOOD_PRESSURE, declaration.measured, component=components)


def _blood_group(declaration: Declaration) -> tuple[str, dict[str, Any]] | None:
    abo, rh = declaration.abo, declaration.rh
    if abo is None and rh is None:
        return None
    code = BLOOD_GROUP_BOTH if abo and rh else BLOOD_GROUP_ABO if abo else BLOOD_GROUP_RH
    text = " ".join(part for part in (abo, f"Rh{rh}" if rh else None) if part)
    coded = "-".join(part for part in (abo, {"+": "pos", "-": "neg"}.get(rh or "")) if part)
    # A survey answer, not a laboratory result: nobody has looked at the blood.
    value = {"coding": [{"system": BLOOD_GROUP_SYSTEM, "code": coded, "display": text}], "text": text}
    return "blood", _observation("survey", code, declaration.measured, valueCodeableConcept=value)


def _allergy_resource(declaration: Declaration) -> dict[str, Any] | None:
    if not declaration.no_allergy and declaration.substance is None:
        return None
    content: dict[str, Any] = {
        "clinicalStatus": {"coding": [{"system": CLINICAL_SYSTEM, "code": "active"}]},
        "verificationStatus": {"coding": [{"system": VERIFICATION_SYSTEM, "code": "unconfirmed"}]},
    }
    if declaration.no_allergy:
        content["code"] = {"coding": [dict(NO_KNOWN_ALLERGY)], "text": "Không có dị ứng đã biết"}
        return content
    category = ALLERGY_KINDS[declaration.allergy_kind or "other"]
    if category is not None:
        content["category"] = [category]
    content["code"] = {"text": declaration.substance}
    return content
