"""`fhir-server import residents`: what became of each line, what waits and why, and the same file again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhir_server.access.context import AccessContext
from fhir_server.cli import main
from fhir_server.repository import Repository
from fhir_server.resource import exact
from mappings.person import identifier

OPEN = AccessContext.unrestricted("test")
CCCD = "079190009001"
Run = Callable[[Path], Result]


@pytest.fixture
def run(mongod_uri: str, database: str) -> Run:
    def run(file: Path) -> Result:
        environment = {"FHIR_MONGODB_URI": mongod_uri, "FHIR_DATABASE": database}
        return CliRunner().invoke(main, ["import", "residents", str(file)], env=environment)

    return run


@pytest.fixture
def an(repository: Repository) -> str:
    patient: dict[str, Any] = {"resourceType": "Patient", "id": "an", "identifier": [identifier("cccd", CCCD)]}
    patient |= {"name": [{"text": "Lê Văn Mẫu"}], "birthDate": "1990-05-06", "gender": "male"}
    return repository.update(OPEN, "Patient", "an", patient).stored.id


def line(sequence: int, kind: str, cccd: str, **changes: Any) -> str:
    message = {
        "sender": "CA79",
        "sequence": sequence,
        "recorded": f"2026-11-{sequence:02}T08:00:00+07:00",
        "kind": kind,
        "person": {"cccd": cccd, "name": "Lê Văn Mẫu", "birthDate": "1990-05-06"},
        "changes": changes,
    }
    return json.dumps(message)


def file_of(folder: Path, *lines: str) -> Path:
    file = folder / "changes.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def told(done: Result) -> str:
    """What was printed, whatever the width of the console made of its lines."""
    return " ".join(done.output.split())


def test_changes_are_applied_once(run: Run, repository: Repository, an: str, tmp_path: Path) -> None:
    file = file_of(
        tmp_path, line(1, "move", CCCD, address="5 Hai Bà Trưng"), "", line(2, "correction", CCCD, gender="female")
    )
    done = run(file)
    assert (done.exit_code, "2 messages" in told(done), "2 applied" in told(done)) == (0, True, True)
    stored = repository.read(OPEN, "Patient", an)
    assert stored.json is not None
    patient = exact.parse(stored.json)
    assert (patient["gender"], patient["address"][0]["text"]) == ("female", "5 Hai Bà Trưng")
    again = run(file)
    assert (again.exit_code, "2 duplicate" in told(again)) == (0, True)
    assert repository.read(OPEN, "Patient", an).version == stored.version


def test_what_waits_and_what_is_wrong_is_told_by_line(
    run: Run, repository: Repository, an: str, tmp_path: Path
) -> None:
    mistyped = line(1, "death", "079190009007", deceased="2026-11-03")
    done = run(file_of(tmp_path, mistyped, "no JSON", line(2, "death", CCCD, gender="female")))
    assert done.exit_code == 1
    assert "1 waiting" in told(done)
    assert "2 invalid" in told(done)
    assert "line 1: Có thể là người đã có hồ sơ" in told(done)
    assert "line 2: $: Dòng không phải JSON" in told(done)
    assert "line 3: $.changes.deceased" in told(done)
    assert "Traceback" not in done.output
    assert repository.read(OPEN, "Patient", an).version == 1
