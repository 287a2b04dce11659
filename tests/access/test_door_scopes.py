"""Scopes at the door: every interaction, what it looks into, and the part of a type that a scope's query grants."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.access import guard
from fhir_server.access.context import AccessContext
from fhir_server.access.scopes import Scope
from fhir_server.errors import Forbidden, Gone, NotFound
from fhir_server.export_order import ExportOrder
from fhir_server.patch import from_resource
from fhir_server.rest.operations.registry import OPERATIONS
from tests.access.test_door_facility import consent
from tests.repository.people import bundle

OPEN = AccessContext.unrestricted("test")
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
RENAMED = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Observation.status"},
                {"name": "value", "valueCode": "amended"},
            ],
        }
    ],
}

SEEN = {
    "resourceType": "AuditEvent",
    "id": "seen",
    "type": {"code": "rest"},
    "recorded": "2026-02-01T08:00:00Z",
    "agent": [{"altId": "staff:lan", "requestor": True}],
    "source": {"observer": {"display": "x"}},
    "entity": [{"what": {"reference": "Patient/p"}}],
}


def scope(text: str) -> Scope:
    """`system/Observation.rs?category=laboratory` as a Scope."""
    place, _, query = text.partition("?")
    level, _, rest = place.partition("/")
    type, _, letters = rest.partition(".")
    pairs = tuple((name, value) for name, _, value in (each.partition("=") for each in query.split("&")) if name)
    return Scope(level, type, frozenset(letters), pairs)


def holding(*texts: str, **more: Any) -> AccessContext:
    return AccessContext("client:c", scopes=tuple(scope(each) for each in texts), **more)


def observation(id: str, category: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "code": {"text": "x"},
        "subject": {"reference": "Patient/p"},
        **more,
    }


@pytest.fixture
def held(repository):
    repository.update(OPEN, "Patient", "p", {"resourceType": "Patient", "id": "p", "name": [{"family": "Mẫu"}]})
    for each in (observation("lab", "laboratory"), observation("vital", "vital-signs")):
        repository.update(OPEN, "Observation", each["id"], each)
    return repository


def found(page: Any) -> list[str]:
    return sorted(stored.id for _, stored in page.entries)


ASKED = {
    "r": [
        lambda held, ctx: held.read(ctx, "Observation", "lab"),
        lambda held, ctx: held.vread(ctx, "Observation", "lab", "1"),
        lambda held, ctx: held.history(ctx, "Observation", "lab", query=[]),
        lambda held, ctx: held.history(ctx, "Observation", query=[]),
    ],
    "s": [
        lambda held, ctx: held.search(ctx, "Observation", []),
        lambda held, ctx: held.search_system(ctx, [("_type", "Observation")]),
        lambda held, ctx: held.lookup(ctx, "Observation", "identifier", ["x"]),
        lambda held, ctx: held.codes(ctx, "Observation", "code", 5),
    ],
    "c": [
        lambda held, ctx: held.create(ctx, "Observation", observation("x", "laboratory")),
        lambda held, ctx: held.transaction(ctx, bundle([observation("x", "laboratory")])),
    ],
    "u": [
        lambda held, ctx: held.update(ctx, "Observation", "lab", observation("lab", "laboratory", status="amended")),
        lambda held, ctx: held.patch(ctx, "Observation", "vital", from_resource(RENAMED)),
    ],
    "d": [
        lambda held, ctx: held.delete(ctx, "Observation", "lab"),
        lambda held, ctx: held.delete_conditional(ctx, "Observation", "status=final"),
    ],
}


@pytest.mark.parametrize("letter", sorted(ASKED))
def test_each_interaction_needs_its_own_letter(held, letter):
    others = "".join(sorted(set("cruds") - {letter}))
    also = "s" if letter == "d" else ""
    for ask in ASKED[letter]:
        with pytest.raises(Forbidden, match=f"Observation.{letter}"):
            ask(held, holding(f"system/Observation.{others}", "system/Patient.cruds"))
    for ask in ASKED[letter]:
        ask(held, holding(f"system/Observation.{letter}{also}"))


def test_without_scopes_nothing_is_allowed_but_what_definitions_say(held):
    for several in ASKED.values():
        for ask in several:
            with pytest.raises(Forbidden):
                ask(held, holding())
    assert held.search(holding(), "ValueSet", []).entries == []
    with pytest.raises(Forbidden):
        held.create(holding(), "ValueSet", {"resourceType": "ValueSet", "status": "active"})


def test_a_patient_scope_grants_nothing_to_who_is_bound_to_no_patient(held):
    with pytest.raises(Forbidden):
        held.read(holding("patient/*.cruds"), "Observation", "lab")
    assert held.read(holding("patient/*.rs", patient="p"), "Observation", "lab").id == "lab"


@pytest.mark.parametrize(
    "pairs",
    [
        [("subject:Patient.family", "mau")],
        [("_has:Provenance:target:agent", "x")],
        [("_include", "Observation:subject:Patient")],
        [("_revinclude", "Provenance:target")],
        [("_list", "l")],
        [("_filter", "subject.family eq mau")],
    ],
)
def test_looking_into_a_type_needs_the_right_to_search_it(held, pairs):
    with pytest.raises(Forbidden, match=r"system/(Patient|Provenance|List|Group|Device)\.s"):
        held.search(holding("system/Observation.rs"), "Observation", pairs)
    held.search(holding("system/*.rs"), "Observation", pairs)


def test_what_an_include_leads_to_without_a_scope_is_left_out(held):
    pairs = [("_include", "Observation:subject"), ("_id", "lab")]
    assert found(held.search(holding("system/Observation.rs"), "Observation", pairs)) == ["lab"]
    assert found(held.search(holding("system/Observation.rs", "system/Patient.s"), "Observation", pairs)) == [
        "lab",
        "p",
    ]


def test_a_scope_with_a_query_grants_that_part_everywhere(held):
    ctx = holding("system/Observation.cruds?category=laboratory", "system/Patient.rs")
    assert found(held.search(ctx, "Observation", [])) == ["lab"]
    assert held.search(ctx, "Observation", [("_count", "0")]).total == 1
    assert found(held.search(ctx, "Patient", [("_revinclude", "Observation:subject")])) == ["lab", "p"]
    assert found(held.search(ctx, "Patient", [("_has:Observation:subject:_id", "vital")])) == []
    assert found(held.search(ctx, "Patient", [("_has:Observation:subject:_id", "lab")])) == ["p"]
    assert held.read(ctx, "Observation", "lab").id == "lab"
    for ask in (
        lambda: held.read(ctx, "Observation", "vital"),
        lambda: held.vread(ctx, "Observation", "vital", "1"),
        lambda: held.history(ctx, "Observation", "vital", query=[]),
        lambda: held.patch(ctx, "Observation", "vital", from_resource(RENAMED)),
        lambda: held.delete(ctx, "Observation", "vital"),
        lambda: held.update(ctx, "Observation", "vital", observation("vital", "laboratory")),
    ):
        with pytest.raises(NotFound):
            ask()
    for ask in (
        lambda: held.create(ctx, "Observation", observation("new", "vital-signs")),
        lambda: held.update(ctx, "Observation", "lab", observation("lab", "vital-signs")),
        lambda: held.history(ctx, "Observation", query=[]),
    ):
        with pytest.raises(Forbidden):
            ask()
    held.delete_conditional(ctx, "Observation", "status=final")
    assert found(held.search(OPEN, "Observation", [])) == ["vital"]


def test_a_version_outside_the_part_is_not_given_with_one_inside(held):
    held.update(OPEN, "Observation", "vital", observation("vital", "laboratory"))
    ctx = holding("system/Observation.rs?category=laboratory")
    assert [each.version for each in held.history(ctx, "Observation", "vital", query=[]).entries] == [2]
    with pytest.raises(NotFound):
        held.vread(ctx, "Observation", "vital", "1")


def test_several_scopes_are_alternatives(held):
    ctx = holding("system/Observation.rs?category=laboratory", "system/Observation.s?category=vital-signs")
    assert found(held.search(ctx, "Observation", [])) == ["lab", "vital"]
    with pytest.raises(NotFound):
        held.read(ctx, "Observation", "vital")


def test_a_query_that_is_no_plain_parameter_grants_nothing(held):
    for query in ("subject.family=mau", "nonsense=1", "_has:Provenance:target:agent=x"):
        with pytest.raises(Forbidden):
            held.search(holding(f"system/Observation.rs?{query}"), "Observation", [])


def test_conditions_need_the_right_to_search(held):
    for ask in (
        lambda ctx: held.create(ctx, "Observation", observation("x", "laboratory"), if_none_exist="status=final"),
        lambda ctx: held.update_conditional(ctx, "Observation", observation("lab", "laboratory"), "_id=lab"),
    ):
        with pytest.raises(Forbidden, match=r"Observation\.s"):
            ask(holding("system/Observation.cu"))
    entry = bundle([{**observation("x", "laboratory"), "subject": {"reference": "Patient?family=mau"}}])
    with pytest.raises(Forbidden, match=r"Patient\.s"):
        held.transaction(holding("system/Observation.cu"), entry)


def test_every_entry_of_a_transaction_needs_its_scope(held):
    entries = {
        "Observation.d": {"request": {"method": "DELETE", "url": "Observation/lab"}},
        "Observation.r": {"request": {"method": "GET", "url": "Observation/lab"}},
        "Observation.s": {"request": {"method": "GET", "url": "Observation?status=final"}},
        "Observation.u": {
            "request": {"method": "PUT", "url": "Observation/lab"},
            "resource": observation("lab", "laboratory", status="amended"),
        },
    }
    for name, entry in entries.items():
        sent = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        letters = "".join(sorted(set("cruds") - {name[-1]}))
        with pytest.raises(Forbidden, match=name):
            held.transaction(holding(f"system/Observation.{letters}"), sent)


def test_a_put_that_creates_needs_the_right_to_create(held):
    with pytest.raises(Forbidden, match=r"Observation\.c"):
        held.update(holding("system/Observation.u"), "Observation", "new", observation("new", "laboratory"))


def test_an_export_needs_a_scope_for_each_whole_type(held):
    for texts, order in (
        (("system/Observation.r",), ExportOrder()),
        (("system/Observation.r?category=laboratory",), ExportOrder(types=("Observation",))),
        (("system/Observation.s",), ExportOrder(types=("Observation",))),
    ):
        with pytest.raises(Forbidden):
            held.exports.start(holding(*texts), order, request="")
    assert held.exports.start(holding("system/Observation.r"), ExportOrder(types=("Observation",)), request="")


def test_who_has_seen_a_record_is_for_those_whose_scope_names_it(held):
    held.update(OPEN, "AuditEvent", "seen", SEEN)
    held.update(OPEN, "Consent", "hides", consent("hides", "p", "deny", actor=None))
    asked = [("patient", "Patient/p")]
    for ctx in (holding("system/*.rs"), holding("system/*.rs", facility="79001", labels=frozenset())):
        with pytest.raises(Forbidden, match=r"system/AuditEvent\.s"):
            held.search(ctx, "AuditEvent", asked)
        with pytest.raises(Forbidden, match=r"system/AuditEvent\.r"):
            held.read(ctx, "AuditEvent", "seen")
        assert "AuditEvent" not in [each.type for _, each in held.search_system(ctx, [("_count", "50")]).entries]
    # Of those who watch over it nobody hides who has seen a record; the record itself is hidden from them.
    watching = holding("system/*.rs", "system/AuditEvent.rs")
    assert [each.id for _, each in held.search(watching, "AuditEvent", asked).entries] == ["seen"]
    assert held.read(watching, "AuditEvent", "seen").id == "seen"
    assert held.search(watching, "Observation", asked).entries == []
    with pytest.raises(NotFound):
        held.read(watching, "Patient", "p")
    own = AccessContext("app", patient="p", may_write=frozenset(), scopes=(scope("patient/*.rs"),))
    assert [each.id for _, each in held.search(own, "AuditEvent", asked).entries] == ["seen"]


@pytest.mark.parametrize(("texts", "told"), [(["system/*.rs"], False), (["system/*.rs", "system/AuditEvent.rs"], True)])
def test_an_export_of_everything_holds_the_audit_trail_only_for_those_who_may_read_it(held, texts, told):
    held.update(OPEN, "AuditEvent", "seen", SEEN)
    ctx = holding(*texts)
    job = held.exports.start(ctx, ExportOrder(), request="")
    held.exports.work()
    files = {each["name"].partition(".")[0] for each in held.exports.status(ctx, job).result["files"]}
    assert files == {"Patient", "Observation"} | ({"AuditEvent"} if told else set())


def test_every_operation_says_which_scopes_it_needs():
    assert {each.name for each in OPERATIONS} <= set(guard.OPERATIONS)
    for name in ("merge", "reindex", "export"):
        with pytest.raises(Forbidden):
            guard.require_operation(holding("patient/*.cruds", patient="p"), name, "Patient")
    with pytest.raises(Forbidden, match="unknown"):
        guard.require_operation(holding("system/*.cruds"), "unknown", "")


def test_contained_resources_need_the_right_to_all_types(held):
    with pytest.raises(Forbidden, match=r"\*\.s"):
        held.search(holding("system/Medication.s"), "Medication", [("_contained", "true")])
    held.search(holding("system/*.s"), "Medication", [("_contained", "true")])


def test_a_limited_caller_is_not_told_what_was_deleted(held):
    held.delete(OPEN, "Observation", "lab")
    with pytest.raises(Gone):
        held.read(holding("system/Observation.r"), "Observation", "lab")
    with pytest.raises(NotFound):
        held.read(holding("system/Observation.r?category=laboratory"), "Observation", "lab")
