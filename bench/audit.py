"""Measures what the audit trail costs a read: the same server with and without it, in turns, and prints the table.

    python -m bench.audit [--seconds 2] [--rounds 7] [--write docs/bench-audit.md]

Both serve the same data from the same mongod. With the trail, a record is written before each answer and what was written
goes to MongoDB as AuditEvents meanwhile; after each round the rest is waited for, so that it does not fall on the other server.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import load, population
from bench.__main__ import THREADS, free_port, process, requests_for
from fhir_server.access.audit_spool import segments
from fhir_server.store.mongod import Mongod
from fhir_server.store.records import Store

MEASURED = {"read": "read a Patient"}
Requests = Callable[[int], Iterator[load.Request]]


def measure(
    store: Store, requests: Requests, ports: tuple[int, int], spool: Path, seconds: float, rounds: int
) -> tuple[list[load.Measured], list[float], float]:
    """(both sides, the ratio of the rates of each round, events for each request with the trail)."""
    totals, ratios, events, answered = [load.Measured(), load.Measured()], [], 0, 0
    for number in range(rounds + 1):
        rates = []
        for side, port in enumerate(ports):
            before = store.collection("AuditEvent").estimated_document_count()
            measured = load.run(port, requests, seconds)
            rates.append(measured.rate)
            if side == 0:
                _wait_until_shipped(store, spool)
                events += store.collection("AuditEvent").estimated_document_count() - before
                answered += len(measured.latencies)
            if number:  # the first round only warms up
                totals[side].latencies += measured.latencies
                totals[side].seconds += measured.seconds
        if number:
            ratios.append(rates[0] / rates[1])
    return totals, ratios, events / answered


def _wait_until_shipped(store: Store, spool: Path) -> None:
    while True:
        head = store.database["audit_heads"].find_one() or {"spool": []}
        shipped = {each["segment"]: each["position"] for each in head["spool"]}
        if all(shipped.get(each.name, 0) == each.stat().st_size for each in segments(spool)):
            return
        time.sleep(0.1)


def main() -> None:
    """Runs the measurement."""
    options = argparse.ArgumentParser(prog="python -m bench.audit", description="What the audit trail costs.")
    options.add_argument("--seconds", type=float, default=2.0, help="length of a round")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--write", type=Path, help="also write the table to this file")
    chosen: Any = options.parse_args()
    lines = ["| interaction | with/s | p50 ms | p99 ms | without/s | p50 ms | p99 ms | events each | with : without |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Mongod(Path(folder), cache_mb=1024) as mongod:
        store = Store.open(mongod.uri, "bench")
        people = population.load(store)
        data, with_port, without_port = Path(folder) / "server", free_port(), free_port()
        environment = {"FHIR_MONGODB_URI": mongod.uri, "FHIR_DATABASE": "bench", "FHIR_THREADS": THREADS}
        server = [sys.executable, "-m", "fhir_server.cli", "serve", "--port"]
        audited = {**environment, "FHIR_AUDIT": "yes", "FHIR_DATA": str(data)}
        with (
            process([*server, str(with_port)], with_port, audited),
            process([*server, str(without_port)], without_port, environment),
        ):
            for name, title in MEASURED.items():
                requests = requests_for(people, name, True)
                ports = (with_port, without_port)
                sides, ratios, events = measure(store, requests, ports, data / "audit", chosen.seconds, chosen.rounds)
                figures = " | ".join(
                    f"{side.rate:,.0f} | {side.percentile(0.5):.1f} | {side.percentile(0.99):.1f}" for side in sides
                )
                lines.append(f"| {title} | {figures} | {events:.2f} | **{statistics.median(ratios):.2f}** |")
        store.close()
    text = "\n".join(lines)
    print(text)
    if chosen.write:
        head = "# What the audit trail costs\n\nMade by `python -m bench.audit`; what it compares is said in `bench/audit.py`.\n\n"
        chosen.write.write_text(head + text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
