"""The demo files: current, and imported with exact counts by the real importers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from fhir_server.access.context import AccessContext
from fhir_server.intake.roster import import_roster
from fhir_server.intake.self_declared import import_self_declared
from fhir_server.intake.visits import import_visits
from fhir_server.repository import Repository
from fhir_server.resource import exact
from fhir_server.resource.validation import validate_issues
from mappings import systems
from mappings.dates import parse_date
from seed import roster_file, self_declared_file, visit_files
from seed.duplicates import accounts
from seed.generate import observations, patients, write

CTX = AccessContext.unrestricted("test")


def test_the_committed_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    write(tmp_path)
    for committed in [roster_file(), self_declared_file(), *visit_files()]:
        made = tmp_path / committed.relative_to(roster_file().parent)
        assert made.read_bytes() == committed.read_bytes(), committed.name
    assert len(list((tmp_path / "visits").iterdir())) == len(visit_files())


def test_the_demo_is_imported_with_exact_counts_and_only_once(repository: Repository) -> None:
    roster = import_roster(repository, CTX, roster_file())
    assert (roster.read, roster.created, roster.updated, roster.unchanged, roster.rejected) == (206, 200, 3, 0, 3)
    visits = import_visits(repository, CTX, visit_files())
    assert (visits.files, visits.visits, visits.created, visits.rejected) == (4, 40, 40, [])
    declared = import_self_declared(repository, CTX, self_declared_file())
    assert (declared.declarations, declared.rejected, declared.existing) == (30, [], 0)
    totals = {
        kind: repository.search(CTX, kind, [("_count", "0")]).total
        for kind in ("Patient", "Coverage", "Encounter", "AllergyIntolerance", "MedicationRequest")
    }
    assert totals == {
        "Patient": 201,
        "Coverage": 205,
        "Encounter": 40,
        "AllergyIntolerance": 23,
        "MedicationRequest": 59,
    }

    again = import_roster(repository, CTX, roster_file())
    assert (again.created, again.updated, again.unchanged, again.rejected) == (0, 0, 203, 3)
    assert import_visits(repository, CTX, visit_files()).unchanged == 40
    repeated = import_self_declared(repository, CTX, self_declared_file())
    assert (repeated.created, repeated.existing) == (0, declared.created)


def test_the_person_of_the_sample_has_a_visit_and_a_declaration(repository: Repository) -> None:
    import_roster(repository, CTX, roster_file())
    import_visits(repository, CTX, visit_files())
    import_self_declared(repository, CTX, self_declared_file())
    page = repository.search(CTX, "Patient", [("identifier", f"{systems.BHYT_CARD}|GD4797900000123")])
    ((_, stored),) = page.entries
    weights = repository.search(CTX, "Observation", [("patient", f"Patient/{stored.id}"), ("code", "29463-7")])
    values = {str(exact.parse(each.json)["valueQuantity"]["value"]) for _, each in weights.entries if each.json}
    assert values == {"52.50", "52.0"}


def test_generated_resources_are_valid_and_the_same_for_the_same_seed() -> None:
    made = [*patients(50, seed=7), *observations(["Patient/1", "Patient/2"], 20, seed=7)]
    assert len(made) == 70
    assert made == [*patients(50, seed=7), *observations(["Patient/1", "Patient/2"], 20, seed=7)]
    for resource in made:
        assert validate_issues(exact.parse(exact.dump(resource))) == []


def test_every_generated_person_has_a_number_of_their_own() -> None:
    numbers = [entry["value"] for patient in patients(1000) for entry in patient["identifier"]]
    assert len(set(numbers)) == len(numbers)


def test_invented_accounts_are_born_on_days_that_exist() -> None:
    told = [account.patient["birthDate"] for account in accounts(5000)]
    assert [born for born in told if parse_date(born) is None] == []
    assert all(date.fromisoformat(born) for born in told if len(born) == len("2026-11-24"))
