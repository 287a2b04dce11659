"""`fhir-server export`: the files, their manifest, and who may read them."""

from __future__ import annotations

import gzip
import io
import json
import stat
from pathlib import Path

import pytest
from rich.console import Console

from fhir_server.access.context import AccessContext
from fhir_server.commands import CommandFailed
from fhir_server.commands.export import export
from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")


@pytest.fixture
def people(repository: Repository) -> Repository:
    for id in ("a", "b"):
        repository.update(OPEN, "Patient", id, {"resourceType": "Patient", "id": id})
    repository.update(OPEN, "Practitioner", "p", {"resourceType": "Practitioner", "id": "p"})
    return repository


def console() -> Console:
    return Console(file=io.StringIO())


@pytest.mark.parametrize("zipped", [False, True])
def test_the_files_hold_the_records_as_they_are_read(people: Repository, tmp_path: Path, zipped: bool) -> None:
    directory = tmp_path / "new" / "export"
    assert export(console(), people, OPEN, directory, types=(), since=None, gzip=zipped) == 3
    ending = ".gz" if zipped else ""
    names = [f"Patient.1.ndjson{ending}", f"Practitioner.1.ndjson{ending}"]
    assert sorted(path.name for path in directory.iterdir()) == [*names, "manifest.json"]
    content = (directory / names[0]).read_bytes()
    texts = [people.read(OPEN, "Patient", id).json for id in ("a", "b")]
    assert (gzip.decompress(content) if zipped else content).splitlines() == texts
    made = json.loads((directory / "manifest.json").read_bytes())
    assert [(each["url"], each["count"]) for each in made["output"]] == [(names[0], 2), (names[1], 1)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_nothing_of_it_stays_in_the_database(people: Repository, tmp_path: Path) -> None:
    export(console(), people, OPEN, tmp_path, types=(), since=None, gzip=False)
    held = [people.store.database[name].count_documents({}) for name in ("jobs", "files", "moments")]
    assert held == [0, 0, 0]


def test_types_and_a_moment_narrow_it(people: Repository, tmp_path: Path) -> None:
    assert export(console(), people, OPEN, tmp_path / "one", types=("Practitioner",), since=None, gzip=False) == 1
    moment = json.loads((tmp_path / "one" / "manifest.json").read_bytes())["transactionTime"]
    people.update(OPEN, "Patient", "c", {"resourceType": "Patient", "id": "c"})
    assert export(console(), people, OPEN, tmp_path / "two", types=(), since=moment, gzip=False) == 1


def test_a_directory_that_holds_something_is_left_alone(people: Repository, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(CommandFailed, match="is not empty"):
        export(console(), people, OPEN, tmp_path, types=(), since=None, gzip=False)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
