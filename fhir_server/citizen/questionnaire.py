"""The form as a FHIR Questionnaire, and a filled-in form as the items of a QuestionnaireResponse.

https://hl7.org/fhir/R4/questionnaire.html. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from fhir_server.citizen.declaration import ABO, ALLERGY_KINDS, MEASURES, NUMBER, RH, read_date
from fhir_server.citizen.declared_history import (
    DISABILITIES,
    FAMILY_ROWS,
    HABITS,
    ILLNESSES,
    OWN,
    RELATIVES,
)
from fhir_server.translation import translate

CANONICAL = f"{OWN}/Questionnaire/self-declaration"
_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"

Item = dict[str, Any]


def _fields() -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """(field of the form, message that names it, item type, given answers) in the order of the form."""
    for name in MEASURES:
        yield name, f"declare.{name}", "decimal", ()
    yield "measured", "declare.measured", "date", ()
    yield "abo", "declare.abo", "choice", ABO
    yield "rh", "declare.rh", "choice", RH
    yield "allergy", "declare.allergy", "choice", ("yes", "no")
    yield "kind", "declare.kind", "choice", tuple(ALLERGY_KINDS)
    yield "substance", "declare.substance", "string", ()
    for number in ILLNESSES:
        yield f"illness_{number}", "", "boolean", ()
    yield "illness_other", "declare.illness_other", "string", ()
    yield "surgery", "declare.surgery", "string", ()
    yield "surgery_year", "declare.surgery_year", "string", ()
    for row in FAMILY_ROWS:
        yield f"relative_{row}", "declare.relative", "choice", tuple(RELATIVES)
        yield f"family_{row}", "declare.family_illness", "choice", tuple(ILLNESSES)
    for number in DISABILITIES:
        yield f"disability_{number}", "", "boolean", ()
    yield "disability_other", "declare.disability_other", "string", ()
    for name, habit in HABITS.items():
        yield name, f"declare.{name}", "choice", tuple(habit.answers)


def _words(field: str, message: str) -> tuple[str, str]:
    if message:
        return translate(message, "vi"), translate(message, "en")
    kind, _, number = field.partition("_")
    row = (ILLNESSES if kind == "illness" else DISABILITIES)[number]
    return row.vi, row.en


def questionnaire() -> Item:
    """The Questionnaire that a filled-in form answers."""
    items = []
    for field, message, kind, options in _fields():
        vi, en = _words(field, message)
        parts = [{"url": "lang", "valueCode": "en"}, {"url": "content", "valueString": en}]
        item: Item = {
            "linkId": field,
            "text": vi,
            "_text": {"extension": [{"url": _TRANSLATION, "extension": parts}]},
            "type": kind,
        }
        if options:
            item["answerOption"] = [{"valueCoding": {"code": option}} for option in options]
        items.append(item)
    return {
        "resourceType": "Questionnaire",
        "id": "self-declaration",
        "url": CANONICAL,
        "version": "1",
        "name": "SelfDeclaration",
        "title": translate("declare.title", "vi"),
        "status": "active",
        "language": "vi",
        "subjectType": ["Patient"],
        "item": items,
    }


def answers(form: Mapping[str, str]) -> list[Item]:
    """The items of a form that was read without problems, in its order; what was left out is left out."""
    items = []
    for field, message, kind, _ in _fields():
        typed = form.get(field, "").strip()
        if typed:
            items.append({"linkId": field, "text": _words(field, message)[0], "answer": [_answer(kind, typed)]})
    return items


def _answer(kind: str, typed: str) -> Item:
    if kind == "decimal" and (found := NUMBER.fullmatch(typed)):
        return {"valueDecimal": Decimal(f"{int(found[1])}.{found[2]}" if found[2] else str(int(found[1])))}
    if kind == "date" and (day := read_date(typed)):
        return {"valueDate": day.isoformat()}
    if kind == "choice":
        return {"valueCoding": {"code": typed}}
    return {"valueBoolean": True} if kind == "boolean" else {"valueString": typed}
