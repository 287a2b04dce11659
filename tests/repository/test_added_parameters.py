"""A SearchParameter that is posted becomes searchable once $reindex has gone through the records."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from fhir_server import catalogue
from fhir_server.errors import BadRequest, Conflict
from tests.repository.people import OPEN, ids


def parameter(code="marital", kind="token", base="Patient", expression="Patient.maritalStatus", **more):
    return {
        "resourceType": "SearchParameter",
        "url": f"http://example.vn/fhir/SearchParameter/{code}",
        "name": code,
        "status": "active",
        "description": "x",
        "code": code,
        "base": [base],
        "type": kind,
        "expression": expression,
        **more,
    }


def married(code):
    return {
        "resourceType": "Patient",
        "maritalStatus": {"coding": [{"code": code}]},
        "photo": [{"creation": "2026-01-01"}],
    }


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(catalogue, "REFRESH_SECONDS", 0.2)


def wait(repository):
    for _ in range(200):
        state = repository.reindex_state(OPEN)
        if state["state"] != "running":
            return state
        time.sleep(0.05)
    pytest.fail("the indexing does not end")


def test_a_posted_parameter_is_searchable_after_reindex_for_old_and_new_records(repository):
    old = repository.create(OPEN, "Patient", married("M")).stored
    repository.create(OPEN, "SearchParameter", parameter())
    with pytest.raises(BadRequest, match="no search parameter 'marital'"):
        repository.search(OPEN, "Patient", [("marital", "M")])
    assert repository.reindex(OPEN)["state"] == "running"
    with pytest.raises(Conflict):
        repository.reindex(OPEN)
    assert ids(repository.search(OPEN, "Patient", [("_id", old.id)])) == [old.id]  # served all the while
    during = repository.create(OPEN, "Patient", married("M")).stored
    state = wait(repository)
    assert (state["state"], state["problems"]) == ("done", [])
    new = repository.create(OPEN, "Patient", married("S")).stored
    assert ids(repository.search(OPEN, "Patient", [("marital", "M")])) == [old.id, during.id]
    assert ids(repository.search(OPEN, "Patient", [("marital:not", "M")])) == [new.id]


def test_a_run_whose_connection_is_closed_ends_without_a_word_of_failure(repository, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "fhir_server.catalogue")
    uncaught: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", uncaught.append)
    repository.create(OPEN, "Patient", married("M"))
    repository.create(OPEN, "SearchParameter", parameter())
    repository.reindex(OPEN)
    (run,) = [each for each in threading.enumerate() if each.name == "reindex"]
    repository.store.client.close()
    run.join(30)
    assert not run.is_alive()
    assert uncaught == []
    assert [each.levelname for each in caplog.records if each.name == "fhir_server.catalogue"] == ["INFO"]


def test_dates_and_strings_can_be_added_and_sorted_by(repository):
    made = repository.create(OPEN, "Patient", married("M")).stored
    repository.create(OPEN, "SearchParameter", parameter("photographed", "date", expression="Patient.photo.creation"))
    repository.reindex(OPEN)
    assert wait(repository)["state"] == "done"
    assert ids(repository.search(OPEN, "Patient", [("photographed", "2026"), ("_sort", "photographed")])) == [made.id]
    assert ids(repository.search(OPEN, "Patient", [("photographed", "lt2026")])) == []


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (parameter("gender", expression="Patient.gender"), "a parameter 'gender' of R4"),
        (parameter("odd", expression="Patient.nothing"), "no element 'nothing'"),
        (parameter("odd", expression="Patient.name.exists()"), "exists()"),
        (parameter("odd", "composite"), "of type composite cannot be added"),
    ],
)
def test_what_cannot_be_indexed_is_said_and_left_out(repository, definition, problem):
    repository.create(OPEN, "SearchParameter", definition)
    repository.reindex(OPEN)
    state = wait(repository)
    assert state["definitions"] == []
    assert problem in state["problems"][0]
    with pytest.raises(BadRequest):
        repository.search(OPEN, "Patient", [("odd", "x")])


def test_another_database_knows_nothing_of_it(repository, mongod_uri):
    from fhir_server.repository import Repository
    from fhir_server.store.records import Store

    repository.create(OPEN, "SearchParameter", parameter())
    repository.reindex(OPEN)
    assert wait(repository)["state"] == "done"
    repository.search(OPEN, "Patient", [("marital", "M")])
    store = Store.open(mongod_uri, database=repository.store.database_name + "_b")
    other = Repository(store)
    with pytest.raises(BadRequest):
        other.search(OPEN, "Patient", [("marital", "M")])
    store.client.drop_database(store.database_name)
    store.close()
