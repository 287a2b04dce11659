"""Cases 1-24 at once: whatever patient A asks, in whatever combination, nothing of patient B is in the answer."""

from __future__ import annotations

import os

from fhir_server.repository import Repository
from fhir_server.store.records import Store
from tests.abuse.questions import DECKS
from tests.abuse.walk import walked

STEPS = int(os.environ.get("FHIR_WALK_STEPS", "1600"))


def test_a_random_walk_of_one_patient_meets_nothing_of_another_in_either_life(repository, mongod_uri):
    """Nor does any count, order, link, refusal or match of what A asks depend on what is in B's records."""
    other = Store.open(mongod_uri, database=f"{repository.store.database_name}_twin")
    try:
        walk = walked(repository, Repository(other), STEPS, seed=20261124)
    finally:
        other.client.drop_database(other.database_name)
        other.client.close()
    # A walk of refusals would prove nothing: much of it was answered, and from every deck that can be, with records.
    assert walk.statuses[200] > STEPS / 3
    assert walk.statuses[404] > STEPS / 50
    empty = {name for name in (*DECKS, "random", "batch", "link") if not walk.given[name]}
    assert empty == {"refused"}, walk.given
