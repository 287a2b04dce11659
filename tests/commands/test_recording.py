"""Commands leave AuditEvents: a job in bulk two of its own, and what is done to one person an event of that person."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhir_server.access.audit_spool import segments
from fhir_server.access.context import AccessContext
from fhir_server.audit_verifying import verify
from fhir_server.citizen.cards import cards_in_force
from fhir_server.cli import main
from fhir_server.repository import Repository
from fhir_server.resource.validation import validate
from tests.access.audited import said

Json = dict[str, Any]
OPEN = AccessContext.unrestricted("test")
Run = Callable[..., Result]


@pytest.fixture
def run(mongod_uri: str, database: str, tmp_path: Path) -> Run:
    """A command of a server that keeps a trail below tmp_path."""

    def run(*words: str, told: str = "", **settings: str) -> Result:
        here = {"FHIR_MONGODB_URI": mongod_uri, "FHIR_DATABASE": database, "FHIR_DATA": str(tmp_path / "data")}
        return CliRunner().invoke(main, words, input=told, env=here | {"FHIR_AUDIT": "yes"} | settings)

    return run


def events(repository: Repository) -> list[Json]:
    found = [json.loads(each["json"]) for each in repository.store.database["AuditEvent"].find().sort("_id")]
    for each in found:
        validate(each)
    return found


def details(event: Json) -> dict[str, str]:
    return {each["type"]: each["valueString"] for entity in event["entity"] for each in entity.get("detail", ())}


@pytest.fixture
def an(repository: Repository) -> str:
    patient: Any = {"resourceType": "Patient", "id": "an", "name": [{"text": "Lê Văn Mẫu"}], "birthDate": "1990-05-06"}
    return repository.update(OPEN, "Patient", "an", patient).stored.id


def roster(path: Path, rows: int) -> Path:
    header = ["Mã số BHXH", "Số thẻ BHYT", "Họ và tên", "Ngày sinh", "Giới tính"]
    people = [
        [f"79000010{n:02}", f"GD47979000010{n:02}", f"Nguyễn Mẫu {n}", f"{n + 1:02}/09/1985", "Nữ"] for n in range(rows)
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *people, ["", "", "", "31/02/1985", "Nữ"]])
    return path


def test_an_import_is_told_of_by_two_events_with_its_counts_however_many_rows(
    run: Run, repository: Repository, tmp_path: Path
) -> None:
    done = run("import", "roster", str(roster(tmp_path / "list.csv", 12)))
    assert done.exit_code == 1, done.output  # one row was rejected
    assert repository.store.database["Patient"].count_documents({}) == 12
    begun, ended = events(repository)
    for event in (begun, ended):
        assert said(event) == ("import roster", "C", "0", [])
        assert event["agent"][0]["altId"] == "cli:import roster"
        assert event["purposeOfEvent"][0]["coding"][0]["code"] == "HOPERAT"
    assert details(begun) == {"state": "begun", "file": "list.csv"}
    assert details(ended) == {"file": "list.csv", "created": "12", "updated": "0", "unchanged": "0", "rejected": "1"}
    assert "Nguyễn" not in json.dumps([begun, ended], ensure_ascii=False)
    assert verify(repository.store, repository.base_url).broken == []


def test_an_import_that_cannot_be_read_is_told_of_as_refused(run: Run, repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("no,such,column\n1,2,3\n", encoding="utf-8")
    assert run("import", "roster", str(tmp_path / "list.csv")).exit_code == 1
    assert [(said(event)[2], details(event).get("created")) for event in events(repository)] == [
        ("0", None),
        ("4", None),
    ]


@pytest.mark.parametrize("kind", ["visits", "residents"])
def test_the_other_imports_are_told_of_in_the_same_way(
    run: Run, repository: Repository, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "file"
    file.write_text("{}\n", encoding="utf-8")
    run("import", kind, str(file))
    assert {said(event)[:2] for event in events(repository)} == {(f"import {kind}", "C")}
    assert len(events(repository)) == 2


def test_an_export_is_told_of_with_what_went_out_and_nobody_by_name(
    run: Run, repository: Repository, an: str, tmp_path: Path
) -> None:
    assert run("export", str(tmp_path / "out"), "--type", "Patient").exit_code == 0
    begun, ended = events(repository)
    assert said(begun) == said(ended) == ("export", "R", "0", [])
    assert details(ended) == {"types": "Patient", "Patient.1.ndjson": "1"}


def test_a_record_that_is_exported_shows_it_to_its_patient(run: Run, repository: Repository, an: str) -> None:
    assert run("export-qd831", an).exit_code == 0
    (event,) = events(repository)
    subtypes, action, outcome, named = said(event)
    assert (subtypes, action, outcome, named[0]) == ("export qd831", "R", "0", "Patient/an")
    assert run("export-qd831", "nobody").exit_code == 1
    assert said(events(repository)[1]) == ("export qd831", "R", "4", ["Patient/nobody"])


def test_every_card_that_is_issued_locked_or_reset_is_told_to_whose_record_it_opens(
    run: Run, repository: Repository, an: str
) -> None:
    assert run("cards", "issue", "--patient", an).exit_code == 0
    (card,) = cards_in_force(repository, an)
    pin = run("cards", "reset-pin", card.id).stdout.strip()
    assert run("cards", "revoke", card.id).exit_code == 0
    assert run("cards", "revoke", card.id).exit_code == 1
    found = events(repository)
    assert [(said(event)[0], said(event)[2]) for event in found] == [
        ("110137 cards-wanted", "0"),
        ("110137 cards-wanted", "0"),
        ("110137 card-issued", "0"),
        ("110137 pin-reset", "0"),
        ("110137 card-revoked", "0"),
        ("110137 card-revoked", "4"),
    ]
    assert [said(event)[3][:1] for event in found] == [[], [], *[["Patient/an"]] * 3, []]
    assert pin not in json.dumps([event for event in found if said(event)[0] != "110137 card-issued"])
    seen = repository.search(AccessContext.for_patient(an, "card:1"), "AuditEvent", []).entries
    assert len(seen) == 3


def test_a_person_who_is_added_has_the_event(run: Run, repository: Repository) -> None:
    form = {"name": "Hồ Thị Mơ", "birth_date": "03/02/1950", "sex": "nữ"}
    added = run("person", "add", "--facility", "79001", told=json.dumps(form)).stdout.split()[1]
    (event,) = [each for each in events(repository) if added in said(each)[3]]
    assert (said(event)[0], event["agent"][0]["altId"]) == ("import person", "cli:person add")


def test_a_setting_that_was_forgotten_hides_nothing_where_a_server_keeps_a_trail(
    run: Run, repository: Repository, an: str, tmp_path: Path
) -> None:
    assert run("export-qd831", an, FHIR_AUDIT="no").exit_code == 0
    assert not (tmp_path / "data").exists()
    assert events(repository) == []
    (tmp_path / "data" / "audit").mkdir(parents=True)
    assert run("export-qd831", an, FHIR_AUDIT="").exit_code == 0
    assert len(events(repository)) == 1
    assert segments(tmp_path / "data" / "audit") == []


def test_nothing_is_read_when_it_cannot_be_recorded(run: Run, repository: Repository, an: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "audit").write_bytes(b"")  # no directory can be made here
    done = run("export-qd831", an)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "audit trail" in done.stderr


def test_accounts_that_are_made_changed_and_closed_are_told_of_without_their_passwords(
    run: Run, repository: Repository
) -> None:
    password = "một mật khẩu dài"
    assert run("staff", "add", "lan", "--role", "registrar", told=f"{password}\n").exit_code == 0
    assert run("staff", "disable", "nobody").exit_code != 0
    added = run("gateway-account", "add", "bv1", "--unit-code", "79001", "--unit-name", "BV", told=f"{password}\n")
    assert added.exit_code == 0, added.output
    told = [
        (
            each["subtype"][1]["code"],
            details(each)["account"],
            each["outcome"],
            next(agent["altId"] for agent in each["agent"]),
        )
        for each in events(repository)
        if each["subtype"][0]["code"] == "110137"
    ]
    assert told == [
        ("staff-added", "lan", "0", "cli:staff-added"),
        ("staff-closed", "nobody", "4", "cli:staff-closed"),
        ("gateway-account-added", "bv1", "0", "cli:gateway-account-added"),
    ]
    assert password not in str(events(repository))
