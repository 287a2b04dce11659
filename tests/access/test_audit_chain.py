"""The hash chain finds every kind of tampering exactly, and no event is lost or doubled whatever is killed."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.audit_record import Record, Touched, from_line, to_line
from fhir_server.access.audit_spool import Spool, segments
from fhir_server.audit_shipping import ANCHORS, AuditShipping
from fhir_server.audit_verifying import verify
from fhir_server.errors import Conflict
from fhir_server.store.audit import AuditChains, event_id, link
from fhir_server.store.records import Store

BASE = "http://127.0.0.1:8080/fhir"
EVENTS = 10
FEW = 800  # more than MongoDB sends at a time
UNDER_LOAD = 60
Tamper = Callable[[Any, str], None]


def _record(number: int) -> bytes:
    touched = {Touched("Patient", f"p{number}", 1, f"p{number}"): None}
    return to_line(Record(1_790_000_000_000 + number, "read", actor="client:a", request=f"r-{number}", touched=touched))


@pytest.fixture
def shipper(store: Store, tmp_path: Path) -> AuditShipping:
    """A chain of EVENTS events, whose spool is empty and let go."""
    spool = Spool(tmp_path)
    for number in range(1, EVENTS + 1):
        spool.write(_record(number))
    spool.close()
    shipper = AuditShipping(store, tmp_path, BASE)
    assert shipper.ship(anchor=True) == EVENTS
    return shipper


def _chain(directory: Path) -> str:
    return (directory / "chain").read_text("ascii")


def _broken(store: Store, directory: Path) -> list[str]:
    chain = _chain(directory)
    found = verify(store, BASE, anchors=directory / ANCHORS).broken
    return [f"{each.event.removeprefix(chain + '-').lstrip('0')} {each.how}" for each in found]


def test_a_chain_that_nobody_touched_is_whole(store: Store, shipper: AuditShipping, tmp_path: Path) -> None:
    found = verify(store, BASE, anchors=tmp_path / ANCHORS)
    assert (found.chains, found.events, found.broken) == (1, EVENTS, [])
    assert segments(tmp_path) == []


def _change_text(events: Any, chain: str) -> None:
    found = events.find_one({"_id": event_id(chain, 4)})
    events.update_one({"_id": found["_id"]}, {"$set": {"json": found["json"].replace("client:a", "client:b")}})


def _change_text_and_hash(events: Any, chain: str) -> None:
    found = events.find_one({"_id": event_id(chain, 4)})
    text = found["json"].replace("client:a", "client:b")
    linked = link(found["a"]["p"], found["_id"], text)
    events.update_one({"_id": found["_id"]}, {"$set": {"json": text, "a.h": linked}})


def _change_what_is_searched(events: Any, chain: str) -> None:
    events.update_one({"_id": event_id(chain, 4)}, {"$pull": {"x": "entity.what|Patient/p4"}})


def _change_whose_it_is(events: Any, chain: str) -> None:
    events.update_one({"_id": event_id(chain, 4)}, {"$set": {"o": "p5"}})


def _change_the_native_copy(events: Any, chain: str) -> None:
    events.update_one({"_id": event_id(chain, 4)}, {"$set": {"resource.outcome": "8"}})


def _remove(events: Any, chain: str) -> None:
    events.delete_one({"_id": event_id(chain, 4)})


def _swap(events: Any, chain: str) -> None:
    one, other = (events.find_one({"_id": event_id(chain, number)}) for number in (4, 5))
    events.replace_one({"_id": one["_id"]}, {**other, "_id": one["_id"]})
    events.replace_one({"_id": other["_id"]}, {**one, "_id": other["_id"]})


def _cut_off(events: Any, chain: str) -> None:
    events.delete_many({"_id": {"$gte": event_id(chain, 8)}})


def _cut_off_with_the_head(events: Any, chain: str) -> None:
    _cut_off(events, chain)
    last = events.find_one({"_id": event_id(chain, 7)})
    events.database["audit_heads"].update_one({"_id": chain}, {"$set": {"n": 7, "h": last["a"]["h"]}})


def _remove_everything(events: Any, chain: str) -> None:
    events.delete_many({})
    events.database["audit_heads"].delete_many({})


def _add_behind(events: Any, chain: str) -> None:
    last = events.find_one({"_id": event_id(chain, EVENTS)})
    id, number = event_id(chain, EVENTS + 1), EVENTS + 1
    text = last["json"].replace(last["_id"], id)
    resource = {**last["resource"], "id": id}
    place = {"n": number, "p": last["a"]["h"], "h": link(last["a"]["h"], id, text)}
    events.insert_one({**last, "_id": id, "json": text, "resource": resource, "a": place})


def _add_a_stranger(events: Any, chain: str) -> None:
    events.insert_one({"_id": event_id(chain, 4) + "0", "json": "{}"})


def _write_anew(events: Any, chain: str) -> None:
    previous, number = events.find_one({"_id": event_id(chain, 3)})["a"]["h"], 4
    for number in range(4, EVENTS + 1):
        found = events.find_one({"_id": event_id(chain, number)})
        text = found["json"].replace("client:a", "client:b")
        resource = {**found["resource"], "agent": [{**found["resource"]["agent"][0], "altId": "client:b"}]}
        resource["agent"][0]["who"]["identifier"]["value"] = "client:b"
        linked = link(previous, found["_id"], text)
        tokens = sorted(token.replace("client:a", "client:b") for token in found["x"])
        change = {"json": text, "resource": resource, "x": tokens, "a.p": previous, "a.h": linked}
        events.update_one({"_id": found["_id"]}, {"$set": change})
        previous = linked
    events.database["audit_heads"].update_one({"_id": chain}, {"$set": {"h": previous}})


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (_change_text, "4 changed"),
        (_change_text_and_hash, "4 changed"),
        (_change_what_is_searched, "4 changed"),
        (_change_whose_it_is, "4 changed"),
        (_change_the_native_copy, "4 changed"),
        (_remove, "4 removed"),
        (_swap, "4 reordered"),
        (_cut_off, "8 truncated"),
        (_cut_off_with_the_head, "8 truncated"),
        (_remove_everything, "1 truncated"),
        (_add_behind, "11 added"),
        (_add_a_stranger, "40 added"),
        (_write_anew, "10 changed"),
    ],
)
def test_tampering_is_found_where_it_was_done(
    store: Store, shipper: AuditShipping, tmp_path: Path, tamper: Tamper, expected: str
) -> None:
    tamper(store.database["AuditEvent"], _chain(tmp_path))
    assert _broken(store, tmp_path) == [expected]


def test_what_was_read_but_not_yet_removed_from_the_spool_is_not_shipped_twice(store: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(1, 4):
        spool.write(_record(number))
    shipper = AuditShipping(store, tmp_path, BASE)
    assert [shipper.ship(), shipper.ship()] == [3, 0]
    spool.write(_record(4))
    assert AuditShipping(store, tmp_path, BASE).ship() == 1
    spool.close()
    assert shipper.ship() == 0
    assert segments(tmp_path) == []
    assert _broken(store, tmp_path) == []
    assert store.database["AuditEvent"].count_documents({}) == 4


def test_half_a_record_at_the_end_of_a_dead_writers_segment_is_left_out(store: Store, tmp_path: Path) -> None:
    whole = _record(1)
    (tmp_path / "1.spool").write_bytes(whole + whole[:40])
    assert AuditShipping(store, tmp_path, BASE).ship() == 1
    assert segments(tmp_path) == []


def test_a_damaged_record_is_set_aside_and_the_others_are_shipped(store: Store, tmp_path: Path) -> None:
    (tmp_path / "1.spool").write_bytes(_record(1) + b"{damaged\n" + _record(2))
    assert AuditShipping(store, tmp_path, BASE).ship() == 2
    assert (tmp_path / "damaged").read_bytes() == b"{damaged\n"


def test_two_directories_are_two_chains_and_a_copied_one_is_refused(store: Store, tmp_path: Path) -> None:
    heads = []
    for name in ("one", "other"):
        spool = Spool(tmp_path / name)
        spool.write(_record(1))
        assert AuditShipping(store, tmp_path / name, BASE).ship() == 1
        heads.append(AuditChains(store).head(_chain(tmp_path / name)))
    assert verify(store, BASE).chains == 2
    chains = AuditChains(store)
    stale = {**heads[0], "n": 0}
    with pytest.raises(Conflict):
        chains.append(stale, [], {"x": 1}, heads[0]["t"])


def test_verifying_four_times_as_many_events_holds_no_more_of_them(store: Store, tmp_path: Path) -> None:
    peaks, numbers = [], iter(range(FEW * 4))
    for more in (FEW, FEW * 3):
        (tmp_path / f"{more}.spool").write_bytes(b"".join(_record(next(numbers)) for _ in range(more)))
        assert AuditShipping(store, tmp_path, BASE).ship() == more
        verify(store, BASE)  # what is made once is made by now
        tracemalloc.start()
        try:
            assert verify(store, BASE).broken == []
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5


@contextlib.contextmanager
def _serving(uri: str, database: str, data: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A real server process with a trail on the tests' own MongoDB, and its port."""
    from socket import socket

    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **os.environ,
        "FHIR_MONGODB_URI": uri,
        "FHIR_DATABASE": database,
        "FHIR_DATA": str(data),
        "FHIR_AUDIT": "yes",
    }
    command = [sys.executable, "-m", "fhir_server.cli", "serve", "--port", str(port), "--workers", "2"]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    assert server.stderr is not None
    try:
        assert b"/fhir" in server.stderr.readline()
        yield server, port
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _ask_until_it_dies(port: int, name: str, answered: list[str], enough: threading.Event) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    number = 0
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            request = f"{name}-{number}"
            connection.request("GET", "/fhir/Patient/nobody", headers={"X-Request-Id": request})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 404
            answered.append(request)
            number += 1
            if number == UNDER_LOAD:
                enough.set()
    connection.close()


def test_no_event_of_an_answered_request_is_lost_when_the_server_is_killed_under_load(
    store: Store, mongod_uri: str, database: str, tmp_path: Path
) -> None:
    answered: list[str] = []
    with _serving(mongod_uri, database, tmp_path) as (server, port):
        enough = threading.Event()
        clients = [
            threading.Thread(target=_ask_until_it_dies, args=(port, f"c{number}", answered, enough))
            for number in range(4)
        ]
        for each in clients:
            each.start()
        assert enough.wait(60)
        _wait_until(lambda: store.database["AuditEvent"].count_documents({}) > 0)  # shipping goes on beside the load
        server.send_signal(signal.SIGKILL)  # the kernel kills its workers at that moment
        for each in clients:
            each.join()
    AuditShipping(store, tmp_path / "audit", BASE).ship()
    events = store.database["AuditEvent"].find({}, {"resource": 1})
    kept = Counter(event["resource"]["entity"][-1]["what"]["identifier"]["value"] for event in events)
    assert len(answered) > UNDER_LOAD
    assert set(answered) - set(kept) == set()
    assert set(kept.values()) == {1}
    assert verify(store, BASE).broken == []
    assert segments(tmp_path / "audit") == []


def test_verify_on_the_command_line_tells_of_the_broken_place_and_exits_with_1(
    store: Store, mongod_uri: str, database: str, shipper: AuditShipping, tmp_path: Path
) -> None:
    (tmp_path / "audit").mkdir()
    for name in ("chain", ANCHORS):
        (tmp_path / name).rename(tmp_path / "audit" / name)
    environment = {
        **os.environ,
        "FHIR_MONGODB_URI": mongod_uri,
        "FHIR_DATABASE": database,
        "FHIR_DATA": str(tmp_path),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "fhir_server.cli", "audit", "verify"]

    def run() -> tuple[int, str]:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.strip()

    assert run() == (0, f"{EVENTS} events in 1 chains were read. Everything is as it was written.")
    chain = _chain(tmp_path / "audit")
    _remove(store.database["AuditEvent"], chain)
    status, told = run()
    assert status == 1
    assert f"AuditEvent/{event_id(chain, 4)} was removed: the next one there is {event_id(chain, 5)}." in told


def test_a_line_of_the_spool_is_the_record_again() -> None:
    record = from_line(_record(7))
    assert (record.kind, record.actor, record.request) == ("read", "client:a", "r-7")
    assert record.touched == [Touched("Patient", "p7", 1, "p7")]
