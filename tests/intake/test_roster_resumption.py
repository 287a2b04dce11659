"""An import of a roster that is interrupted, repeated, contradictory or not alone: exact counts, nothing twice."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.importing import Imports, Overtaken, Step, prepare
from fhir_server.intake.roster import RosterSummary, import_roster
from fhir_server.intake.roster_order import RosterOrder
from fhir_server.records import new_id
from fhir_server.repository import Repository
from fhir_server.resource import exact
from fhir_server.store.records import Store
from mappings import systems

CTX = AccessContext.unrestricted("test")
HEADER = ["Số thẻ BHYT", "Họ và tên", "Ngày sinh", "Giới tính", "Từ ngày", "Địa chỉ", "Số CCCD"]
NAMES = ("Lê Văn An", "Trần Thị Bình", "Phạm Cúc", "Võ Dũng", "Bùi Thị Em", "Hồ Giang", "Đỗ Hạnh", "Ngô Thị Kim")


def row(number: int, address: str = "Phường A", *, card: str = "GD479") -> list[str]:
    name = f"{NAMES[number % len(NAMES)]} {chr(65 + number % 26)}{chr(97 + number % 23)}"
    born = f"{number % 28 + 1:02}/{number % 12 + 1:02}/{1950 + number % 60}"
    return [f"{card}{7900010000 + number}", name, born, "Nam", "01/01/2026", address, ""]


def roster(folder: Path, rows: Sequence[Sequence[str]], name: str = "roster.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def imported(repository: Repository, path: Path, **options: Any) -> RosterSummary:
    return import_roster(repository, CTX, path, **{"batch_rows": 4} | options)


def counts(summary: RosterSummary) -> tuple[int, int, int, int, int]:
    return summary.read, summary.created, summary.updated, summary.unchanged, summary.rejected


def versions(repository: Repository) -> int:
    return sum(
        len(repository.history(CTX, kind, query=[("_count", "1000")]).entries) for kind in ("Patient", "Coverage")
    )


def addresses(repository: Repository) -> dict[str, str]:
    page = repository.search(CTX, "Patient", [("_count", "200")])
    people = [exact.parse(stored.json or b"") for _, stored in page.entries]
    return {each["name"][0]["text"]: each["address"][0]["text"] for each in people}


class Stopped(Exception):
    """Ctrl-C, or a machine that goes down in good order."""


def stop_behind(rows: int) -> Any:
    def progress(done: int, share: float) -> None:
        if done >= rows:
            raise Stopped

    return progress


def test_an_import_that_was_stopped_goes_on_with_its_counts_and_rejections(
    repository: Repository, tmp_path: Path
) -> None:
    rows = [row(number) for number in range(20)]
    rows[2][1], rows[17][2] = "", "x"
    path, rejected = roster(tmp_path, rows), tmp_path / "rejected.csv"
    with pytest.raises(Stopped):
        imported(repository, path, rejected_path=rejected, progress=stop_behind(12))
    assert versions(repository) == 2 * 11
    # What was written behind the last batch that was kept is written again.
    with rejected.open("a", encoding="utf-8") as file:
        file.write("half a li")
    done = imported(repository, path, rejected_path=rejected)
    assert counts(done) == (20, 18, 0, 0, 2)
    assert done.continued == 12
    assert versions(repository) == 2 * 18
    with rejected.open(encoding="utf-8-sig", newline="") as file:
        assert [line[0] for line in csv.reader(file)] == ["Dòng (row)", "4", "19"]
    assert counts(imported(repository, path, rejected_path=rejected)) == (20, 0, 0, 18, 2)
    assert versions(repository) == 2 * 18


_KILLED = """
import os, signal, sys
from pathlib import Path
from fhir_server.access.context import AccessContext
from fhir_server.importing import Imports
from fhir_server.intake.roster import import_roster
from fhir_server.repository import Repository
from fhir_server.store.records import Store

def progress(done, share):
    if share >= 0.6:
        os.kill(os.getpid(), signal.SIGKILL)

repository = Repository(Store.open(sys.argv[1], sys.argv[2]))
imports = Imports(repository, lease_seconds=2)
context = AccessContext.unrestricted("test")
import_roster(repository, context, Path(sys.argv[3]), batch_rows=4, imports=imports, progress=progress)
"""


def test_an_import_that_was_killed_at_60_percent_ends_with_exact_counts(
    repository: Repository, store: Store, mongod_uri: str, tmp_path: Path
) -> None:
    path = roster(tmp_path, [row(number) for number in range(20)])
    command = [sys.executable, "-c", _KILLED, mongod_uri, store.database_name, str(path)]
    root = Path(__file__).parents[2]
    assert subprocess.run(command, cwd=root, check=False).returncode == -signal.SIGKILL
    waited = []
    done = imported(repository, path, waits=lambda: waited.append(1))
    assert waited
    assert counts(done) == (20, 20, 0, 0, 0)
    assert done.continued == 12
    assert versions(repository) == 40


def test_a_file_that_contradicts_itself_ends_with_its_last_row_and_again_writes_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    rows = [row(number) for number in range(12)]
    rows.append(row(1, "Phường cuối"))
    rows.insert(5, row(1, "Phường giữa"))
    path = roster(tmp_path, rows)
    assert counts(imported(repository, path)) == (14, 12, 2, 0, 0)
    assert addresses(repository)[row(1)[1]] == "Phường cuối"
    before = versions(repository)
    assert before == 24
    assert counts(imported(repository, path)) == (14, 0, 0, 14, 0)
    assert versions(repository) == before
    # Another batch size, so another order of work.
    assert counts(imported(repository, path, batch_rows=3)) == (14, 0, 0, 14, 0)
    assert versions(repository) == before


def test_rows_that_share_a_number_by_way_of_a_third_are_of_one_person(tmp_path: Path) -> None:
    cards = [row(1), row(1, card="DN479"), ["", *row(1)[1:6], "079099000001"]]
    cards[1][6] = "079099000001"
    rows = [cards[0], *(row(number) for number in range(2, 7)), cards[1], row(7), cards[2]]
    with RosterOrder(roster(tmp_path, rows)) as order:
        batches = [[each.line for each in batch] for batch in order.batches(4)]
        assert batches == [[3, 4, 5, 6], [7, 9], [2, 8, 10]]
        assert order.rows == 9


def test_a_changed_row_makes_one_new_version_though_others_of_the_person_stand_in_the_file(
    repository: Repository, tmp_path: Path
) -> None:
    rows = [row(number) for number in range(10)] + [row(1, card="DN479")]
    imported(repository, roster(tmp_path, rows))
    before = versions(repository)
    rows[3][5] = "Phường Z"
    assert counts(imported(repository, roster(tmp_path, rows))) == (11, 0, 1, 10, 0)
    assert versions(repository) == before + 1


def test_two_imports_of_the_same_new_people_at_one_moment_make_each_of_them_once(
    mongod_uri: str, database: str, repository: Repository, tmp_path: Path
) -> None:
    people = [row(number) for number in range(40)]
    paths = [roster(tmp_path, [*people, row(100 + number)], f"{number}.csv") for number in range(2)]
    failures: list[BaseException] = []

    def run(path: Path) -> None:
        store = Store.open(mongod_uri, database)
        try:
            imported(Repository(store), path)
        except BaseException as error:
            failures.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=run, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert versions(repository) == 2 * 42


def test_a_step_that_was_planned_on_what_is_no_longer_so_is_overtaken(repository: Repository) -> None:
    imports = Imports(repository)
    job = imports.begin(CTX, "test")
    number = (systems.CCCD, "079099000009")
    patient = {"resourceType": "Patient", "identifier": [{"system": number[0], "value": number[1]}]}
    absent = {f"{number[0]}|{number[1]}": "a condition"}
    steps = [Step([], prepare(repository, CTX, [(new_id(), patient)]), absent) for _ in range(2)]
    imports.step(CTX, job, steps[0], {})
    with pytest.raises(Overtaken):
        imports.step(CTX, job, steps[1], {})
    assert len(repository.history(CTX, "Patient", query=[]).entries) == 1
    (entry,) = repository.history(CTX, "Patient", query=[]).entries
    # Its claim is left when somebody has deleted the person, and hinders nobody.
    repository.delete(CTX, "Patient", entry.id)
    imports.step(CTX, job, steps[1], {})
    assert len(repository.search(CTX, "Patient", []).entries) == 1
