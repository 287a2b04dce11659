"""One patient's record as the page shows it, read through the repository as that patient and as nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from fhir_server.access.context import AccessContext
from fhir_server.citizen.charts import Point
from fhir_server.citizen.declaration import (
    BLOOD_GROUP_ABO,
    BLOOD_GROUP_BOTH,
    BLOOD_GROUP_RH,
    BLOOD_PRESSURE,
    LOINC,
    NO_KNOWN_ALLERGY,
    PATIENT_ASSERTED,
    SELF_DECLARED,
    read_date,
)
from fhir_server.citizen.person import Person, person_of
from fhir_server.resource import exact
from fhir_server.translation import LANGUAGES, write_number

if TYPE_CHECKING:
    from fhir_server.repository import Repository, Stored

WEIGHT, HEIGHT = f"{LOINC}|29463-7", f"{LOINC}|8302-2"
PRESSURE = f"{LOINC}|{BLOOD_PRESSURE['code']}"
BLOOD = ",".join(f"{LOINC}|{code['code']}" for code in (BLOOD_GROUP_BOTH, BLOOD_GROUP_ABO, BLOOD_GROUP_RH))
SYSTOLIC, DIASTOLIC = "8480-6", "8462-4"
VISITS_SHOWN, ALLERGIES_SHOWN, BLOOD_GROUPS_READ = 20, 50, 20
POINTS_SHOWN, HISTORY_SHOWN = 60, 50

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """A value with its day and where it comes from. `label` is None where the page has a word of its own."""

    value: str | Decimal
    unit: str
    when: str | None
    declared: bool
    label: str | None = None


@dataclass(slots=True)
class Visit:
    """One visit: why the person came, the diagnoses, and what was measured or found in the laboratory."""

    start: str | None
    end: str | None
    place: str | None
    kind: str | None
    reasons: list[str]
    diagnoses: list[str] = field(default_factory=list)
    results: list[Item] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Record:
    """Everything on the page "my record"."""

    person: Person
    weight: Item | None
    height: Item | None
    bmi: Decimal | None
    pressure: Item | None
    blood: Item | None
    allergies: list[Item]
    no_allergy: Item | None
    visits: list[Visit]
    history: list[Item]
    curves: dict[str, list[Point]]


def read_person(repository: Repository, ctx: AccessContext) -> Person:
    """Name, birth date, sex and masked card number. NotFound or Gone when the patient is no longer there."""
    return person_of(_parsed(repository.read(ctx, "Patient", _bound(ctx))))


def read_record(repository: Repository, ctx: AccessContext) -> Record:
    """The whole page. Each question is bounded, so a long life makes no slow page."""
    weights, heights = (_latest(repository, ctx, code, POINTS_SHOWN) for code in (WEIGHT, HEIGHT))
    pressures = _latest(repository, ctx, PRESSURE, POINTS_SHOWN)
    weight, height = (_measured(next(iter(found), None)) for found in (weights, heights))
    positive, negative = _allergies(repository, ctx)
    return Record(
        person=read_person(repository, ctx),
        weight=weight,
        height=height,
        bmi=body_mass_index(weight, height),
        pressure=_pressure(next(iter(pressures), None)),
        blood=_blood_group(_latest(repository, ctx, BLOOD, BLOOD_GROUPS_READ)),
        allergies=positive,
        # "None known" says nothing any more once an allergy is on record, whichever came first.
        no_allergy=negative[0] if negative and not positive else None,
        visits=_visits(repository, ctx),
        history=_history(repository, ctx),
        curves=_curves(weights, heights, pressures),
    )


def body_mass_index(weight: Item | None, height: Item | None) -> Decimal | None:
    """kg/m² with one decimal, from values in kg and cm; None when either is missing or in another unit."""
    if weight is None or height is None or (weight.unit, height.unit) != ("kg", "cm"):
        return None
    if not isinstance(weight.value, Decimal) or not isinstance(height.value, Decimal) or height.value <= 0:
        return None
    metres = height.value / 100
    return (weight.value / (metres * metres)).quantize(Decimal("0.1"), ROUND_HALF_UP)


def _bound(ctx: AccessContext) -> str:
    if ctx.patient is None:
        raise ValueError("The page of a citizen needs a caller bound to one patient.")
    return ctx.patient


def _parsed(stored: Stored) -> Resource:
    return exact.parse(stored.json or b"{}")


def _latest(repository: Repository, ctx: AccessContext, codes: str, most: int) -> list[Resource]:
    query = [
        ("patient", f"Patient/{_bound(ctx)}"),
        ("code", codes),
        ("status:not", "entered-in-error"),
        ("_sort", "-date,-_lastUpdated"),
        ("_count", str(most)),
    ]
    return [_parsed(stored) for _, stored in repository.search(ctx, "Observation", query).entries]


def _measured(observation: Resource | None) -> Item | None:
    if observation is None or "value" not in observation.get("valueQuantity", {}):
        return None
    return _item(observation, *_amount(observation["valueQuantity"]))


def _blood_group(observations: list[Resource]) -> Item | None:
    """A blood group found by a facility counts more than a newer one that was only declared."""
    for observation in sorted(observations, key=declared_by_citizen):
        text = _text(observation.get("valueCodeableConcept")) or observation.get("valueString")
        if text:
            return _item(observation, text, "")
    return None


def _pressure(observation: Resource | None) -> Item | None:
    values = _pressure_values(observation) if observation is not None else None
    return None if observation is None or values is None else _item(observation, "{}/{}".format(*values), "mmHg")


def _pressure_values(observation: Resource) -> tuple[Any, Any] | None:
    found = {
        coding.get("code"): component.get("valueQuantity", {}).get("value")
        for component in observation.get("component", [])
        for coding in component.get("code", {}).get("coding", [])
    }
    high, low = found.get(SYSTOLIC), found.get(DIASTOLIC)
    return None if high is None or low is None else (high, low)


def _curves(weights: list[Resource], heights: list[Resource], pressures: list[Resource]) -> dict[str, list[Point]]:
    """The measurements with a known day in the order of time; a BMI for each weight, from the height known by then."""
    weight, height = (
        [each for each in map(_point, reversed(found)) if each is not None] for found in (weights, heights)
    )
    mass = []
    for point in weight:
        tall = [each for each in height if each.day <= point.day] or height[:1]
        if tall and tall[-1].values[0] > 0:
            metres = tall[-1].values[0] / 100
            value = (point.values[0] / (metres * metres)).quantize(Decimal("0.1"), ROUND_HALF_UP)
            mass.append(Point(point.day, (value,), point.declared or tall[-1].declared))
    pressure = [
        Point(day, tuple(Decimal(value) for value in values), declared_by_citizen(each))
        for each in reversed(pressures)
        if (values := _pressure_values(each)) is not None and (day := _day(each))
    ]
    return {"weight": weight, "bmi": mass, "pressure": pressure}


def _point(observation: Resource) -> Point | None:
    value, day = observation.get("valueQuantity", {}).get("value"), _day(observation)
    return Point(day, (Decimal(value),), declared_by_citizen(observation)) if value is not None and day else None


def _day(observation: Resource) -> str | None:
    when = _item(observation, "", "").when or ""
    return when[:10] if read_date(when[:10]) else None


def describe(resource: Resource, language: str = LANGUAGES[0]) -> tuple[str, str | None]:
    """What a record says, in one line with numbers as a language writes them, and when it was so."""
    kind = resource["resourceType"]
    name = _text(resource.get("code")) or "?"
    if kind == "FamilyMemberHistory":
        ill = ", ".join(filter(None, (_text(each.get("code")) for each in resource.get("condition", []))))
        name = f"{_text(resource.get('relationship')) or '?'}: {ill}"
    elif kind == "Observation":
        values = _pressure_values(resource)
        result = _result(resource, name)
        if values is not None:
            name += ": {}/{} mmHg".format(*values)
        elif result is not None:
            name += f": {write_number(result.value, language) if result.unit else result.value} {result.unit}".rstrip()
    when = resource.get("performedDateTime") or resource.get("date") or _item(resource, "", "").when
    return name, when


def _history(repository: Repository, ctx: AccessContext) -> list[Item]:
    """Illnesses that belong to no visit, operations and illnesses of the family, the label says which."""
    found = []
    for kind in ("Condition", "Procedure", "FamilyMemberHistory"):
        query = [
            ("patient", f"Patient/{_bound(ctx)}"),
            ("_sort", "-_lastUpdated"),
            ("_count", str(HISTORY_SHOWN)),
            *([("encounter:missing", "true")] if kind == "Condition" else []),
        ]
        for _, stored in repository.search(ctx, kind, query).entries:
            resource = _parsed(stored)
            if resource.get("status") == "entered-in-error" or "entered-in-error" in _codes(
                resource.get("verificationStatus")
            ):
                continue
            text, when = describe(resource)
            found.append(Item(text, "", when, declared_by_citizen(resource), kind))
    return found


def _amount(quantity: Resource) -> tuple[Decimal, str]:
    return Decimal(quantity["value"]), quantity.get("unit") or quantity.get("code") or ""


def _item(resource: Resource, value: str | Decimal, unit: str, label: str | None = None) -> Item:
    when = resource.get("effectiveDateTime") or resource.get("effectivePeriod", {}).get("start")
    return Item(
        value,
        unit,
        when or resource.get("recordedDate") or resource.get("issued"),
        declared_by_citizen(resource),
        label,
    )


def declared_by_citizen(resource: Resource) -> bool:
    """Whether a record carries the label of what a citizen told."""
    meta = resource.get("meta", {})
    labels = [*meta.get("tag", []), *meta.get("security", [])]
    known = {(SELF_DECLARED["system"], SELF_DECLARED["code"]), (PATIENT_ASSERTED["system"], PATIENT_ASSERTED["code"])}
    return any((label.get("system"), label.get("code")) in known for label in labels)


def _allergies(repository: Repository, ctx: AccessContext) -> tuple[list[Item], list[Item]]:
    query = [("patient", f"Patient/{_bound(ctx)}"), ("_sort", "-date,-_lastUpdated"), ("_count", str(ALLERGIES_SHOWN))]
    positive: list[Item] = []
    negative: list[Item] = []
    for _, stored in repository.search(ctx, "AllergyIntolerance", query).entries:
        allergy = _parsed(stored)
        if "entered-in-error" in _codes(allergy.get("verificationStatus")):
            continue
        item = _item(allergy, _text(allergy.get("code")) or "?", "", next(iter(allergy.get("category", [])), None))
        (negative if NO_KNOWN_ALLERGY["code"] in _codes(allergy.get("code")) else positive).append(item)
    return positive, negative


def _visits(repository: Repository, ctx: AccessContext) -> list[Visit]:
    query = [
        ("patient", f"Patient/{_bound(ctx)}"),
        ("_sort", "-date,-_lastUpdated"),
        ("_count", str(VISITS_SHOWN)),
        ("_revinclude", "Condition:encounter"),
        ("_revinclude", "Observation:encounter"),
    ]
    visits: dict[str, Visit] = {}
    found = repository.search(ctx, "Encounter", query).entries
    for mode, stored in found:
        if mode == "match":
            visits[f"Encounter/{stored.id}"] = _visit(_parsed(stored))
    for mode, stored in found:
        if mode == "include":
            resource = _parsed(stored)
            visit = visits.get(resource.get("encounter", {}).get("reference", ""))
            if visit is not None:
                _add_finding(visit, resource)
    return list(visits.values())


def _visit(encounter: Resource) -> Visit:
    period = encounter.get("period", {})
    kind = encounter.get("class", {})
    place = encounter.get("serviceProvider", {}).get("display")
    reasons = [text for text in map(_text, encounter.get("reasonCode", [])) if text]
    return Visit(period.get("start"), period.get("end"), place, kind.get("code") or kind.get("display"), reasons)


def _add_finding(visit: Visit, resource: Resource) -> None:
    name = _text(resource.get("code"))
    if resource["resourceType"] == "Condition":
        if name and name not in visit.diagnoses:
            visit.diagnoses.append(name)
    elif name:
        item = _result(resource, name)
        if item is not None:
            visit.results.append(item)


def _result(observation: Resource, name: str) -> Item | None:
    if "value" in observation.get("valueQuantity", {}):
        return _item(observation, *_amount(observation["valueQuantity"]), name)
    text = _text(observation.get("valueCodeableConcept")) or observation.get("valueString")
    return _item(observation, text, "", name) if text else None


def _text(concept: Resource | None) -> str | None:
    if not concept:
        return None
    codings = concept.get("coding", [])
    named = next((coding["display"] for coding in codings if coding.get("display")), None)
    return concept.get("text") or named or next((coding["code"] for coding in codings if coding.get("code")), None)


def _codes(concept: Resource | None) -> set[str]:
    return {coding.get("code", "") for coding in (concept or {}).get("coding", [])}
