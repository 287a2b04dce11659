"""The words in which structures.py says what a profile asks: one function for each kind of rule.

A rule is {element id below the type: what ElementDefinition says of it}. https://hl7.org/fhir/R4/elementdefinition.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mappings import systems
from profiles.code_systems import value_set_url

Rules = dict[str, dict[str, Any]]

_CORE = "http://hl7.org/fhir/StructureDefinition/"


def required(*elements: str) -> Rules:
    """Elements that must be there at least once."""
    return {element: {"min": 1} for element in elements}


def supported(*elements: str) -> Rules:
    """Elements that whoever reads these resources must be able to show."""
    return {element: {"mustSupport": True} for element in elements}


def bound(element: str, value_set: str, strength: str = "required") -> Rules:
    """A binding to one of our value sets."""
    return {element: {"binding": {"strength": strength, "valueSet": value_set_url(value_set)}}}


def only(element: str, *types: str) -> Rules:
    """A choice narrowed to some types."""
    return {element: {"type": [{"code": each} for each in types]}}


def refers_to(element: str, *targets: str) -> Rules:
    """A Reference narrowed to some resource types."""
    return {element: {"type": [{"code": "Reference", "targetProfile": [_CORE + each for each in targets]}]}}


def coded(element: str, system: str, code: str) -> Rules:
    """A CodeableConcept that must have this coding."""
    return {element: {"min": 1, "patternCodeableConcept": {"coding": [{"system": system, "code": code}]}}}


def identifiers(**slices: tuple[str, str]) -> Rules:
    """Identifiers sliced by their system: slice name -> (system, HL7 v2 type or ""). Each may be there many times."""
    rules: Rules = {"identifier": _sliced("value", "system")}
    for name, (system, kind) in slices.items():
        rules[f"identifier:{name}"] = {"sliceName": name, "min": 0, "max": "*"}
        if kind:
            coding = {"system": systems.V2_IDENTIFIER_TYPE, "code": kind}
            rules[f"identifier:{name}.type"] = {"min": 1, "patternCodeableConcept": {"coding": [coding]}}
        rules[f"identifier:{name}.system"] = {"min": 1, "fixedUri": system}
        rules[f"identifier:{name}.value"] = {"min": 1}
    return rules


def extensions(below: str = "", **slices: str) -> Rules:
    """Extensions with a definition of their own: slice name -> canonical."""
    element = f"{below}.extension" if below else "extension"
    rules: Rules = {element: _sliced("value", "url")}
    for name, profile in slices.items():
        kind = [{"code": "Extension", "profile": [profile]}]
        rules[f"{element}:{name}"] = {"sliceName": name, "min": 0, "max": "*" if below else "1", "type": kind}
    return rules


def foreign_extensions(**slices: tuple[str, str, str]) -> Rules:
    """Extensions that another guide defines: slice name -> (canonical, our value set or "", binding strength)."""
    rules: Rules = {"extension": _sliced("value", "url")}
    for name, (url, value_set, strength) in slices.items():
        rules[f"extension:{name}"] = {"sliceName": name, "min": 0, "max": "1"}
        rules[f"extension:{name}.url"] = {"fixedUri": url}
        if value_set:
            rules[f"extension:{name}.value[x]"] = {
                "min": 1,
                "type": [{"code": "CodeableConcept"}],
                "binding": {"strength": strength, "valueSet": value_set_url(value_set)},
            }
    return rules


def parts(named: Iterable[tuple[str, str]]) -> Rules:
    """The extensions that an extension consists of, (name, type) each: all of them once."""
    rules: Rules = {"extension": {"min": 1, **_sliced("value", "url")}}
    for name, kind in named:
        rules[f"extension:{name}"] = {"sliceName": name, "min": 1, "max": "1"}
        rules[f"extension:{name}.url"] = {"fixedUri": name}
        rules[f"extension:{name}.value[x]"] = {"min": 1, "type": [{"code": kind}]}
    return rules


def self_declared() -> Rules:
    """The label of what a citizen told: nobody has confirmed it."""
    coding = {"system": systems.RECORD_SOURCE, "code": "self-declared"}
    return {
        "meta": {"min": 1},
        "meta.tag": {"min": 1, **_sliced("pattern", "$this")},
        "meta.tag:source": {"sliceName": "source", "min": 1, "max": "1", "patternCoding": coding},
    }


def _sliced(kind: str, path: str) -> dict[str, Any]:
    return {"slicing": {"discriminator": [{"type": kind, "path": path}], "rules": "open"}}
