"""Paging gives every match exactly once while other writes go on."""

from __future__ import annotations

import random
import threading

import pytest

from tests.repository.people import OPEN, bundle, ids, patient

ORDERS = [
    ("by id", [("gender", "male,female,unknown")]),
    ("by word", [("name", "n,t,l,d,p,h")]),
    ("by date", [("birthdate", "ge1900")]),
    ("by name", [("_sort", "name")]),
    ("by two keys, one computed", [("_sort", "gender,-_id")]),
]


@pytest.mark.parametrize("pairs", [order[1] for order in ORDERS], ids=[order[0] for order in ORDERS])
@pytest.mark.parametrize("count", ["1", "7"])
def test_every_match_that_stays_is_given_once_while_others_come_and_go(repository, pairs, count):
    made = repository.transaction(OPEN, bundle([patient(number) for number in range(60)]))
    known = [result.stored.id for result in made]
    staying = {each for number, each in enumerate(known) if number % 4 and number % 6 != 4}  # 4 of 6 has no birth date
    leaving = [each for number, each in enumerate(known) if number % 4 == 0]
    choose = random.Random(7)
    found: list[str] = []
    following = [*pairs, ("_count", count)]
    while following is not None:
        page = repository.search(OPEN, "Patient", following)
        found += ids(page)
        following = page.next
        if len(found) < 40:  # new ids come last: a reader as slow as the writer would never be done
            repository.create(OPEN, "Patient", patient(choose.randrange(60)))
        touched = choose.choice(sorted(staying))
        resource = patient(known.index(touched)) | {"id": touched, "maritalStatus": {"text": str(len(found))}}
        repository.update(OPEN, "Patient", touched, resource)
        if leaving:
            repository.delete(OPEN, "Patient", leaving.pop())
        assert len(found) < 1000
    assert len(found) == len(set(found))
    assert staying <= set(found)


def test_pages_read_while_threads_write_hold_what_was_there_throughout(repository):
    made = repository.transaction(OPEN, bundle([patient(number) for number in range(50)]))
    staying = {result.stored.id for result in made}
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            created = repository.create(OPEN, "Patient", patient(number))
            repository.delete(OPEN, "Patient", created.stored.id)
            number += 1

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(5):
            found: list[str] = []
            following = [("gender", "male,female,unknown"), ("_count", "5")]
            while following is not None:
                page = repository.search(OPEN, "Patient", following)
                found += ids(page)
                following = page.next
            assert len(found) == len(set(found))
            assert staying <= set(found)
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def test_a_forged_position_is_refused_and_never_reaches_the_database(repository):
    from fhir_server.errors import BadRequest
    from fhir_server.search.paging import encode_cursor

    for values in (["a", "b", "c"], [{"$gt": ""}], [["x"]], []):
        try:
            cursor = encode_cursor(values)
        except TypeError:
            continue
        with pytest.raises(BadRequest, match="paging link"):
            repository.search(OPEN, "Patient", [("gender", "male"), ("_cursor", cursor)])
