"""Measures the server process against its bare twin and against pymongo alone, and prints the table.

    python -m bench [--seconds 1.5] [--rounds 5] [--write docs/bench.md]

All three do the same MongoDB operations on the same mongod and the same data. Server and twin are measured in turns,
round by round, so that what else the machine does falls on both; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, socket
from typing import Any
from urllib.parse import quote

from bench import load, population
from bench.operations import ENTRIES, Operations
from fhir_server.resource.exact import dump
from fhir_server.store.mongod import Mongod
from fhir_server.store.records import Store

THREADS = "2"
NAMES = ("nguyen", "tran van", "le thi", "pham", "thi", "hoang", "an", "minh")
# row, least ratio to the twin that is good enough
TARGETS = {"read": 0.7, "token": 0.7, "name": 0.7, "newest": 0.7, "create": 0.6, "update": 0.6, "transaction": 0.5}
TITLES = {
    "read": "read a Patient",
    "token": "search a Patient by card number",
    "name": "search Patients by name, page of 50",
    "newest": "newest 50 Observations of a patient",
    "create": "create an Observation",
    "update": "update a Patient",
    "transaction": f"transaction of {ENTRIES} Observations",
}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    server: load.Measured
    twin: load.Measured
    ratios: list[float]
    floor: float


def requests_for(people: population.Population, name: str, server: bool) -> Callable[[int], Iterator[load.Request]]:
    """The same requests in the same order for the server and for its twin."""

    def endless(connection: int) -> Iterator[load.Request]:
        choose = random.Random(f"{name} {connection}")
        for number in itertools.count():
            key, request = _request(people, name, choose, connection, number)
            yield request if server else load.Request(request.method, f"/{name}/{quote(key)}", request.body)

    return endless


def _request(
    people: population.Population, name: str, choose: random.Random, connection: int, number: int
) -> tuple[str, load.Request]:
    if name == "read":
        person = choose.choice(people.patients)["id"]
        return person, load.Request("GET", f"/fhir/Patient/{person}")
    if name == "token":
        identifier = choose.choice(people.patients)["identifier"][0]
        key = f"{identifier['system']}|{identifier['value']}"
        return key, load.Request("GET", f"/fhir/Patient?identifier={quote(key)}")
    if name == "name":
        key = choose.choice(NAMES)
        return key, load.Request("GET", f"/fhir/Patient?name={quote(key)}&_count=50")
    if name == "newest":
        key = choose.choice(people.frequent)
        return key, load.Request("GET", f"/fhir/Observation?patient={key}&_sort=-date&_count=50")
    if name == "create":
        return "-", load.Request("POST", "/fhir/Observation", dump(choose.choice(people.observations)), 201)
    if name == "update":
        # Each connection has patients of its own: the cost of collisions is not what is measured.
        mine = people.patients[connection :: load.CONNECTIONS]
        person = mine[number % len(mine)]
        changed = {**person, "maritalStatus": {"text": f"{time.perf_counter_ns()}"}}
        return person["id"], load.Request("PUT", f"/fhir/Patient/{person['id']}", dump(changed))
    entries = [
        {"resource": each, "request": {"method": "POST", "url": "Observation"}}
        for each in choose.sample(people.observations, ENTRIES)
    ]
    return "-", load.Request("POST", "/fhir", dump({"resourceType": "Bundle", "type": "transaction", "entry": entries}))


def measure(
    people: population.Population, store: Store, ports: tuple[int, int], seconds: float, rounds: int
) -> list[Row]:
    """All rows."""
    rows = []
    operations = Operations(store)
    for name in TARGETS:
        totals = (load.Measured(), load.Measured())
        ratios = []
        connections = 2 if name == "transaction" else load.CONNECTIONS
        for number in range(rounds + 1):
            rates = []
            for port, total, is_server in zip(ports, totals, (True, False), strict=True):
                measured = load.run(port, requests_for(people, name, is_server), seconds, connections)
                rates.append(measured.rate)
                if number:  # the first round only warms up
                    total.latencies += measured.latencies
                    total.seconds += measured.seconds
            if number:
                ratios.append(rates[0] / rates[1])
        rows.append(Row(name, *totals, ratios, _floor(people, operations, name, seconds)))
    return rows


def _floor(people: population.Population, operations: Operations, name: str, seconds: float) -> float:
    """Operations per second by pymongo alone, one after the other."""
    choose = random.Random(name)
    done, begin = 0, time.perf_counter()
    while time.perf_counter() < begin + seconds:
        key, _ = _request(people, name, choose, 0, done) if name != "transaction" else ("-", None)
        operations.by_name[name](key)
        done += 1
    return done / (time.perf_counter() - begin)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| interaction | server/s | p50 ms | p99 ms | twin/s | p50 ms | p99 ms | pymongo alone/s | server : twin | wanted |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        figures = [
            f"{figure:,.{digits}f}"
            for side in (row.server, row.twin)
            for figure, digits in ((side.rate, 0), (side.percentile(0.5), 1), (side.percentile(0.99), 1))
        ]
        ratio = statistics.median(row.ratios)
        cells = [TITLES[row.name], *figures, f"{row.floor:,.0f}", f"**{ratio:.2f}**", f"{TARGETS[row.name]:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


@contextmanager
def process(arguments: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    """A server process that answers on `port`."""
    child = subprocess.Popen(arguments, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if child.poll() is not None:
                raise RuntimeError(f"{arguments[0]} ended with {child.returncode}")
            try:
                create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        child.terminate()
        child.wait(20)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Runs the measurement."""
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--seconds", type=float, default=1.5, help="length of a round")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--write", type=Path, help="also write the table to this file")
    chosen: Any = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Mongod(Path(folder), cache_mb=1024) as mongod:
        store = Store.open(mongod.uri, "bench")
        people = population.load(store)
        environment = {"FHIR_MONGODB_URI": mongod.uri, "FHIR_DATABASE": "bench", "FHIR_THREADS": THREADS}
        server_port, twin_port = free_port(), free_port()
        server = [sys.executable, "-m", "fhir_server.cli", "serve", "--port", str(server_port)]
        twin = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--port", str(twin_port)]
        twin += ["--workers", "1", "--blocking-threads", THREADS, "--backlog", "1024", "--log-level", "warning"]
        twin += ["bench.twin:application"]
        with process(server, server_port, environment), process(twin, twin_port, environment):
            rows = measure(people, store, (server_port, twin_port), chosen.seconds, chosen.rounds)
        store.close()
    text = table(rows)
    print(text)
    if chosen.write:
        head = (
            "# The last measurement\n\nMade by `python -m bench`; what it compares is said in `bench/__main__.py`.\n\n"
        )
        chosen.write.write_text(head + text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
