"""The rules of R4 that a JSON schema says badly: one typed walk over a resource that looks only where a rule applies.

At most one type of a choice, integers written as integers, lists of primitives aligned with their extensions
(https://hl7.org/fhir/R4/json.html#primitive), periods that end after they start, fragments that lead to a contained
resource (https://hl7.org/fhir/R4/references.html#contained), safe narratives, and the invariants of
fhir_server.resource.invariants. What the walk needs to know of a type is
laid out once per type; on a resource of 1 KB it then costs a few microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_server.errors import Issue
from fhir_server.r4 import has_sibling, properties
from fhir_server.resource.invariants import Predicate, message, rules_of
from fhir_server.resource.narrative import narrative_problem

Json = dict[str, Any]
At = Any
"""Where the walk is: (where its parent is, element name, index or -1); the text of an expression at the root."""


@dataclass(slots=True)
class Findings:
    """What one walk over one resource found. `contained` are the ids a fragment may lead to."""

    contained: frozenset[str]
    well_formed: bool = True
    """Whether the schema has passed the resource: the invariants are asked only then."""
    issues: list[Issue] = field(default_factory=list)
    nested: list[tuple[str, str, Any]] = field(default_factory=list)
    """(expression, element name, value) of each resource inside this one, to be validated on its own."""

    def add(self, at: At, diagnostics: str, code: str = "value") -> None:
        self.issues.append(Issue(diagnostics, code, "error", (expression(at),)))


def expression(at: At) -> str:
    """The FHIRPath of a place, such as `Patient.contact[0].name`."""
    if isinstance(at, str):
        return at
    parent, name, index = at
    return f"{expression(parent)}.{name}" if index < 0 else f"{expression(parent)}.{name}[{index}]"


_PropertyCheck = Callable[[Json, str, str, At, Findings], None]
"""Of an object, one of its JSON properties and the element that is: (object, property, element, place, findings)."""
_WholeCheck = Callable[[Json, At, Findings], None]


class _Step(NamedTuple):
    """What to do with one JSON property."""

    element: str
    inside: _Plan | None = None
    check: _PropertyCheck | None = None
    choice: str | None = None


@dataclass(slots=True)
class _Plan:
    """What to look at in an object of one type: the properties that matter, a check of the whole, its invariants."""

    context: str
    steps: dict[str, _Step] = field(default_factory=dict)
    check: _WholeCheck | None = None
    rules: tuple[tuple[str, Predicate], ...] = ()
    is_plain: bool = False
    """Whether an object is right that has none of the properties that matter, and more than an id."""

    def passes(self, value: Json) -> bool:
        """Whether a look at the properties tells already that there is nothing to look at."""
        return self.is_plain and self.steps.keys().isdisjoint(value) and (len(value) > 1 or "id" not in value)


def walk(resource_type: str, resource: Json, root: str, findings: Findings) -> None:
    """Adds to `findings` what is wrong with a resource, tolerating what the schema refuses anyway."""
    plan = _plans.get(resource_type)
    if plan is None:
        known = dict(_plans)  # published when complete: another thread must not walk by half a plan
        plan = _build(resource_type, known)
        _plans.update(known)
    _walk(plan, resource, root, findings)


def _walk(plan: _Plan, value: Json, at: At, findings: Findings) -> None:
    chosen: dict[str, str] | None = None
    steps = plan.steps
    for name, item in value.items():
        step = steps.get(name)
        if step is None:
            continue
        element, inside, check, choice = step
        if inside is not None:
            if type(item) is dict:
                if not inside.passes(item):
                    _walk(inside, item, (at, element, -1), findings)
            elif type(item) is list:
                for index, each in enumerate(item):
                    if type(each) is dict and not inside.passes(each):
                        _walk(inside, each, (at, element, index), findings)
        if check is not None:
            check(value, name, element, at, findings)
        if choice is not None:
            chosen = {} if chosen is None else chosen
            if chosen.setdefault(element, choice) != choice:
                both = f"{chosen[element]} and {choice}"
                findings.add((at, element, -1), f"{both} are alternatives: keep one of them.", "structure")
    if plan.check is not None:
        plan.check(value, at, findings)
    if plan.rules and findings.well_formed:
        for key, holds in plan.rules:
            if not holds(value):
                findings.add(at, message(key, plan.context), "invariant")
    if len(value) == 1 and "id" in value and plan.context != "Element":
        findings.add(at, message("ele-1", "Element"), "invariant")


_plans: dict[str, _Plan] = {}


def _build(path: str, known: dict[str, _Plan]) -> _Plan:
    """The plan of a type or backbone; recursive types (Extension, Reference) refer to their one plan in `known`."""
    if path in known:
        return known[path]
    check_of_whole, rules = _WHOLE_CHECKS.get(path), rules_of(path)
    plan = known[path] = _Plan(path, check=check_of_whole, rules=rules, is_plain=not check_of_whole and not rules)
    for name, (element, type_name) in properties(path).items():
        choice = name if element.choice else None
        if type_name == "Resource":
            plan.steps[name] = _Step(element.name, check=_take_out)
        elif type_name[0].isupper():
            plan.steps[name] = _Step(element.name, _build(type_name, known), None, choice)
        else:
            check = _PRIMITIVE_CHECKS[element.is_list, type_name in _INTEGERS]
            if check or choice:
                plan.steps[name] = _Step(element.name, None, check, choice)
            if has_sibling(path, name):
                check = _aligned if element.is_list else _no_lone_id
                plan.steps["_" + name] = _Step(element.name, _build("Element", known), check, choice)
    return plan


# --- checks of one property -----------------------------------------------------------------------------------------


def _take_out(value: Json, name: str, element: str, at: At, findings: Findings) -> None:
    """Notes the resources inside a resource; they are validated on their own."""
    found = value[name]
    if type(found) is list:
        places = [((at, element, index), each) for index, each in enumerate(found)]
    else:
        places = [((at, element, -1), found)]
    findings.nested += [(expression(place), element, each) for place, each in places]


def _whole_number(value: Json, name: str, element: str, at: At, findings: Findings) -> None:
    """Refuses 1.0 and 1e2, which are numbers without a fraction to JSON schema and not integers to FHIR."""
    numbers = value[name]
    for index, number in enumerate(numbers) if type(numbers) is list else [(-1, numbers)]:
        if isinstance(number, (Decimal, float)) and -(2**31) <= number < 2**31 and number % 1 == 0:
            findings.add((at, element, index), "Write this integer without decimal point and exponent.")


def _aligned_integers(value: Json, name: str, element: str, at: At, findings: Findings) -> None:
    _whole_number(value, name, element, at, findings)
    _aligned(value, name, element, at, findings)


def _aligned(value: Json, name: str, element: str, at: At, findings: Findings) -> None:
    """Checks that a list of primitives and the list of their extensions have the same length and no double gap."""
    plain = name.removeprefix("_")
    values, extensions = value.get(plain), value.get("_" + plain)
    if name != plain and type(values) is list:
        return  # seen from the other list
    if extensions is None or values is None:
        whole = values if extensions is None else extensions
        if type(whole) is list and None in whole:
            findings.add((at, element, whole.index(None)), "A null needs a value or an extension at its place.")
        if values is None and type(whole) is list:
            for index, each in enumerate(whole):
                _refuse_lone_id(each, (at, element, index), findings)
    elif type(values) is list and type(extensions) is list:
        if len(values) != len(extensions):
            message = f"{plain} and _{plain} must have the same length: fill with null."
            findings.add((at, element, -1), message, "structure")
            return
        for index, pair in enumerate(zip(values, extensions, strict=True)):
            if pair == (None, None):
                findings.add((at, element, index), "A null needs a value or an extension at its place.")
            elif pair[0] is None:
                _refuse_lone_id(pair[1], (at, element, index), findings)


def _no_lone_id(value: Json, name: str, element: str, at: At, findings: Findings) -> None:
    """ele-1: without a value the extension beside it is what the element says; an id alone says nothing."""
    if name.removeprefix("_") not in value:
        _refuse_lone_id(value[name], (at, element, -1), findings)


def _refuse_lone_id(sibling: Any, at: At, findings: Findings) -> None:
    if type(sibling) is dict and "extension" not in sibling:
        findings.add(at, message("ele-1", "Element"), "invariant")


_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})
_PRIMITIVE_CHECKS: dict[tuple[bool, bool], _PropertyCheck | None] = {
    (False, False): None,
    (False, True): _whole_number,
    (True, False): _aligned,
    (True, True): _aligned_integers,
}
"""By whether the element is a list and whether it is of integers."""


# --- checks of a whole object ---------------------------------------------------------------------------------------


def _period(value: Json, at: At, findings: Findings) -> None:
    """per-1: the start is not after the end, compared as far as both are written."""
    start, end = value.get("start"), value.get("end")
    if type(start) is not str or type(end) is not str or (start <= end and len(start) <= 10):
        return
    if "T" in start and "T" in end:
        try:
            later = _moment(start) > _moment(end)
        except ValueError:
            return  # the schema says what is wrong with it
    else:
        written = min(len(start), len(end), 10)
        later = start[:written] > end[:written]
    if later:
        findings.add(at, "The period ends before it starts.", "invariant")


def _moment(written: str) -> datetime:
    # a leap second is no time to Python
    return datetime.fromisoformat(written.replace(":60", ":59"))


def _reference(value: Json, at: At, findings: Findings) -> None:
    """ref-1: a fragment leads to a contained resource; "#" alone to the resource that contains."""
    reference = value.get("reference")
    if type(reference) is str and reference.startswith("#") and reference[1:] not in findings.contained:
        message = f"There is no contained resource with the id '{reference[1:41]}'."
        findings.add((at, "reference", -1), message, "not-found")


def _narrative(value: Json, at: At, findings: Findings) -> None:
    div = value.get("div")
    if type(div) is str and (problem := narrative_problem(div)):
        findings.add((at, "div", -1), problem, "invariant")


_WHOLE_CHECKS: dict[str, _WholeCheck] = {
    "Period": _period,
    "Reference": _reference,
    "Narrative": _narrative,
}
