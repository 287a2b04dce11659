"""docs/gateway.md names every call, and every refusal as the code has it; the command line keeps accounts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from fhir_server.cli import main
from fhir_server.intake.gateway.replies import ACCEPTED, REFUSALS
from tests.intake.gateway.conftest import PASSWORD

PAGE = (Path(__file__).parents[3] / "docs" / "gateway.md").read_text(encoding="utf-8")


def test_the_page_names_every_call_that_is_served(app):
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(("gateway.", "gateway_adapters."))]
    calls = {f"{'POST' if 'POST' in rule.methods else 'GET'} {rule.rule}" for rule in rules}
    assert [call for call in sorted(calls) if f"`{call}`" not in PAGE] == []


def test_the_page_has_every_code_with_its_status_and_message():
    rows = [f"| `{code}` | {status} | {message} |" for code, (status, message) in REFUSALS.items()]
    rows += [f"| `{code}` | 200 | {message} |" for code, message in ACCEPTED.items()]
    assert [row for row in rows if row not in PAGE] == []


@pytest.fixture
def run(monkeypatch, mongod_uri, database):
    monkeypatch.setenv("FHIR_MONGODB_URI", mongod_uri)
    monkeypatch.setenv("FHIR_DATABASE", database)

    def invoke(*arguments, typed=PASSWORD):
        return CliRunner().invoke(main, ["gateway-account", *arguments], input=f"{typed}\n")

    return invoke


def test_the_command_line_makes_lists_closes_and_opens_accounts(run, hospital):
    unit = ("--unit-code", "79003", "--unit-name", "Trạm")
    assert run("add", "tram", *unit, "--facility", "79004").exit_code == 0
    assert hospital.log_in("tram").status_code == 200
    assert run("disable", "tram").exit_code == 0
    assert hospital.log_in("tram").status_code == 401
    assert "79003, 79004  closed" in run("list").output
    assert run("enable", "tram").exit_code == 0
    assert run("password", "tram", typed="một mật khẩu khác").exit_code == 0
    assert hospital.log_in("tram", "một mật khẩu khác").status_code == 200
    assert PASSWORD not in run("list").output


def test_the_command_line_says_in_a_sentence_what_stands_in_its_way(run, account):
    unit = ("--unit-code", "79001", "--unit-name", "BV")
    assert "There is an account bv79001 already." in run("add", account, *unit).output
    assert "A password has 12 to 200 characters." in run("add", "x", *unit, typed="ngắn").output
    assert "There is no account nobody." in run("disable", "nobody").output
