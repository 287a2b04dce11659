"""FHIRPath Patch as HL7's own cases have it: a row for each thing that r4/patch/fhir-path-tests.xml of
github.com/FHIR/fhir-test-cases asks, in fewer words and with other data.

Left out is 'Consecutive operations', which is malformed there (a case in a case), expects a change that none of its
operations makes, and an add to an entry that is not there, which 'Operation on missing element' makes an error.
"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server import patch
from fhir_server.errors import Unprocessable
from tests.patch.test_patches import fhirpath_patched, operation

Json = dict[str, Any]
LETTERS = "abcd"


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", "id": "p", **more}


def listed(letters: str) -> Json:
    return patient(identifier=[{"value": letter} for letter in letters])


def with_contact(**contact: Any) -> Json:
    return patient(contact=[contact])


def move(source: int, destination: int) -> Json:
    return operation("move", "Patient.identifier", source=source, destination=destination)


def insert(index: int) -> Json:
    return operation("insert", "Patient.identifier", {"valueIdentifier": {"value": "x"}}, index=index)


NAME = {"text": "a name"}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'

CASES: dict[str, tuple[Json, list[Json], Json]] = {
    "no difference": (patient(birthDate="1920"), [], patient(birthDate="1920")),
    "replace a primitive": (
        patient(birthDate="1920"),
        [operation("replace", "Patient.birthDate", {"valueDate": "1930"})],
        patient(birthDate="1930"),
    ),
    "delete a primitive": (patient(birthDate="1920"), [operation("delete", "Patient.birthDate")], patient()),
    "add a primitive": (
        patient(),
        [operation("add", "Patient", {"valueDate": "1930"}, name="birthDate")],
        patient(birthDate="1930"),
    ),
    "replace a nested primitive": (
        with_contact(name=NAME, gender="male"),
        [operation("replace", "Patient.contact[0].gender", {"valueCode": "female"})],
        with_contact(name=NAME, gender="female"),
    ),
    "replace a primitive two levels down": (
        with_contact(name=NAME, gender="male"),
        [operation("replace", "Patient.contact[0].name.text", {"valueString": "the name"})],
        with_contact(name={"text": "the name"}, gender="male"),
    ),
    "delete a nested primitive": (
        with_contact(name=NAME, gender="male"),
        [operation("delete", "Patient.contact[0].gender")],
        with_contact(name=NAME),
    ),
    "what a delete leaves empty goes too": (
        with_contact(name=NAME, gender="male"),
        [operation("delete", "Patient.contact[0].name.text")],
        with_contact(gender="male"),
    ),
    "and so does all above it": (
        with_contact(name=NAME),
        [operation("delete", "Patient.contact[0].name.text")],
        patient(),
    ),
    "add a nested primitive": (
        with_contact(name=NAME),
        [operation("add", "Patient.contact[0]", {"valueCode": "male"}, name="gender")],
        with_contact(name=NAME, gender="male"),
    ),
    "add a complex": (
        patient(),
        [operation("add", "Patient", {"valueCodeableConcept": {"text": "married"}}, name="maritalStatus")],
        patient(maritalStatus={"text": "married"}),
    ),
    "replace a complex with its id": (
        patient(maritalStatus={"id": "1", "text": "married"}),
        [operation("replace", "Patient.maritalStatus", {"valueCodeableConcept": {"id": "2", "text": "not married"}})],
        patient(maritalStatus={"id": "2", "text": "not married"}),
    ),
    "delete a complex": (
        patient(maritalStatus={"text": "married"}),
        [operation("delete", "Patient.maritalStatus")],
        patient(),
    ),
    "add an anonymous type": (
        patient(),
        [operation("add", "Patient", {"part": [{"name": "name", "valueHumanName": NAME}]}, name="contact")],
        with_contact(name=NAME),
    ),
    "delete an anonymous type": (with_contact(name=NAME), [operation("delete", "Patient.contact[0]")], patient()),
    "a list unchanged": (listed("ab"), [], listed("ab")),
    "the contents of a list changed": (
        patient(identifier=[{"id": "a", "value": "1"}, {"id": "b", "value": "2"}]),
        [
            operation("replace", "Patient.identifier[0].value", {"valueString": "2"}),
            operation("replace", "Patient.identifier[1].value", {"valueString": "1"}),
        ],
        patient(identifier=[{"id": "a", "value": "2"}, {"id": "b", "value": "1"}]),
    ),
    "insert at the end": (listed("ab"), [insert(2)], listed("abx")),
    "insert in the middle": (listed("ab"), [insert(1)], listed("axb")),
    "insert at the beginning": (listed("ab"), [insert(0)], listed("xab")),
    "add to a list that is not there": (
        patient(),
        [operation("add", "Patient", {"valueIdentifier": {"value": "a"}}, name="identifier")],
        listed("a"),
    ),
    **{
        f"delete entry {number}": (listed("abc"), [operation("delete", f"Patient.identifier[{number}]")], listed(left))
        for number, left in enumerate(("bc", "ac", "ab"))
    },
    "move from 3 to 1": (listed(LETTERS), [move(3, 1)], listed("adbc")),
    "move from 3 to 0": (listed(LETTERS), [move(3, 0)], listed("dabc")),
    "move from 3 to 2": (listed(LETTERS), [move(3, 2)], listed("abdc")),
    "move from 0 to 3": (listed(LETTERS), [move(0, 3)], listed("bcda")),
    "two moves": (listed(LETTERS), [move(1, 0), move(2, 1)], listed("bcad")),
    "three moves": (listed(LETTERS), [move(3, 0), move(3, 1), move(3, 2)], listed("dcba")),
    "a narrative and a name in a full resource": (
        patient(text={"status": "generated", "div": DIV.format("A")}, name=[{"family": "A", "given": ["B"]}]),
        [
            operation("replace", "Patient.text.div", {"valueString": DIV.format("A1")}),
            operation("replace", "Patient.name[0].family", {"valueString": "A1"}),
        ],
        patient(text={"status": "generated", "div": DIV.format("A1")}, name=[{"family": "A1", "given": ["B"]}]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_patch_makes_of_the_resource_what_the_case_says(case: str) -> None:
    before, operations, after = CASES[case]
    assert fhirpath_patched(*operations, of=before) == after


@pytest.mark.parametrize(
    "operation",
    [
        operation("add", "Patient.identifier.where(use = 'official').period", {"valueDate": "2021"}, name="end"),
        operation("add", "Patient.contact[1]", {"valueCode": "male"}, name="gender"),
    ],
)
def test_an_add_to_what_is_not_there_is_an_error_that_names_the_path(operation: Json) -> None:
    before = patient(identifier=[{"use": "official", "value": "123"}], contact=[{"name": NAME}])
    with pytest.raises(Unprocessable) as refused:
        fhirpath_patched(operation, of=before)
    [issue] = refused.value.issues
    path = next(part["valueString"] for part in operation["part"] if part["name"] == "path")
    assert path in issue.diagnostics
    assert issue.expression == ("Parameters.parameter[0]",)


def test_parameters_without_any_operation_change_nothing() -> None:
    before = patient(birthDate="1920")
    assert patch.apply(patch.from_resource({"resourceType": "Parameters"}), before) == before
