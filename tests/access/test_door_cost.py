"""What the door costs, counted in operations of MongoDB: nothing in open access, one more for who is limited."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from pymongo.monitoring import CommandListener

from fhir_server import sight
from fhir_server.access.consents import FACILITY
from fhir_server.access.context import AccessContext
from fhir_server.access.scopes import Scope
from fhir_server.app import create_app
from fhir_server.repository import Repository
from fhir_server.store.records import Store
from tests.access.test_door_facility import CLINIC, consent, encounter, put, weight
from tests.access.world import World

OPEN = AccessContext.unrestricted("open")
ALL = (Scope("system", "*", frozenset("cruds")),)
CALLERS = {
    "open": (OPEN, 0),
    "patient": (AccessContext.for_patient("p", "card:1"), 1),  # who was merged into this one
    "client": (AccessContext("client:c", scopes=ALL), 1),
    "labels": (AccessContext("client:c", scopes=ALL, labels=frozenset()), 1),
    "facility": (AccessContext("facility:f", scopes=ALL, facility="79001"), 1),
    "narrowed": (AccessContext("facility:f", scopes=ALL, facility="79001", narrowed=True), 1),
}


class Counting(CommandListener):
    """The names of the commands that were sent, but for those that begin and end transactions and cursors, and the look
    at the epoch, which is one every tenth of a second."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.hints: list[Any] = []

    def started(self, event):
        if event.command.get(event.command_name) == "epochs":
            return
        if event.command_name in ("find", "aggregate", "insert", "update", "delete", "count", "getMore", "distinct"):
            self.sent.append(f"{event.command_name} {next(iter(event.command.values()))}")
        if event.command_name == "find":
            self.hints.append(dict(event.command.get("hint", {})))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.fixture
def counted(mongod_uri, database):
    from pymongo import MongoClient

    listener = Counting()
    client: MongoClient[dict[str, Any]] = MongoClient(mongod_uri, event_listeners=[listener], tz_aware=True)
    repository = Repository(Store(client, database))
    sight._places.clear()
    put(
        repository,
        {"resourceType": "Organization", "id": "o", "identifier": [{"system": FACILITY, "value": "79001"}]},
    )
    put(repository, {"resourceType": "Patient", "id": "p", "managingOrganization": CLINIC})
    put(repository, encounter("e", "p"))
    put(repository, consent("c", "p", "permit"))
    for number in range(30):
        put(repository, weight(f"w{number:02}", "p"))
    yield repository, listener
    client.close()


@pytest.mark.parametrize("name", CALLERS)
def test_a_read_and_a_search_cost_at_most_one_operation_more(counted, name):
    repository, listener = counted
    ctx, more = CALLERS[name]
    repository.read(ctx, "Observation", "w01")  # what is kept for a while is known from here on
    for ask, plain in (
        (lambda: repository.read(ctx, "Observation", "w01"), 1),
        (lambda: repository.search(ctx, "Observation", [("subject", "Patient/p"), ("_count", "20")]), 2),
        (lambda: repository.search(ctx, "Observation", [("code", "29463-7"), ("_count", "20")]), 1),
    ):
        listener.sent.clear()
        ask()
        assert len(listener.sent) <= plain + more, listener.sent
        if name == "open":
            assert len(listener.sent) == plain, listener.sent


NUMBER = "http://fhir.ehealth.gov.vn/core/sid/insurance_number"


def found(answer):
    """(total, ids) of a searchset."""
    assert answer.status_code == 200, answer.json
    return answer.json.get("total"), [each["resource"]["id"] for each in answer.json.get("entry", [])]


def numbered(id, value, **more):
    return {"resourceType": "Patient", "id": id, "identifier": [{"system": NUMBER, "value": value}], **more}


def test_a_search_by_number_shows_what_the_door_shows(counted, config):
    repository, listener = counted
    world = World(create_app(repository, config=config), repository, config)
    secret = {"meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]}}
    for each in (numbered("one", "GD1"), numbered("other", "GD2"), numbered("labelled", "GD1", **secret)):
        put(repository, each)
    token = world.backend("clinic", ["system/*.rs"], facility="79001").token()
    path = f"Patient?identifier={NUMBER}|GD1"
    assert found(world.fhir(token, path)) == (1, ["one"])  # not yet known whose token it is
    listener.sent.clear()
    assert found(world.fhir(token, path)) == (1, ["one"])
    assert listener.sent == ["find Patient"]
    granted = world.backend("ward", ["system/*.rs"], facility="79001", labels=["HIV"]).token()
    for _ in range(2):
        assert found(world.fhir(granted, path)) == (2, ["labelled", "one"])
        assert found(world.fhir(token, f"Patient?identifier={NUMBER}|GD2")) == (1, ["other"])
        assert found(world.fhir(token, "Patient?identifier=GD2&_total=none")) == (None, ["other"])
        assert found(world.fhir(token, f"Patient?identifier={NUMBER}|GD3")) == (0, [])
        assert found(world.fhir(token, f"Patient?identifier={NUMBER}x|GD2")) == (0, [])
        assert found(world.fhir(token, "Patient?identifier=GD2&gender=male")) == (0, [])
    # What a patient hides and shows again counts at the next request.
    for status, expected in (("active", (0, [])), ("inactive", (1, ["one"])), ("active", (0, []))):
        put(repository, consent("hides", "one", "deny", status=status))
        assert found(world.fhir(token, path)) == expected
    # More than a page holds is read page by page.
    for id in ("a", "b", "c"):
        put(repository, numbered(id, "GD4"))
    page = world.fhir(token, f"Patient?identifier={NUMBER}|GD4&_count=2")
    assert found(page)[1] == ["a", "b"]
    assert "next" in [link["relation"] for link in page.json["link"]]
    for refused in (f"Patient?identifier={NUMBER}|GD1&unknown=x", "Patient?identifier=a|b|c", "Patient?identifier:x=1"):
        assert world.fhir(token, refused).status_code == 400, refused


@pytest.mark.parametrize("scopes", [["system/Patient.r"], ["system/Observation.rs"], ["system/Patient.rs?gender=male"]])
def test_a_search_by_number_finds_nobody_by_a_scope_that_does_not_grant_it(counted, config, scopes):
    repository, _ = counted
    world = World(create_app(repository, config=config), repository, config)
    put(repository, numbered("one", "GD1", gender="female"))
    token = world.backend("clinic", scopes, facility="79001").token()
    for _ in range(2):
        answer = world.fhir(token, f"Patient?identifier={NUMBER}|GD1")
        assert answer.status_code == 403 or found(answer) == (0, [])


def test_a_narrowed_facility_finds_by_number_whom_it_treats(counted, config):
    repository, _ = counted
    world = World(create_app(repository, config=config), repository, config)
    put(repository, numbered("theirs", "GD1", managingOrganization=CLINIC))
    put(repository, numbered("foreign", "GD1"))
    token = world.backend("clinic", ["system/*.rs"], facility="79001", narrowed=True).token()
    for _ in range(2):
        assert found(world.fhir(token, f"Patient?identifier={NUMBER}|GD1"))[1] == ["theirs"]


def test_over_http_a_read_and_a_search_are_one_question_each_once_the_token_is_known(counted, config):
    repository, listener = counted
    world = World(create_app(repository, config=config), repository, config)
    backend = world.backend("clinic", ["system/*.rs"], facility="79001")
    token = backend.token()
    search = "Observation?code=29463-7&_count=20"
    for path in ("Observation/w01", search):  # from the second request on it is known whose token it is
        assert world.fhir(token, path).status_code == 200
    for path in ("Observation/w01", search):
        listener.sent.clear()
        assert world.fhir(token, path).status_code == 200
        assert listener.sent == ["find Observation"]
    # What a patient hides, shows again, and the end of the token count at the next request.
    for status, found, total in (("active", 404, 0), ("inactive", 200, 20), ("active", 404, 0)):
        put(repository, consent("hides", "p", "deny", status=status))
        assert world.fhir(token, "Observation/w01").status_code == found
        assert len(world.fhir(token, search).json.get("entry", [])) == total
    put(repository, consent("hides", "p", "deny", actor=None))
    assert world.fhir(token, "Observation/w01").status_code == 404
    backend.revoke(token)
    assert world.fhir(token, "Observation/w01").status_code == 401


def read(world, token, path):
    """(status, body) of a read, asked twice: from the second time on it is known whose token it is."""
    world.fhir(token, path)
    answer = world.fhir(token, path)
    return answer.status_code, answer.get_data(as_text=True)


def test_a_record_is_shown_to_whom_the_door_shows_it(counted, config):
    repository, listener = counted
    world = World(create_app(repository, config=config), repository, config)
    secret = {"meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]}}
    put(repository, weight("labelled", "p", **secret))
    put(repository, weight("gone", "p"))
    clinic = world.backend("clinic", ["system/*.rs"], facility="79001")
    token = clinic.token()
    status, text = read(world, token, "Observation/w01")
    assert (status, '"id":"w01"' in text) == (200, True)
    assert read(world, token, "Observation/labelled")[0] == 404
    granted = world.backend("ward", ["system/*.rs"], facility="79001", labels=["HIV"]).token()
    assert read(world, granted, "Observation/labelled")[0] == 200
    # What is written meanwhile is what is read.
    put(repository, weight("w01", "p", note=[{"text": "written later"}]))
    assert "written later" in read(world, token, "Observation/w01")[1]
    plain = world.backend("plain", ["system/*.rs"]).token()
    assert read(world, plain, "Observation/gone")[0] == 200
    repository.delete(OPEN, "Observation", "gone")
    assert read(world, token, "Observation/gone")[0] == 404
    for path in ("Observation/nobody", f"Observation/{'x' * 65}", "Observation/a%20b", "Nonsense/w01"):
        assert read(world, token, path)[0] == 404, path
    # Only a record of the address that was asked for, and only the current version.
    assert read(world, token, "Patient/w01")[0] == 404
    listener.sent.clear()
    assert world.fhir(token, "Observation/w01/_history/1").status_code == 200
    assert "find Observation" in listener.sent
    clinic.revoke(token)
    assert world.fhir(token, "Observation/w01").status_code == 401


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("system/Patient.rs", 403),  # another type
        ("system/Observation.s", 403),  # no reading
        ("system/Observation.rs?code=8302-2", 404),  # a part of them, and not this one
        ("system/Observation.rs?code=29463-7", 200),
    ],
)
def test_a_known_token_reads_no_more_than_its_scope(counted, config, scope, status):
    repository, _ = counted
    world = World(create_app(repository, config=config), repository, config)
    token = world.backend("clinic", [scope], facility="79001").token(scope)
    for _ in range(2):
        assert world.fhir(token, "Observation/w01").status_code == status


def test_what_a_narrowed_facility_and_a_patients_app_may_see_is_asked_each_time(counted, config):
    repository, listener = counted
    world = World(create_app(repository, config=config), repository, config)
    put(repository, {"resourceType": "Patient", "id": "other"})
    put(repository, weight("others", "other"))
    narrowed = world.backend("narrow", ["system/*.rs"], facility="79001", narrowed=True).token()
    assert read(world, narrowed, "Observation/w01")[0] == 200
    assert read(world, narrowed, "Observation/others")[0] == 404
    phone = world.app("phone", ["launch/patient", "patient/*.rs"])
    own = phone.tokens(world.card("p").code)["access_token"]
    assert read(world, own, "Observation/w01")[0] == 200
    listener.sent.clear()
    for path in ("Observation/others", "Patient/other"):
        assert read(world, own, path)[0] == 404
    assert listener.sent.count("find smart_tokens") == 4
    listener.sent.clear()
    assert world.fhir(narrowed, "Observation/w01").status_code == 200
    assert "aggregate Consent" in listener.sent


def test_when_more_hide_something_than_a_filter_holds_a_read_asks_for_its_own_patient(counted, config, monkeypatch):
    repository, listener = counted
    monkeypatch.setattr(sight, "DENIALS", 2)
    for name in ("p", "q", "r", "s"):
        put(repository, {"resourceType": "Patient", "id": name})
        put(repository, weight(f"of-{name}", name))
    for name in ("q", "r", "s"):
        put(repository, consent(f"hides-{name}", name, "deny"))
    world = World(create_app(repository, config=config), repository, config)
    token = world.backend("clinic", ["system/*.rs"], facility="79001").token()
    for name, status in (("p", 200), ("q", 404), ("r", 404), ("s", 404), ("p", 200)):
        listener.sent.clear()
        assert world.fhir(token, f"Observation/of-{name}").status_code == status
    assert sorted(listener.sent) == ["aggregate Consent", "find Observation"]


@pytest.mark.parametrize(
    ("type", "query", "index"),
    [
        ("Observation", [("subject", "Patient/p")], ["x", "_id"]),
        ("Observation", [("subject", "Patient/p"), ("_sort", "-date")], ["k", "s", "_id"]),
        ("Patient", [("name", "ng")], ["x", "_id"]),
    ],
)
def test_what_is_hidden_from_a_caller_costs_a_search_no_trial_of_indexes(counted, type, query, index):
    repository, listener = counted
    put(repository, consent("hides", "q", "deny"))
    limited = AccessContext("client:c", scopes=ALL, labels=frozenset(), facility="79001")
    for ctx in (OPEN, limited):
        listener.hints.clear()
        repository.search(ctx, type, query)
        assert list(listener.hints[-1]) == index


def test_a_write_in_open_access_asks_nothing_more(counted):
    repository, listener = counted
    listener.sent.clear()
    repository.create(OPEN, "Observation", weight("x", "p"))
    assert listener.sent == ["insert Observation"]
    listener.sent.clear()
    repository.update(OPEN, "Observation", "w01", weight("w01", "p", note=[{"text": "x"}]))
    assert sorted(listener.sent) == ["find Observation", "insert history", "update Observation"]
    listener.sent.clear()
    repository.create(OPEN, "Encounter", encounter("x", "p"))
    assert listener.sent == ["insert Encounter"]


def test_who_treats_is_read_from_an_index_alone(counted):
    """The more visits a patient has, the more entries are counted, and no document is fetched for it."""
    repository, _ = counted
    for number in range(40):
        put(repository, encounter(f"e{number}", "p"))
    collection = repository.store.collection("Encounter")
    explained = collection.database.command(
        "explain",
        {
            "aggregate": "Encounter",
            "pipeline": [{"$match": {"o": {"$in": ["p"]}, "g.f": {"$in": ["79001"]}}}, {"$group": {"_id": "$o"}}],
            "cursor": {},
        },
        verbosity="executionStats",
    )
    text = str(explained)
    stages = list(itertools.chain.from_iterable(text.split("'totalDocsExamined': ")[1:2]))
    assert stages[0] == "0", text
