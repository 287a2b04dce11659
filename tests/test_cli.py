"""The command line: commands that end at once."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhir_server.cli import main
from fhir_server.commands import check
from fhir_server.config import documentation
from tests.server_process import free_port


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in this process with no setting in the environment."""
    for name in list(os.environ):
        if name.startswith("FHIR_"):
            monkeypatch.delenv(name)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return invoke


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_open_access_on_any_address_but_loopback_is_refused(run: Any, command: str) -> None:
    result = run(command, "--host", "0.0.0.0")
    assert result.exit_code == 1
    assert result.output == (
        "Error: Open access lets anybody read every record, so it is refused on 0.0.0.0: "
        "only loopback addresses such as 127.0.0.1 are allowed (FHIR_HOST, --host).\n"
    )


def test_a_port_somebody_listens_on_is_refused_before_anything_starts(run: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port), "--data", str(tmp_path / "data"))
    assert result.exit_code == 1
    assert result.output == (
        f"Error: The server cannot listen on 127.0.0.1:{port} (Address already in use). "
        "Choose another port with --port, or stop the program that uses this one.\n"
    )
    assert not (tmp_path / "data").exists()


def test_config_table_prints_the_documented_table(run: Any) -> None:
    assert run("config", "table").output == documentation()


def test_config_check_refuses_a_value_and_names_its_variable(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_PORT", "eighty")
    result = run("config", "check")
    assert result.exit_code == 1
    assert result.output == "Error: FHIR_PORT must be a whole number from 1 to 65535, not 'eighty'.\n"


def test_config_check_finds_a_variable_that_is_no_setting(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FHIR_PROT", "80")
    result = run("config", "check", "--data", str(tmp_path / "data"))
    assert result.exit_code == 1
    assert result.stderr == "Error: FHIR_PROT is no setting of this version; `fhir-server config table` lists them.\n"


def test_config_check_says_that_no_mongodb_answers_and_shows_no_password(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"mongodb://root:hunter2@127.0.0.1:{free_port()}/?replicaSet=rs0"
    monkeypatch.setenv("FHIR_MONGODB_URI", uri)
    monkeypatch.setattr(check, "TIMEOUT_MS", 500)
    result = run("config", "check")
    assert result.exit_code == 1
    assert "root:***@127.0.0.1" in result.stdout
    assert "hunter2" not in result.output
    assert result.stderr == (
        "Error: No MongoDB answered within 0.5 s. Check that it runs and that FHIR_MONGODB_URI "
        "names its hosts and replica set.\n"
    )


def test_config_check_accepts_the_mongodb_of_the_tests(
    run: Any, monkeypatch: pytest.MonkeyPatch, mongod_uri: str
) -> None:
    monkeypatch.setenv("FHIR_MONGODB_URI", mongod_uri)
    result = run("config", "check")
    assert result.exit_code == 0
    assert re.search(r"^MongoDB \d+\.\d+\.\d+ answers\.$", result.stdout, re.MULTILINE)


def test_config_check_warns_of_an_address_without_tls_and_is_content_all_the_same(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FHIR_ACCESS", "smart")
    monkeypatch.setenv("FHIR_PUBLIC_URL", "http://hososuckhoe.example.vn")
    result = run("config", "check", "--data", str(tmp_path / "data"))
    assert result.exit_code == 0
    assert result.stderr == (
        "Warning: FHIR_PUBLIC_URL is http://hososuckhoe.example.vn: with FHIR_ACCESS=smart, tokens and PINs would cross "
        "the network unencrypted, and cards and the desk are closed to other machines. "
        "Give the https address of the proxy that ends TLS.\n"
    )


def test_config_check_refuses_a_data_directory_that_is_a_file(run: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("", encoding="ascii")
    result = run("config", "check", "--data", str(tmp_path / "data"))
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {tmp_path / 'data'} is not a directory this account can write to (FHIR_DATA, --data).\n"
    )


def test_a_file_that_does_not_exist_is_named(run: Any) -> None:
    result = run("import", "roster", "absent.csv")
    assert result.exit_code == 2
    assert "File 'absent.csv' does not exist." in result.output
