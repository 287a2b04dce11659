"""Looks whether the server could start: the settings, and the MongoDB they name."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fhir_server.config import Config, unknown_variables
from fhir_server.store.binary import find_mongod
from fhir_server.store.connection import MongoDBUnusable, connect
from fhir_server.store.mongod import attach

TIMEOUT_MS = 5_000


def check(console: Console, config: Config) -> list[str]:
    """Print the settings in force and return what is wrong with them, each with what to do."""
    table = Table("variable", "value", box=None, pad_edge=False)
    for name, value in config.shown():
        table.add_row(name, value)
    console.print(table)
    problems = [
        f"{name} is no setting of this version; `fhir-server config table` lists them."
        for name in unknown_variables(os.environ)
    ]
    try:
        console.print(_mongodb(config), markup=False)
    except MongoDBUnusable as error:
        problems.append(str(error))
    return problems


def _mongodb(config: Config) -> str:
    """How MongoDB will be reached. Raises MongoDBUnusable."""
    if config.mongodb_uri:
        with connect(config.mongodb_uri, timeout_ms=TIMEOUT_MS) as client:
            return f"MongoDB {client.server_info()['version']} answers."
    place = next(path for path in [config.data.absolute(), *config.data.absolute().parents] if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise MongoDBUnusable(f"{place} is not a directory this account can write to (FHIR_DATA, --data).")
    if attach(config.data):
        return f"A server is running on {config.data}."
    return f"The embedded MongoDB will run: {_short(find_mongod())}"


def _short(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
