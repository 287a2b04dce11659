"""Runs FHIR clients from the package registries against the real server process and prints what each could do.

    python -m tests.clients [--environments DIR] [--server URL]

The clients are installed into temporary environments (pip for Python, npm for JavaScript: Node 20 or later must be
there), or into DIR, which is kept and used again. Each client creates, reads, updates, patches, searches, pages through
25 people ten at a time, reads histories and deletes, as far as it has functions for it, and asserts the values.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from urllib.error import URLError
from urllib.request import urlopen

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PAGE_ORIGIN = "http://app.example.vn"
"""The origin of the page in which the browser build of fhirclient runs."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client: how the registry calls it, the versions it was tried with, and the script that drives it."""

    package: str
    version: str
    script: str

    @property
    def is_python(self) -> bool:
        return self.script.endswith(".py")


CLIENTS = (
    Client("fhirpy", "~=2.3", "with_fhirpy.py"),
    Client("fhirclient", "~=4.4", "with_fhirclient.py"),
    Client("fhir-pyrate", "~=0.2.6", "with_fhir_pyrate.py"),
    Client("fhir-kit-client", "^2.0.3", "with_fhir_kit_client.mjs"),
    Client("@medplum/core", "^5.2.13", "with_medplum_core.mjs"),
    Client("fhirclient", "^2.6.3", "with_fhirclient_js.mjs"),
)
JSDOM = "jsdom@^26"  # the page of another origin for the browser build

INTERACTIONS = (
    *("capabilities", "create", "read", "vread", "update", "patch", "search", "compartment", "paging", "history"),
    *("conditional", "transaction", "operation", "binary", "browser (CORS)", "delete"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """How one step of one client went; `problem` is empty when it went well."""

    interaction: str
    problem: str


def main(arguments: list[str]) -> int:
    """0 when every step of every client went well, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--environments", type=Path, help="keep the clients here [default: a temporary directory]")
    parser.add_argument("--server", help="address of a running FHIR service [default: start one]")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fhir-clients-") as scratch:
        environments = options.environments or Path(scratch) / "environments"
        _install(environments)
        if options.server:
            results = [_run(client, environments, options.server) for client in CLIENTS]
        else:
            with _server(Path(scratch) / "data") as base:
                results = [_run(client, environments, base) for client in CLIENTS]
    return _report(results)


def _install(environments: Path) -> None:
    python, javascript = environments / "python", environments / "javascript"
    if not (python / "bin" / "python").exists():
        venv.create(python, with_pip=True)
    wanted = [f"{client.package}{client.version}" for client in CLIENTS if client.is_python]
    pip = [str(python / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, *wanted], check=True)
    javascript.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is missing: install Node.js 20 or later.")
    wanted = [f"{client.package}@{client.version}" for client in CLIENTS if not client.is_python]
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run([npm, "install", "--prefix", str(javascript), *quiet, *wanted, JSDOM], check=True)
    for script in HERE.glob("*.mjs"):  # modules are looked for beside the script that asks for them
        shutil.copy(script, javascript)


@contextmanager
def _server(data: Path) -> Iterator[str]:
    """The server process on a free port with an empty data directory; yields the address of its FHIR service."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "fhir_server.cli", "serve", "--port", str(port), "--data", str(data)]
    environment = {**os.environ, "FHIR_CORS_ORIGINS": PAGE_ORIGIN, "FHIR_BASE_URL": ""}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        _wait(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"The server ended with code {process.returncode} before it answered.")
        try:
            with urlopen(address, timeout=5):
                return
        except URLError:
            time.sleep(0.1)
    raise SystemExit("The server did not answer within a minute.")


def _run(client: Client, environments: Path, base: str) -> list[Result]:
    if client.is_python:
        module = f"tests.clients.{client.script.removesuffix('.py')}"
        command = [str(environments / "python" / "bin" / "python"), "-m", module]
        directory = ROOT
    else:
        command, directory = ["node", client.script], environments / "javascript"
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "FHIR_BASE": base},
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"interaction"')]
    results = [Result(**json.loads(line)) for line in lines]
    if done.returncode != 0:
        results.append(Result("script", f"{client.script} ended with code {done.returncode}"))
    return results


def _report(results: list[list[Result]]) -> int:
    """Print the table of clients and interactions, then what failed."""
    console = Console(width=140)
    table = Table("interaction", *(f"{c.package}\n({'Python' if c.is_python else 'JavaScript'})" for c in CLIENTS))
    for interaction in (*INTERACTIONS, "script"):
        cells = [next((r for r in steps if r.interaction == interaction), None) for steps in results]
        if any(cells) or interaction != "script":
            table.add_row(interaction, *("–" if r is None else "FAILED" if r.problem else "ok" for r in cells))
    console.print(table)
    failed = 0
    for client, steps in zip(CLIENTS, results, strict=True):
        for result in steps:
            if result.problem:
                failed += 1
                console.print(f"{client.script}, {result.interaction}: {result.problem}", markup=False)
    console.print(f"{sum(map(len, results)) - failed} steps went well, {failed} failed; – is what a client has not.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
