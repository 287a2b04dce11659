"""Measures what access tokens cost: the same server open, with SMART, and with SMART and the audit trail, in turns.

    python -m bench.smart [--seconds 1.5] [--rounds 21] [--write docs/bench-smart.md]

All three serve the same data from the same mongod. Each round is one load after the other on each server, beginning with
another one each time; a ratio to open access is the median of the rounds' ratios. The token is that of a facility's system
which may read everything.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import load, population
from bench.__main__ import THREADS, TITLES, free_port, process, requests_for
from fhir_server.access import clients, tokens
from fhir_server.store.mongod import Mongod
from fhir_server.store.records import Store

MEASURED = ("read", "token", "newest")
WANTED = 0.75
FACILITY = "79001"
UNLIMITED = "10000000"
SMART = {"FHIR_ACCESS": "smart", "FHIR_CLIENT_LIMIT": UNLIMITED, "FHIR_ADDRESS_LIMIT": UNLIMITED}
SERVERS: dict[str, dict[str, str]] = {
    "open": {"FHIR_ACCESS": "open", "FHIR_AUDIT": "no"},
    "SMART": {**SMART, "FHIR_AUDIT": "no"},
    "SMART and audit trail": {**SMART, "FHIR_AUDIT": "yes"},
}
Requests = Callable[[int], Iterator[load.Request]]


class Bearer:
    """An access token, and a new one before it is over."""

    def __init__(self, store: Store) -> None:
        self._database = store.database
        asked = clients.Registration(
            id="bench",
            name="bench",
            scopes=["system/*.rs"],
            redirect_uris=["https://bench.example/"],
            facility=FACILITY,
        )
        clients.register(self._database, asked)
        self._until, self._header = 0.0, ""

    @property
    def header(self) -> str:
        """What an Authorization header holds."""
        if time.monotonic() > self._until:
            client = clients.active_client(self._database, "bench")
            assert client is not None
            given = tokens.Authorization.new("system/*.rs")
            self._header = f"Bearer {tokens.issue(self._database, client, given)}"
            self._until = time.monotonic() + tokens.ACCESS_SECONDS / 2
        return self._header


def measure(
    requests: Requests, ports: dict[str, int], bearer: Bearer, seconds: float, rounds: int
) -> tuple[dict[str, load.Measured], dict[str, list[float]]]:
    """(all answers of each server, the ratios of its rates to open access, round by round)."""
    totals = {name: load.Measured() for name in ports}
    ratios: dict[str, list[float]] = {name: [] for name in ports}
    for number in range(rounds + 1):
        rates = {}
        turn = number % len(ports)  # whoever comes first finds the machine in another state than the others
        for name, port in [*ports.items()][turn:] + [*ports.items()][:turn]:
            sent = requests if name == "open" else authorized(requests, bearer.header)
            measured = load.run(port, sent, seconds)
            rates[name] = measured.rate
            if number:  # the first round only warms up
                totals[name].latencies += measured.latencies
                totals[name].seconds += measured.seconds
        for name, rate in rates.items() if number else ():
            ratios[name].append(rate / rates["open"])
    return totals, ratios


def authorized(requests: Requests, header: str) -> Requests:
    """The same requests with a token."""
    return lambda connection: (replace(each, token=header) for each in requests(connection))


def rows(people: population.Population, ports: dict[str, int], bearer: Bearer, chosen: Any) -> Iterator[str]:
    """The lines of the table, in Markdown."""
    yield "| interaction | server | requests/s | p50 ms | p99 ms | to open access | wanted |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for name in MEASURED:
        requests = requests_for(people, name, True)
        totals, ratios = measure(requests, ports, bearer, chosen.seconds, chosen.rounds)
        for server, total in totals.items():
            figures = f"{total.rate:,.0f} | {total.percentile(0.5):.1f} | {total.percentile(0.99):.1f}"
            ratio = f"**{statistics.median(ratios[server]):.2f}** | {WANTED}" if server != "open" else "|"
            yield f"| {TITLES[name]} | {server} | {figures} | {ratio} |"


def main() -> None:
    """Runs the measurement."""
    options = argparse.ArgumentParser(prog="python -m bench.smart", description="What access tokens cost.")
    options.add_argument("--seconds", type=float, default=1.5, help="length of a round")
    options.add_argument("--rounds", type=int, default=21)
    options.add_argument("--write", type=Path, help="also write the table to this file")
    chosen: Any = options.parse_args()
    began = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Mongod(Path(folder), cache_mb=1024) as mongod:
        store = Store.open(mongod.uri, "bench")
        people = population.load(store)
        common = {"FHIR_MONGODB_URI": mongod.uri, "FHIR_DATABASE": "bench", "FHIR_THREADS": THREADS}
        with ExitStack() as stack:
            ports = {}
            for number, (name, settings) in enumerate(SERVERS.items()):
                port = free_port()
                command = [sys.executable, "-m", "fhir_server.cli", "serve", "--port", str(port)]
                data = {"FHIR_DATA": str(Path(folder) / f"server-{number}")}
                ports[name] = stack.enter_context(process(command, port, {**common, **settings, **data}))
            text = "\n".join(rows(people, ports, Bearer(store), chosen))
        store.close()
    text += (
        f"\n\nLoad average of the machine, {os.cpu_count()} cores: {began:.1f} before, {os.getloadavg()[0]:.1f} after."
    )
    print(text)
    if chosen.write:
        head = "# What access tokens cost\n\nMade by `python -m bench.smart`; what it compares is said in `bench/smart.py`.\n\n"
        chosen.write.write_text(head + text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
