"""`fhir-server person add`: a form or a QR text on the standard input; who may be known is asked about."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from fhir_server.cli import main

FORM = {"name": "Hồ Thị Mơ", "birth_date": "03/02/1950", "sex": "nữ"}
CCCD_QR = "000150000001||Hồ Thị Mơ|03021950|Nữ|Xã Thử|01012022"

Run = Callable[..., Result]


@pytest.fixture
def run(mongod_uri: str, database: str) -> Run:
    def run(told: str, *options: str) -> Result:
        environment = {"FHIR_MONGODB_URI": mongod_uri, "FHIR_DATABASE": database}
        return CliRunner().invoke(main, ["person", "add", *options], input=told, env=environment)

    return run


def test_a_form_makes_a_person_with_a_temporary_number(run: Run) -> None:
    done = run(json.dumps(FORM), "--facility", "79001")
    assert done.exit_code == 0
    assert re.fullmatch(r"created Patient/\S+ VD-79001-\d{8}-0001\n", done.stdout)


def test_who_may_be_known_is_asked_about_and_then_decided(run: Run) -> None:
    first = run(json.dumps(FORM), "--facility", "79001").stdout.split()[1]
    asked = run(CCCD_QR)
    assert (asked.exit_code, asked.stdout) == (1, "")
    assert f"{first}: cùng họ tên" in asked.stderr
    joined = run(CCCD_QR, "--same-as", first)
    assert (joined.exit_code, joined.stdout) == (0, f"updated {first}\n")
    assert run(CCCD_QR).stdout == f"unchanged {first}\n"
    other = run(json.dumps(FORM), "--facility", "79001", "--new")
    assert other.stdout.startswith("created Patient/")


@pytest.mark.parametrize(
    ("told", "options", "reason"),
    [
        ("", (), "standard input"),
        ("{", (), "no JSON"),
        ("{}", (), "name: Cần điền mục này"),
        ("nothing", (), "Mã QR này không phải"),
        (json.dumps(FORM), (), "facility: "),
        (json.dumps(FORM), ("--new", "--same-as", "x"), "exclude each other"),
        (json.dumps(FORM), ("--same-as", "x"), "look again"),
    ],
)
def test_what_cannot_be_is_one_sentence(run: Run, told: str, options: tuple[str, ...], reason: str) -> None:
    done = run(told, *options)
    assert done.exit_code != 0
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
