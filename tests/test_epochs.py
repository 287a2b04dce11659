"""What workers remember, and that nobody acts on it any more when they are told that it has ended."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, cast

import pytest

from fhir_server.access import tokens
from fhir_server.access.context import AccessContext
from fhir_server.app import create_app
from fhir_server.epochs import LEASE_SECONDS, WAIT_SECONDS, Epochs, take_away
from fhir_server.records import now
from fhir_server.rest import access
from fhir_server.store import prepared
from fhir_server.store.connection import connect
from tests.access.test_door_facility import consent, put, weight
from tests.access.world import World

OPEN = AccessContext.unrestricted("open")
SMART = {"FHIR_ACCESS": "smart", "FHIR_PUBLIC_URL": "https://fhir.example.vn", "FHIR_AUDIT": "no"}


class Counted:
    """A database whose collection of epochs counts how often it is read."""

    def __init__(self, database: Any) -> None:
        self._collection = database["epochs"]
        self.reads = 0

    def __getitem__(self, name: str) -> Counted:
        return self

    def find_one(self, wanted: Any) -> Any:
        self.reads += 1
        return self._collection.find_one(wanted)


@pytest.fixture
def worlds(repository, tmp_path) -> list[World]:
    """Two servers on one database, as two workers are: they share nothing but the database."""
    from fhir_server.config import Config
    from fhir_server.repository import Repository
    from fhir_server.store.records import Store

    config = Config.from_environment({**SMART, "FHIR_DATA": str(tmp_path)})
    other = Repository(Store(repository.store.client, repository.store.database_name))
    put(repository, {"resourceType": "Patient", "id": "p"})
    put(repository, weight("w", "p"))
    return [World(create_app(each, config=config), each, config) for each in (repository, other)]


def test_the_epoch_is_read_once_in_its_lease_and_again_when_that_is_over(store, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("fhir_server.epochs.time.monotonic", lambda: clock[0])
    counted = Counted(store.database)
    seen = Epochs(cast(Any, counted))
    for _ in range(5):
        assert seen.present() is None
    assert counted.reads == 1
    with store.client.start_session() as session:
        session.with_transaction(store.epochs.begin_in)
    clock[0] += LEASE_SECONDS - 0.001
    assert seen.present() is None
    clock[0] += 0.002
    first = seen.present()
    assert first is not None
    assert counted.reads == 2


def test_no_epoch_comes_twice_and_one_that_is_given_up_never_began(store):
    def begin(session):
        store.epochs.begin_in(session)

    known = set()
    for _ in range(3):
        with store.client.start_session() as session:
            session.with_transaction(begin)
            assert store.epochs.began_in(session)
        known.add(Epochs(store.database).present())
    assert len(known) == 3
    before = Epochs(store.database).present()
    with store.client.start_session() as session, pytest.raises(ZeroDivisionError):
        session.with_transaction(lambda session: (begin(session), 1 / 0))
    assert Epochs(store.database).present() == before
    store.database["epochs"].delete_many({})  # as where the database is put back to what it was
    with store.client.start_session() as session:
        session.with_transaction(begin)
    assert Epochs(store.database).present() not in known


def test_who_waits_waits_longer_than_anybody_believes(store):
    assert WAIT_SECONDS > LEASE_SECONDS
    began = time.monotonic()
    take_away(store.database, lambda session: True)
    assert time.monotonic() - began >= WAIT_SECONDS
    before = Epochs(store.database).present()
    take_away(store.database, lambda session: False)
    assert Epochs(store.database).present() == before


def test_a_token_that_was_revoked_counts_nowhere_when_that_is_answered(worlds):
    backend = worlds[0].backend("clinic", ["system/*.rs"], facility="79001")
    for by in (0, 1):
        token = backend.token()
        for _ in range(2):
            assert [each.fhir(token, "Patient/p").status_code for each in worlds] == [200, 200]
        backend.world = worlds[by]
        assert backend.revoke(token).status_code == 200
        assert [each.fhir(token, "Patient/p").status_code for each in worlds] == [401, 401]


def test_of_many_requests_none_counts_that_begins_after_the_answer(worlds):
    """Tokens that end while several threads ask in two workers without a pause."""
    backend = worlds[0].backend("clinic", ["system/*.rs"])
    database = worlds[0].database
    look_ups = [access.LookUp(database, lambda facility: ()) for _ in worlds]
    for _ in range(3):
        token = backend.token()
        ended = threading.Event()
        wrong: list[float] = []
        asked = [0, 0]

        def ask(
            number: int,
            token: str = token,
            ended: threading.Event = ended,
            wrong: list[float] = wrong,
            asked: Any = asked,
        ) -> None:
            until = time.monotonic() + 5
            while time.monotonic() < until:
                over = ended.is_set()
                found = look_ups[number].token(token)
                asked[number] += found is not None
                if over:
                    if found is not None:
                        wrong.append(time.monotonic())
                    return

        threads = [threading.Thread(target=ask, args=(number % 2,)) for number in range(4)]
        for each in threads:
            each.start()
        time.sleep(0.1)
        backend.revoke(token)
        ended.set()
        for each in threads:
            each.join()
        assert wrong == []
        assert min(asked) > 10


def test_whatever_ends_is_ended_but_only_what_is_remembered_begins_an_epoch(worlds):
    here = worlds[0]
    phone = here.app("phone", ["launch/patient", "patient/*.rs", "offline_access"])
    given = phone.tokens(here.card("p").code)
    other = phone.tokens(here.card("p").code)
    before = Epochs(here.database).present()
    assert [each.fhir(given["access_token"], "Patient/p").status_code for each in worlds] == [200, 200]
    for secret in (given["refresh_token"], other["access_token"], "unknown"):
        assert here.post("/auth/revoke", {"token": secret, "client_id": "phone"}).status_code == 200
    for each in (given, other):
        assert [world.fhir(each["access_token"], "Patient/p").status_code for world in worlds] == [401, 401]
    assert Epochs(here.database).present() == before


@pytest.mark.parametrize("way", ["put", "create", "transaction", "import", "delete"])
def test_what_is_hidden_is_hidden_in_every_worker_when_the_write_is_answered(worlds, way):
    here, there = worlds
    door = here.repository
    token = here.backend("clinic", ["system/*.rs"], facility="79001").token()
    hiding = consent("c", "p", "deny")
    if way == "delete":
        put(door, hiding)
    status = [404, 404] if way == "delete" else [200, 200]
    for _ in range(2):
        assert [each.fhir(token, "Observation/w").status_code for each in worlds] == status
        assert [len(each.fhir(token, "Observation").json.get("entry", [])) for each in worlds] == [
            int(each == 200) for each in status
        ]
    if way == "put":
        door.update(OPEN, "Consent", "c", hiding)
    elif way == "create":
        door.create(OPEN, "Consent", {name: each for name, each in hiding.items() if name != "id"})
    elif way == "delete":
        door.delete(OPEN, "Consent", "c")
    else:
        entry = {"resource": hiding, "request": {"method": "PUT", "url": "Consent/c"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        if way == "transaction":
            door.transaction(OPEN, bundle)
        else:
            document = door.writing.document(OPEN, "Consent", "c", 1, hiding, "PUT", now())
            door.store.collection("Consent")
            content = prepared.encode(document)
            assert content is not None
            door.store.transact(lambda session: prepared.insert(door.store, session, "Consent", [content]))
    after = [200, 200] if way == "delete" else [404, 404]
    assert [there.fhir(token, "Observation/w").status_code, here.fhir(token, "Observation/w").status_code] == after
    assert len(there.fhir(token, "Observation").json.get("entry", [])) == int(way == "delete")


def test_that_two_are_one_person_counts_in_every_worker_when_it_is_answered(worlds):
    here, there = worlds
    door = here.repository
    put(door, {"resourceType": "Patient", "id": "same"})
    put(door, consent("hides", "same", "deny"))
    token = here.backend("clinic", ["system/*.rs"], facility="79001").token()
    assert [each.fhir(token, "Observation/w").status_code for each in worlds] == [200, 200]
    door.merging.merge(OPEN, "same", "p")
    assert [each.fhir(token, "Observation/w").status_code for each in (there, here)] == [404, 404]
    door.merging.unmerge(OPEN, "same")
    assert [each.fhir(token, "Observation/w").status_code for each in (there, here)] == [200, 200]


def test_what_hides_nothing_begins_no_epoch_and_waits_for_nobody(repository):
    before = Epochs(repository.store.database).present()
    put(repository, {"resourceType": "Patient", "id": "p"})
    put(repository, weight("w", "p"))
    put(repository, weight("w", "p", note=[{"text": "again"}]))
    put(repository, consent("opens", "p", "permit"))
    put(repository, consent("opens", "p", "permit", status="inactive"))
    repository.delete(OPEN, "Consent", "opens")
    repository.delete(OPEN, "Observation", "w")
    assert Epochs(repository.store.database).present() == before


def test_consents_that_come_at_once_are_all_kept(repository):
    repository.store.collection("Consent")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(repository, consent(f"c{number}", f"p{number}", "deny")), range(24)))
    assert repository.search(OPEN, "Consent", [("_summary", "count")]).total == 24


def test_what_is_changed_past_the_server_counts_after_a_while(worlds, monkeypatch):
    clock = [time.monotonic()]
    monkeypatch.setattr("fhir_server.rest.access.time.monotonic", lambda: clock[0])
    token = worlds[0].backend("clinic", ["system/*.rs"], facility="79001").token()
    assert worlds[0].fhir(token, "Patient/p").status_code == 200
    worlds[0].database["smart_tokens"].delete_many({})
    clock[0] += access._REMEMBERED_SECONDS - 1
    assert worlds[0].fhir(token, "Patient/p").status_code == 200
    clock[0] += 2
    assert worlds[0].fhir(token, "Patient/p").status_code == 401


def test_a_token_that_is_remembered_ends_with_its_time(worlds, monkeypatch):
    token = worlds[0].backend("clinic", ["system/*.rs"], facility="79001").token()
    assert worlds[0].fhir(token, "Patient/p").status_code == 200
    later = now() + timedelta(seconds=tokens.ACCESS_SECONDS)
    monkeypatch.setattr(tokens, "now", lambda: later)
    assert worlds[0].fhir(token, "Patient/p").status_code == 401


def test_no_more_is_remembered_than_there_is_room_for(worlds, monkeypatch):
    monkeypatch.setattr(access, "_REMEMBERED", 3)
    backend = worlds[0].backend("clinic", ["system/*.rs"])
    look_up = access.LookUp(worlds[0].database, lambda facility: ())
    for _ in range(8):
        assert look_up.token(backend.token()) is not None
        assert len(look_up._tokens) <= 3
    assert look_up.token("unknown") is None
    assert len(look_up._tokens) <= 3


def test_reads_go_to_the_primary_whatever_the_address_says(mongod_uri):
    joined = "&" if "?" in mongod_uri else "/?"
    with connect(f"{mongod_uri}{joined}readPreference=secondaryPreferred") as client:
        assert client.read_preference.name == "Primary"
