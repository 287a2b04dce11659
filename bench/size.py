"""How search behaves at size: the same searches on 10,000 and on 1,000,000 records, side by side.

    python -m bench.size [--patients 200000] [--write docs/bench-size.md]

Records are loaded through the server's own write path. A time is the median of some runs of the repository in this
process, the two sizes taking turns; keys are what MongoDB's profiler counts. What an index serves stays flat: compare
rows that return as many rows at both sizes.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.repository import Repository
from fhir_server.store.mongod import Mongod
from fhir_server.store.records import Store
from seed.generate import observations, patients

SEED = 20_261_124
SMALL = 2000  # patients; four observations each
BATCH = 1000
RUNS = 25
SETTLE_SECONDS = 60  # MongoDB writes its checkpoint
OPEN = AccessContext.unrestricted("bench")
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CARD = "http://fhir.ehealth.gov.vn/core/sid/insurance_number"

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Measured:
    """One search at one size."""

    milliseconds: float
    rows: int
    keys: int


def load(repository: Repository, amount: int, say: Callable[[str], None]) -> tuple[list[str], float]:
    """(some card numbers, records per second): patients, and four times as many observations, a few people's many."""
    begin = time.perf_counter()
    cards: list[str] = []
    for number, batch in enumerate(_batches(patients(amount, SEED))):
        named = [{**person, "id": f"p{number * BATCH + place}"} for place, person in enumerate(batch)]
        cards += [person["identifier"][0]["value"] for person in named[:1]]
        _put(repository, named)
    say(f"{amount} patients, {time.perf_counter() - begin:.0f} s")
    choose = random.Random(SEED)
    for number in range(amount * 4 // BATCH):
        # One in ten is seen ten times as often as the others.
        people = [choose.randrange(amount // 10 if choose.random() < 0.5 else amount) for _ in range(BATCH)]
        made = observations([f"Patient/p{person}" for person in people], BATCH, SEED + number)
        _put(repository, [{**each, "id": f"o{number * BATCH + place}"} for place, each in enumerate(made)])
    seconds = time.perf_counter() - begin
    say(f"{amount * 4} observations, {seconds:.0f} s")
    return cards, amount * 5 / seconds


def _batches(resources: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(itertools.islice(resources, BATCH)):
        yield batch


def _put(repository: Repository, resources: list[dict[str, Any]]) -> None:
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    repository.transaction(OPEN, {"resourceType": "Bundle", "type": "transaction", "entry": entries})


def searches(cards: list[str]) -> list[tuple[str, str, Pairs]]:
    """(title, type, parameters)."""
    card = cards[len(cards) // 2]
    return [
        ("card number", "Patient", [("identifier", f"{CARD}|{card}")]),
        ("sex, a page", "Patient", [("gender", "female")]),
        ("name a third bears, a page", "Patient", [("name", "nguyen")]),
        ("full name without diacritics", "Patient", [("name", "nguyen thi anh dao")]),
        ("name and years of birth", "Patient", [("name", "nguyen"), ("birthdate", "ge1980"), ("birthdate", "lt2000")]),
        ("name and year of birth", "Patient", [("name", "tran"), ("birthdate", "1985")]),
        ("born from a day on, a page", "Patient", [("birthdate", "ge1990-01-01")]),
        ("by name, a page", "Patient", [("_sort", "name")]),
        ("newest 50 of a patient", "Observation", [("patient", "p7"), ("_sort", "-date")]),
        ("newest 50 of a code", "Observation", [("code", f"{LOINC}|8867-4"), ("_sort", "-date")]),
        ("code within a month", "Observation", [("code", "8867-4"), ("date", "2024-03")]),
        ("one day, a page", "Observation", [("date", "2024-03-05")]),
        ("amount in grams, a page", "Observation", [("value-quantity", f"gt94500|{UCUM}|g")]),
        ("code and amount, a page", "Observation", [("code-value-quantity", "29463-7$gt94")]),
        ("chain, the other side small", "Observation", [("patient.identifier", f"{CARD}|{card}")]),
        ("chain, the other side large", "Observation", [("patient.gender", "female"), ("code", "8867-4")]),
        ("_has, the other side large", "Patient", [("_has:Observation:patient:code", "8867-4")]),
        ("_include", "Observation", [("code", "8867-4"), ("_include", "Observation:patient")]),
        ("latest changes, a page", "Patient", [("_sort", "-_lastUpdated")]),
    ]


def measure(sizes: list[tuple[Repository, list[str]]]) -> list[dict[str, Measured]]:
    """For each size every search, by title; and a read. The sizes take turns, so that a busy moment meets both."""
    found: list[dict[str, Measured]] = [{} for _ in sizes]
    reads = [partial(repository.read, OPEN, "Patient", "p7") for repository, _ in sizes]
    for each, milliseconds in zip(found, _medians(reads), strict=True):
        each["read"] = Measured(milliseconds, 1, 1)
    listed = [searches(cards) for _, cards in sizes]
    for rows in zip(*listed, strict=True):
        acts = [
            partial(repo.search, OPEN, kind, pairs) for (repo, _), (_, kind, pairs) in zip(sizes, rows, strict=True)
        ]
        counts = [len(act().entries) for act in acts]
        times = _medians(acts)
        for number, (title, kind, pairs) in enumerate(rows):
            found[number][title] = Measured(times[number], counts[number], _keys(sizes[number][0], kind, pairs))
    return found


def _medians(acts: Sequence[Callable[[], Any]]) -> list[float]:
    times: list[list[float]] = [[] for _ in acts]
    for _ in range(RUNS):
        for taken, act in zip(times, acts, strict=True):
            begin = time.perf_counter()
            act()
            taken.append(time.perf_counter() - begin)
    return [statistics.median(taken) * 1000 for taken in times]


def _keys(repository: Repository, resource_type: str, pairs: Pairs) -> int:
    database = repository.store.database
    database.command("profile", 0)
    database.drop_collection("system.profile")
    database.command("profile", 2)
    repository.search(OPEN, resource_type, pairs)
    database.command("profile", 0)
    seen = database["system.profile"].find({"ns": {"$regex": f"^{database.name}\\.[A-Z]"}})
    return sum(each.get("keysExamined", 0) for each in seen)


def table(small: dict[str, Measured], large: dict[str, Measured], sizes: tuple[int, int]) -> str:
    """The two sizes side by side, as Markdown."""
    lines = [
        f"| search | ms at {sizes[0]:,} | ms at {sizes[1]:,} | times | rows at each | keys at {sizes[0]:,} | at {sizes[1]:,} |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for title, one in small.items():
        other = large[title]
        ratio = other.milliseconds / one.milliseconds
        cells = [title, f"{one.milliseconds:.2f}", f"{other.milliseconds:.2f}", f"**{ratio:.1f}**"]
        cells += [f"{one.rows}, {other.rows}", f"{one.keys:,}", f"{other.keys:,}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Loads, measures, prints."""
    options = argparse.ArgumentParser(prog="python -m bench.size")
    options.add_argument("--patients", type=int, default=200_000)
    options.add_argument("--write", type=Path)
    chosen: Any = options.parse_args()
    rates, sizes = [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Mongod(Path(folder), cache_mb=4096) as mongod:
        for amount in (SMALL, chosen.patients):
            repository = Repository(Store.open(mongod.uri, f"size{amount}"))
            cards, rate = load(repository, amount, lambda text: print(text, flush=True))
            rates.append(rate)
            sizes.append((repository, cards))
        time.sleep(SETTLE_SECONDS)
        results = measure(sizes)
        for repository, _ in sizes:
            repository.store.close()
    text = table(results[0], results[1], (SMALL * 5, chosen.patients * 5))
    text += f"\n\nLoaded at {rates[0]:,.0f} and {rates[1]:,.0f} records a second, indexes growing with them.\n"
    print(text)
    if chosen.write:
        chosen.write.write_text(f"# At size\n\nMade by `python -m bench.size`.\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
