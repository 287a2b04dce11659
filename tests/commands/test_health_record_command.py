"""`fhir-server export-qd831`: one record on the standard output, equal to what was received; nobody is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir_server.access.context import AccessContext
from fhir_server.cli import main
from fhir_server.intake.health_records import receive
from fhir_server.repository import Repository
from mappings.qd831.record import read_record
from mappings.qd831.table import HEADER

SAMPLE = (Path(__file__).parents[1] / "mappings" / "data" / "qd831.xml").read_bytes()
Run = Callable[..., Result]


@pytest.fixture
def run(mongod_uri: str, database: str) -> Run:
    def run(*words: str) -> Result:
        environment = {"FHIR_MONGODB_URI": mongod_uri, "FHIR_DATABASE": database}
        return CliRunner().invoke(main, ["export-qd831", *words], env=environment)

    return run


@pytest.mark.parametrize("prefix", ["", "Patient/"])
def test_the_record_that_was_received_comes_out(run: Run, repository: Repository, prefix: str) -> None:
    patient = receive(repository, AccessContext.unrestricted("test"), SAMPLE).patient.removeprefix("Patient/")
    done = run(prefix + patient, "--sender", "79001")
    assert (done.exit_code, done.stderr) == (0, "")
    exported, expected = read_record(done.stdout_bytes)[0], read_record(SAMPLE)[0]
    assert exported.single.pop(HEADER) == expected.single.pop(HEADER)
    assert exported == expected


def test_a_patient_whom_nobody_knows_is_one_sentence(run: Run) -> None:
    done = run("nobody")
    assert (done.exit_code != 0, done.stdout) == (True, "")
    assert "nobody" in done.stderr
    assert "Traceback" not in done.stderr
