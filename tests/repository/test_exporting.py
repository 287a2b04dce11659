"""An export holds the records of one moment, whatever is written while it is read and whoever dies meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from fhir_server import exporting
from fhir_server.access.context import AccessContext
from fhir_server.export_order import ExportOrder
from fhir_server.records import document_of, now
from fhir_server.repository import Repository
from fhir_server.store import moments

OPEN = AccessContext.unrestricted("test")
MARGINS = {"all settled": 0.0, "half settled": 0.5, "none settled": 1.0}


@pytest.fixture
def start(repository: Repository) -> Callable[..., str]:
    def start(**order: Any) -> str:
        return repository.exports.start(OPEN, ExportOrder(**order), request="")

    return start


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "READ", 7)
    monkeypatch.setattr(moments, "FEW", 20)
    monkeypatch.setattr(moments, "_SLICE", 2)
    monkeypatch.setattr(exporting, "LINES_PER_FILE", 10)


def put(repository: Repository, address: str, **elements: Any) -> None:
    type, _, id = address.partition("/")
    repository.update(OPEN, type, id, {"resourceType": type, "id": id, **elements})


def held(repository: Repository) -> dict[str, bytes]:
    """`Type/id -> text` of every current record."""
    return {
        f"{type}/{each['_id']}": each["json"].encode()
        for type in repository.types()
        for each in repository.store.collection(type).find({}, {"json": 1})
    }


def exported(repository: Repository, job_id: str) -> dict[str, bytes]:
    """The same of an export, which holds nothing twice."""
    job = repository.exports.status(OPEN, job_id)
    assert job.state == "done", job.error
    found: dict[str, bytes] = {}
    for file in job.result["files"]:
        lines = b"".join(repository.exports.file(OPEN, job_id, file["name"])).splitlines()
        assert len(lines) == file["lines"] <= 10 + 10  # a part more than a full file
        for line in lines:
            key = f"{file['type']}/{json.loads(line)['id']}"
            assert key not in found
            found[key] = line
    return found


def moved(repository: Repository, number: int) -> None:
    """A transaction that changes two records of different types together."""
    entries: list[dict[str, Any]] = [
        {"resource": {"resourceType": type, "id": "pair", "language": f"x-{number}"}, "request": _request("PUT", type)}
        for type in ("Basic", "Patient")
    ]
    entries[0]["resource"]["code"] = {"text": "x"}
    repository.transaction(OPEN, {"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _request(method: str, type: str) -> dict[str, str]:
    return {"method": method, "url": f"{type}/pair"}


def at_random(repository: Repository, chance: random.Random) -> None:
    """One write of any kind."""
    id = f"p{chance.randrange(40):02d}"
    kind = chance.random()
    if kind < 0.25:
        repository.delete(OPEN, "Patient", id)
    elif kind < 0.4:
        moved(repository, chance.randrange(10**6))
    elif kind < 0.5:
        repository.create(OPEN, "Patient", {"resourceType": "Patient"})
    else:
        put(repository, f"Patient/{id}", language=f"x-{chance.randrange(10**6)}")


def steps(repository: Repository) -> Iterator[None]:
    """Carry out the one export that waits, with a pause before each of its parts."""

    going_on = True
    while going_on:
        asked = 0

        def second_time() -> bool:
            nonlocal asked
            asked += 1
            return asked > 1

        going_on = repository.exports.work(second_time)
        yield


@pytest.mark.parametrize("share", MARGINS.values(), ids=MARGINS)
@pytest.mark.parametrize("seed", range(3))
def test_an_export_is_what_was_held_when_it_began_while_everything_changes(
    repository: Repository,
    start: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    share: float,
    seed: int,
) -> None:
    chance = random.Random(seed)
    settled = now()
    for number in range(80):
        if number == 80 * (1 - share):
            settled = now()
        at_random(repository, chance)
    if share == 0:
        settled = now() + timedelta(milliseconds=2)
        while now() <= settled:
            pass
    monkeypatch.setattr(exporting, "SETTLED", now() - settled)
    job_id = start()
    expected = held(repository)
    repository.exports.work(lambda: True)  # begins, and gives it back before the first part
    parts = 0
    for _ in steps(repository):
        parts += 1
        for _ in range(4):
            at_random(repository, chance)
    assert parts >= 5
    assert exported(repository, job_id) == expected
    assert held(repository) != expected


def test_a_transaction_that_is_open_when_an_export_begins_is_not_in_it_and_is_in_the_next_one_since(
    repository: Repository, start: Callable[..., str]
) -> None:
    store = repository.store
    put(repository, "Patient/before")
    store.collection("Basic")
    job_id = start()
    documents = {
        type: [document_of(type, "pair", 1, {"resourceType": type, "id": "pair"}, "PUT", now(), "")]
        for type in ("Basic", "Patient")
    }

    def work(session: Any) -> None:
        store.write(session, creates=documents, replaces={}, deletes={}, superseded=[])
        repository.exports.work(lambda: True)

    store.transact(work)
    while repository.exports.work():
        pass
    assert list(exported(repository, job_id)) == ["Patient/before"]
    moment = repository.exports.status(OPEN, job_id).result["moment"]
    assert moment < documents["Basic"][0]["t"]
    following = start(since=moment)
    repository.exports.work()
    assert {"Basic/pair", "Patient/pair"} <= set(exported(repository, following))


def test_a_filter_is_asked_of_the_version_of_that_moment(repository: Repository, start: Callable[..., str]) -> None:
    for number in range(12):
        put(repository, f"Patient/p{number}", gender="female" if number % 2 else "male")
    job_id = start(filters=(("Patient", "gender=female"),))
    repository.exports.work(lambda: True)
    for number in range(12):
        put(repository, f"Patient/p{number}", gender="male" if number % 2 else "female")
    repository.exports.work()
    assert set(exported(repository, job_id)) == {f"Patient/p{number}" for number in (1, 3, 5, 7, 9, 11)}


def test_a_worker_that_dies_is_followed_by_another_and_no_line_is_lost_or_doubled(
    repository: Repository, start: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        put(repository, f"Patient/p{number:02d}")
    job_id = start()
    monkeypatch.setattr(exporting, "LEASE_SECONDS", 0)  # so that nobody has to wait for it
    for parts in (0, 1, 2):
        asked = 0

        def dies(parts: int = parts) -> bool:
            nonlocal asked
            asked += 1
            if asked > parts:
                raise SystemExit
            return False

        with pytest.raises(SystemExit):
            repository.exports.work(dies)
    monkeypatch.setattr(exporting, "LEASE_SECONDS", 60)
    repository.exports.work()
    assert exported(repository, job_id) == held(repository)
    assert repository.exports.status(OPEN, job_id).attempt == 4
    assert repository.store.database["moments"].count_documents({}) == 0


def test_a_worker_that_was_taken_for_dead_keeps_nothing_of_what_it_does_afterwards(
    repository: Repository, start: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        put(repository, f"Patient/p{number:02d}")
    job_id = start()
    monkeypatch.setattr(exporting, "LEASE_SECONDS", 0)
    overtaken = 0

    def meanwhile() -> bool:
        nonlocal overtaken
        overtaken += 1
        if overtaken == 2:
            monkeypatch.setattr(exporting, "LEASE_SECONDS", 60)
            repository.exports.work()  # another process, which finishes it
        return False

    repository.exports.work(meanwhile)
    assert overtaken == 2
    assert exported(repository, job_id) == held(repository)


def test_a_settled_part_is_read_by_its_ids_and_reads_no_more_than_it_gives(
    repository: Repository, start: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        put(repository, f"Patient/p{number:02d}")
    collection = repository.store.collection("Patient")
    plan = collection.find({"$and": [{"_id": {"$gt": "p10"}, "t": {"$lte": now()}}]}).sort("_id").limit(7).explain()
    stats = plan["executionStats"]
    assert (stats["totalKeysExamined"], stats["totalDocsExamined"], stats["nReturned"]) == (7, 7, 7)
    gone = {"type": "Patient", "m": "DELETE", "id": {"$gt": ""}, "t": {"$gt": now()}}
    plan = repository.store.history.find(gone, {"id": 1}).sort("id").limit(3).explain()
    assert plan["executionStats"]["totalKeysExamined"] <= 1
