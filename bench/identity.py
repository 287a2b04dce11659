"""How well people are told apart: matching measured on invented accounts, a third of them dirty duplicates.

    python -m bench.identity [--accounts 100000] [--write docs/bench-identity.md]

Each account meets those before it, found by their numbers and blocking keys. A certain match is joined; a possible one
goes into the queue, as in the intakes. What numbers alone would find is measured beside it.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_server.search.likeness import blocking_keys
from mappings.identity import Key, match, numbers
from seed.duplicates import accounts

SEED = 20_261_124
MOST = 20  # people under one blocking key that are looked at


@dataclass(slots=True)
class Measured:
    """What became of the accounts. A pair is right when both are of one person."""

    accounts: int = 0
    duplicates: int = 0
    joined: int = 0
    joined_rightly: int = 0
    queued: int = 0
    """Accounts that wait for a person to decide."""
    queued_rightly: int = 0
    candidates: int = 0
    most_candidates: int = 0
    seconds: float = 0.0
    missed: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def precision(self) -> float:
        """Of what was joined without asking."""
        return self.joined_rightly / max(self.joined, 1)

    @property
    def recall(self) -> float:
        """Of the duplicates, those joined without asking."""
        return self.joined_rightly / max(self.duplicates, 1)

    @property
    def queue_precision(self) -> float:
        """Of what waits for a person to decide."""
        return self.queued_rightly / max(self.queued, 1)

    @property
    def recall_with_queue(self) -> float:
        """Of the duplicates, those joined or waiting."""
        return (self.joined_rightly + self.queued_rightly) / max(self.duplicates, 1)


def measure(count: int, seed: int = SEED, *, keyed: bool = True) -> Measured:
    """Match `count` accounts one after the other; `keyed`: those that blocking keys lead to as well."""
    measured = Measured(accounts=count)
    register = _Register(keyed)
    told = list(accounts(count, seed))
    begin = time.perf_counter()
    for account in told:
        _meet(register, account.person, account.kind, account.patient, measured)
    measured.seconds = time.perf_counter() - begin
    return measured


class _Register:
    """The people known so far, under their numbers and blocking keys."""

    def __init__(self, keyed: bool) -> None:
        self.keyed = keyed
        self.by_number: dict[Key, list[dict[str, Any]]] = {}
        self.by_key: dict[str, list[dict[str, Any]]] = {}
        self.people: dict[int, set[int]] = {}
        self.known: set[int] = set()

    def add(self, patient: dict[str, Any], person: int) -> None:
        self.people[id(patient)] = {person}
        self.known.add(person)
        self.file(patient, patient)

    def file(self, told: dict[str, Any], under: dict[str, Any]) -> None:
        """Have the Patient found by what is told of it."""
        places = [self.by_number.setdefault(key, []) for key in numbers(told)]
        for several in [*places, *(self.by_key.setdefault(key, []) for key in blocking_keys(told))]:
            if not any(each is under for each in several):
                several.append(under)

    def others(self, patient: dict[str, Any]) -> list[dict[str, Any]]:
        keys = blocking_keys(patient) if self.keyed else []
        found = {id(each): each for key in keys for each in self.by_key.get(key, ())[:MOST]}
        return list(found.values())


def _meet(register: _Register, person: int, kind: str, patient: dict[str, Any], measured: Measured) -> None:
    duplicate = person in register.known
    measured.duplicates += duplicate
    keys = sorted(numbers(patient))
    others = register.others(patient)
    candidates = len(others) + sum(len(register.by_number.get(key, ())) for key in keys)
    measured.candidates += candidates
    measured.most_candidates = max(measured.most_candidates, candidates)
    found = match(patient, keys, register.by_number, others=others)
    if found.patient is not None:
        right = person in register.people[id(found.patient)]
        measured.joined += 1
        measured.joined_rightly += right
        if not right:
            measured.wrong[kind or "first account"] += 1
        register.people[id(found.patient)].add(person)
        register.known.add(person)
        known = {(each["system"], each["value"]) for each in found.patient["identifier"]}
        found.patient["identifier"] += [
            each for each in patient["identifier"] if (each["system"], each["value"]) not in known
        ]
        register.file(found.patient, found.patient)
        return
    if found.possible:
        right = any(person in register.people[id(candidate)] for candidate, _ in found.possible)
        measured.queued += 1
        measured.queued_rightly += right
        if duplicate and not right:
            measured.missed[kind] += 1
    elif duplicate:
        measured.missed[kind] += 1
    register.add(patient, person)


def report(measured: Measured, by_number: Measured) -> str:
    """The page docs/bench-identity.md."""
    lines = [
        "# How well people are told apart",
        "",
        "Written by `python -m bench.identity`. The accounts are invented (`seed/duplicates.py`): of "
        f"{measured.accounts:,} accounts {measured.duplicates:,} are of somebody who has one already, with another card,",
        "missing or mistyped numbers, typos, swapped words, swapped day and month, a year alone; among the others are twins,",
        "namesakes born on one day, sons with their father's name, newborns with their mother's name and card.",
        "",
        "| | automatic (certain) | with the queue (possible) |",
        "|---|---:|---:|",
        f"| accounts | {measured.joined:,} | {measured.queued:,} waiting |",
        f"| precision | {measured.precision:.5f} | {measured.queue_precision:.3f} of those waiting |",
        f"| recall | {measured.recall:.3f} | {measured.recall_with_queue:.3f} |",
        "",
        "Found by numbers alone, without the index of likenesses (search/likeness.py): precision "
        f"{by_number.precision:.5f}, recall {by_number.recall:.3f}, with the queue {by_number.recall_with_queue:.3f}.",
        "",
        f"Joined wrongly: {measured.joined - measured.joined_rightly} "
        f"({', '.join(f'{kind} {amount}' for kind, amount in sorted(measured.wrong.items())) or 'none'}).",
        f"Never found: {', '.join(f'{kind} {amount}' for kind, amount in measured.missed.most_common()) or 'none'}.",
        "",
        f"{measured.accounts / measured.seconds:,.0f} accounts a second in one process; "
        f"{measured.candidates / measured.accounts:.1f} people looked at for each, {measured.most_candidates} at most.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Precision and recall of matching people.")
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--write", type=Path, help="the page to write")
    options = parser.parse_args()
    page = report(measure(options.accounts), measure(options.accounts, keyed=False))
    print(page)
    if options.write:
        options.write.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
