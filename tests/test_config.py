"""The settings: what each may hold, what refuses a value, and that the documentation is the code's own."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from fhir_server.config import Config, ConfigError, documentation, unknown_variables, variable

README = Path(__file__).parent.parent / "README.md"


def test_an_empty_environment_gives_open_access_on_loopback() -> None:
    config = Config.from_environment({})
    assert (config.host, config.port, config.access) == ("127.0.0.1", 8080, "open")
    assert config.data == Path("data")
    assert config.mongodb_uri is None
    assert config.cors_origins == ()
    assert config.public_url == "http://127.0.0.1:8080"


def test_a_variable_sets_its_setting() -> None:
    environment = {
        "FHIR_PORT": "9090",
        "FHIR_DATA": "/var/lib/fhir",
        "FHIR_WORKERS": "3",
        "FHIR_CORS_ORIGINS": "https://a.example.vn, https://b.example.vn",
        "FHIR_ACCESS_LOG": "yes",
    }
    config = Config.from_environment(environment)
    assert config.port == 9090
    assert config.data == Path("/var/lib/fhir")
    assert config.workers == 3
    assert config.cors_origins == ("https://a.example.vn", "https://b.example.vn")
    assert config.access_log is True


def test_an_option_of_the_command_line_wins_over_its_variable() -> None:
    config = Config.from_environment({"FHIR_PORT": "9090", "FHIR_WORKERS": "3"}, port=9191, workers=None)
    assert (config.port, config.workers) == (9191, 3)


def test_an_empty_variable_is_the_same_as_none() -> None:
    assert Config.from_environment({"FHIR_PORT": "", "FHIR_MONGODB_URI": ""}) == Config.from_environment({})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FHIR_PORT", "http", "FHIR_PORT must be a whole number from 1 to 65535, not 'http'."),
        ("FHIR_PORT", "0", "FHIR_PORT must be a whole number from 1 to 65535, not '0'."),
        ("FHIR_PORT", "٨٠", "FHIR_PORT must be a whole number from 1 to 65535, not '٨٠'."),
        ("FHIR_WORKERS", "-1", "FHIR_WORKERS must be a whole number from 1 to 64, not '-1'."),
        ("FHIR_ACCESS", "closed", "FHIR_ACCESS must be one of open, smart, not 'closed'."),
        ("FHIR_ACCESS_LOG", "1", "FHIR_ACCESS_LOG must be one of yes, no, not '1'."),
        ("FHIR_BASE_URL", "fhir", "FHIR_BASE_URL must be an http or https address without query, not 'fhir'."),
        ("FHIR_HOTLINE", "  ", "FHIR_HOTLINE must be some text, not '  '."),
        ("FHIR_DATABASE", "a.b", "FHIR_DATABASE must be up to 38 letters, digits, _ or -, not 'a.b'."),
        (
            "FHIR_CORS_ORIGINS",
            "https://a.example.vn/",
            "FHIR_CORS_ORIGINS must be origins such as https://app.example.vn, separated by commas, or *, "
            "not 'https://a.example.vn/'.",
        ),
    ],
)
def test_a_value_a_setting_cannot_hold_is_refused_by_name(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.from_environment({name: value})
    assert str(refused.value) == message


def test_an_option_that_cannot_hold_its_value_is_named_as_the_option() -> None:
    with pytest.raises(ConfigError, match=r"^--port must be a whole number from 1 to 65535, not '70000'\.$"):
        Config.from_environment({}, port=70000)


def test_a_mongodb_address_that_is_refused_is_not_quoted() -> None:
    with pytest.raises(ConfigError) as refused:
        Config.from_environment({"FHIR_MONGODB_URI": "mongo://root:hunter2@db"})
    assert str(refused.value) == ("FHIR_MONGODB_URI must be an address such as mongodb://host:27017/?replicaSet=rs0.")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.vn", "127.0.0.1.example.vn"])
def test_open_access_is_refused_on_any_address_but_loopback(host: str) -> None:
    with pytest.raises(ConfigError, match=f"it is refused on {re.escape(host)}: only loopback addresses"):
        Config.from_environment({"FHIR_HOST": host})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_open_access_is_allowed_on_loopback(host: str) -> None:
    assert Config.from_environment({"FHIR_HOST": host}).host == host


def test_smart_access_may_listen_anywhere() -> None:
    assert Config.from_environment({"FHIR_HOST": "0.0.0.0", "FHIR_ACCESS": "smart"}).host == "0.0.0.0"


def test_cards_link_to_the_address_the_server_listens_on_unless_another_is_given() -> None:
    assert Config.from_environment({"FHIR_HOST": "::1", "FHIR_PORT": "81"}).public_url == "http://[::1]:81"
    public = Config.from_environment({"FHIR_PUBLIC_URL": "https://hososuckhoe.example.vn/"}).public_url
    assert public == "https://hososuckhoe.example.vn"


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"FHIR_ACCESS": "smart", "FHIR_PUBLIC_URL": "http://hososuckhoe.example.vn"}, ["FHIR_PUBLIC_URL"]),
        ({"FHIR_ACCESS": "smart", "FHIR_HOST": "0.0.0.0"}, ["FHIR_PUBLIC_URL"]),
        (
            {
                "FHIR_ACCESS": "smart",
                "FHIR_PUBLIC_URL": "https://hososuckhoe.example.vn",
                "FHIR_BASE_URL": "http://10.0.0.5/fhir",
            },
            ["FHIR_BASE_URL"],
        ),
        ({"FHIR_ACCESS": "smart", "FHIR_PUBLIC_URL": "https://hososuckhoe.example.vn"}, []),
        ({"FHIR_ACCESS": "smart"}, []),
        ({"FHIR_ACCESS": "smart", "FHIR_PUBLIC_URL": "http://[::1]:8080"}, []),
        ({"FHIR_PUBLIC_URL": "http://hososuckhoe.example.vn"}, []),
    ],
)
def test_addresses_without_tls_are_warned_of_where_tokens_and_pins_cross_a_network(
    settings: dict[str, str], warned: list[str]
) -> None:
    cautions = Config.from_environment(settings).cautions()
    assert [each.partition(" is http://")[0] for each in cautions] == warned


def test_a_default_page_above_the_largest_page_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^FHIR_DEFAULT_COUNT must not be above FHIR_MAX_COUNT\.$"):
        Config.from_environment({"FHIR_DEFAULT_COUNT": "60", "FHIR_MAX_COUNT": "40"})


def test_a_configuration_written_to_variables_and_read_again_is_the_same() -> None:
    config = Config.from_environment(
        {
            "FHIR_MONGODB_URI": "mongodb://db/?replicaSet=rs0",
            "FHIR_CORS_ORIGINS": "https://a.example.vn,*",
            "FHIR_ACCESS_LOG": "yes",
            "FHIR_BASE_URL": "https://fhir.example.vn/r4",
        },
        port=81,
    )
    assert Config.from_environment(config.to_environment()) == config


def test_what_is_shown_to_people_holds_no_password() -> None:
    config = Config.from_environment({"FHIR_MONGODB_URI": "mongodb://root:p@ss:word@db:27017/?replicaSet=rs0"})
    assert dict(config.shown())["FHIR_MONGODB_URI"] == "mongodb://root:***@db:27017/?replicaSet=rs0"


def test_a_variable_that_is_no_setting_is_found() -> None:
    assert unknown_variables({"FHIR_PORTS": "80", "FHIR_PORT": "80", "PATH": "/bin"}) == ["FHIR_PORTS"]


def test_the_readme_holds_the_table_of_settings_as_the_code_has_it() -> None:
    assert documentation() in README.read_text(encoding="utf-8")


def test_every_setting_has_a_meaning_of_one_line() -> None:
    rows = documentation().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [variable(setting) for setting in fields(Config)]
    assert all(row.endswith(". |") for row in rows)
