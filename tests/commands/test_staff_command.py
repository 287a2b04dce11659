"""Accounts of staff from the command line; the password comes by the standard input and is shown nowhere."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fhir_server.access import staff
from fhir_server.cli import main
from fhir_server.store.records import Store


def test_an_account_is_made_changed_closed_and_listed(mongod_uri: str, store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FHIR_MONGODB_URI", mongod_uri)
    monkeypatch.setenv("FHIR_DATABASE", store.database_name)

    def run(*arguments: str, typed: str = "") -> str:
        result = CliRunner().invoke(main, ["staff", *arguments], input=typed)
        return f"{result.exit_code} {result.output}"

    password = "một mật khẩu dài"
    assert run("add", "lan", "--role", "registrar", "--facility", "79001", typed=f"{password}\n") == "0 "
    assert "12 to 200" in run("add", "mai", "--role", "admin", typed="ngắn\n")
    assert "registrar, clinician, auditor, integrator, admin" in run("add", "mai", "--role", "x", typed=f"{password}\n")
    assert staff.log_in(store.database, "lan", password) is not None
    assert run("password", "lan", typed="một mật khẩu khác nữa\n") == "0 "
    assert staff.log_in(store.database, "lan", password) is None
    assert run("disable", "lan") == "0 "
    listed = run("list")
    assert "79001" in listed
    assert "closed" in listed
    assert "argon2" not in listed
    assert run("enable", "lan") == "0 "
    assert staff.log_in(store.database, "lan", "một mật khẩu khác nữa") is not None
    assert "There is no account nobody" in run("disable", "nobody")
