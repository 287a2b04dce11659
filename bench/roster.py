"""How fast a roster comes in, and whether an import that is killed ends as one that is not.

    python -m bench.roster [--rows 1000000] [--share-only] [--write docs/bench-roster.md]

A roster of invented people is imported by the command that people use, into an embedded MongoDB; its memory is read every
tenth. The same documents are then given to bare `insert_many` on collections with the same indexes. A second import is
killed at 60% and started again, unless only the share is asked for.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_server.commands.definitions import load_definitions
from fhir_server.config import Config
from fhir_server.store.mongod import Mongod
from fhir_server.store.records import Store
from seed.people import HEADER, people, tidy_row

PAGE = Path(__file__).parent.parent / "docs" / "bench-roster.md"
SEED = 20_261_124
BARE_ROWS = 1_000  # of one insert_many, as many as of one batch of the import
KILLED_AT = 0.6
CACHE_MB = 4_096  # as in bench/size.py: a million people have three gigabytes of index
_TYPES = ("Patient", "Coverage")


@dataclass(slots=True)
class Run:
    """One import: seconds from start to end, and at each tenth the seconds and the MB of all its processes."""

    seconds: float = 0.0
    tenths: list[tuple[int, float, float]] = field(default_factory=list)


def write_roster(path: Path, rows: int) -> None:
    """A roster file of `rows` people."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows([number, *tidy_row(person)] for number, person in enumerate(people(rows, SEED), start=1))


class Database:
    """One database of the embedded MongoDB, with the profiles that the records are held to."""

    def __init__(self, uri: str, name: str) -> None:
        self.uri, self.name = uri, name
        load_definitions(Config.from_environment({"FHIR_DATABASE": name}), uri)
        self.store = Store.open(uri, name)

    def start(self, roster: Path) -> subprocess.Popen[bytes]:
        """The command, in a process group of its own."""
        environment = {**os.environ, "FHIR_MONGODB_URI": self.uri, "FHIR_DATABASE": self.name}
        command = [sys.executable, "-m", "fhir_server.cli", "import", "roster", str(roster)]
        return subprocess.Popen(
            command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def summary(self) -> dict[str, Any]:
        """What the import has counted so far."""
        job = self.store.database["jobs"].find_one({"kind": {"$regex": "^import roster"}}, sort=[("created", -1)])
        found: dict[str, Any] = (job or {}).get("result") or (job or {}).get("progress", {}).get("summary", {})
        return found

    def counts(self) -> dict[str, int]:
        """Records of each type, and superseded versions of any."""
        counted = {type: self.store.collection(type).count_documents({}) for type in _TYPES}
        superseded = {"type": {"$in": list(_TYPES)}}
        return counted | {"superseded versions": self.store.history.count_documents(superseded)}


def imported(database: Database, roster: Path, rows: int, *, until: float = 1.0) -> Run:
    """Run the command; from the share `until` on it is killed. Raises RuntimeError when it fails."""
    run = Run()
    begin = time.perf_counter()
    process = database.start(roster)
    try:
        _watch(run, process, database, rows, until)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    run.seconds = time.perf_counter() - begin
    if until == 1 and process.returncode:
        raise RuntimeError(f"the import ended with {process.returncode}")
    return run


def _watch(run: Run, process: subprocess.Popen[bytes], database: Database, rows: int, until: float) -> None:
    """Note each tenth, until the import ends or has come as far as `until`."""
    begin = time.perf_counter()
    while process.poll() is None:
        time.sleep(0.2)
        read = database.summary().get("read", 0)
        seconds = time.perf_counter() - begin
        if read * 10 // rows > (run.tenths[-1][0] if run.tenths else 0):
            run.tenths.append((read * 10 // rows, seconds, _megabytes(process.pid)))
            print(f"  {run.tenths[-1][0] * 10:>3}% {seconds:8.1f} s {run.tenths[-1][2]:7.0f} MB", flush=True)
        if until < 1 and read >= rows * until:
            return


def _megabytes(group: int) -> float:
    """Resident memory of all processes of a group."""
    total = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if os.getpgid(int(folder.name)) == group:
                    total += int((folder / "statm").read_text().split()[1])
            except (OSError, IndexError):
                continue  # it has ended meanwhile
    return total * os.sysconf("SC_PAGE_SIZE") / 1e6


def bare(full: Database, empty: Database) -> float:
    """Seconds that insert_many takes for the same documents, of which reading is not counted."""
    for type in _TYPES:
        empty.store.collection(type)
    seconds = 0.0
    readers = {type: full.store.collection(type).find({}, batch_size=BARE_ROWS) for type in _TYPES}
    while True:
        for type, reader in readers.items():
            documents = [document for _, document in zip(range(BARE_ROWS), reader, strict=False)]
            if not documents:
                return seconds
            begin = time.perf_counter()
            empty.store.collection(type).insert_many(documents, ordered=False)
            seconds += time.perf_counter() - begin


def measure(rows: int, folder: Path, *, share_only: bool) -> str:
    """The page with what was measured. Raises AssertionError when a count is not exact."""
    roster = folder / "roster.csv"
    write_roster(roster, rows)
    wanted = {"Patient": rows, "Coverage": rows, "superseded versions": 0}
    with Mongod(folder / "data", cache_mb=CACHE_MB, purpose="test") as mongod:
        print(f"{rows:,} rows, {roster.stat().st_size / 1e6:.0f} MB", flush=True)
        full = Database(mongod.uri, "import")
        whole = imported(full, roster, rows)
        assert full.counts() == wanted, full.counts()
        assert full.summary()["created"] == rows, full.summary()
        empty = Database(mongod.uri, "bare")
        bare_seconds = bare(full, empty)
        print(f"  import {rows / whole.seconds:,.0f} rows/s, insert_many {rows / bare_seconds:,.0f} rows/s", flush=True)
        if share_only:
            with closing(full.store), closing(empty.store):
                return page(rows, whole, bare_seconds)
        for database in (full, empty):
            database.store.client.drop_database(database.name)
        killed = Database(mongod.uri, "killed")
        first = imported(killed, roster, rows, until=KILLED_AT)
        kept = killed.summary()["read"]
        print(f"  killed with {kept:,} rows kept", flush=True)
        second = imported(killed, roster, rows)
        summary = killed.summary()
        assert killed.counts() == wanted, killed.counts()
        counted = {name: summary[name] for name in ("read", "created", "updated", "unchanged", "rejected")}
        assert counted == {"read": rows, "created": rows, "updated": 0, "unchanged": 0, "rejected": 0}, counted
        assert summary["continued"] == kept, summary
        with closing(full.store), closing(empty.store), closing(killed.store):
            return page(rows, whole, bare_seconds, (first, kept, second))


def page(rows: int, whole: Run, bare_seconds: float, killed: tuple[Run, int, Run] | None = None) -> str:
    """The page. `killed`: the run that was killed, the rows that it had kept, and the run that went on."""
    lines = [
        "# A roster comes in",
        "",
        f"Written by `python -m bench.roster --rows {rows}`; what is measured is said in `bench/roster.py`. "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, embedded MongoDB with {CACHE_MB} MB of cache on the "
        "same machine.",
        "",
        "| | rows/s | seconds |",
        "|---|---:|---:|",
        f"| `fhir-server import roster`, from start to end | {rows / whole.seconds:,.0f} | {whole.seconds:,.0f} |",
        f"| bare `insert_many` of the same documents, same indexes | {rows / bare_seconds:,.0f} | {bare_seconds:,.0f} |",
        f"| share | **{bare_seconds / whole.seconds:.2f}** (wanted: 0.5) | |",
        "",
        "A row makes a Patient and a Coverage, each validated against R4 and its profile. The file is read twice: first to "
        "find rows of one person.",
        "",
        "| rows done | seconds | MB of all processes of the import |",
        "|---:|---:|---:|",
        *(f"| {tenth * 10}% | {seconds:,.0f} | {megabytes:,.0f} |" for tenth, seconds, megabytes in whole.tenths),
        "",
    ]
    if killed is not None:
        first, kept, second = killed
        lines += [
            f"Killed (SIGKILL) after {first.seconds:,.0f} s with {kept:,} rows kept, started again, ended after "
            f"{second.seconds:,.0f} s more: {rows:,} people and {rows:,} cards, {rows:,} counted as created, none written "
            "twice.",
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed, memory and resumption of the roster import.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--share-only", action="store_true", help="do not kill an import and start it again")
    parser.add_argument("--write", type=Path, default=PAGE, help="the page to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = measure(options.rows, Path(folder), share_only=options.share_only)
    options.write.write_text(made, encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()
