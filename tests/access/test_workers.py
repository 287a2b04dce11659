"""Revocation in every worker, with the server as the processes it really is and clients made by the command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from fhir_server.access.assertions import TYPE
from tests.access.world import JWKS, assertion
from tests.server_process import COMMAND, Server, embedded, environment, start

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("smart") / "data", "--access", "smart", "--workers", "2")
    yield running
    running.stop()


def command(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "client", *arguments, "--data", str(server.data)], env=environment(), capture_output=True, text=True
    )


def form(server: Server, path: str, client: str, **fields: str) -> Any:
    token_endpoint = f"http://127.0.0.1:{server.port}/auth/token"
    sent = {
        "client_assertion_type": TYPE,
        "client_assertion": assertion(client, aud=token_endpoint),
        **fields,
    }
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("POST", path, urlencode(sent), FORM)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return json.loads(body) if body else None


def worker_of(connection: HTTPConnection, server: Server) -> int:
    """The process at the other end: the one that holds the socket which /proc/net/tcp has from our port's view."""
    ours, theirs = connection.sock.getsockname()[1], server.port
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if (int(fields[1].split(":")[1], 16), int(fields[2].split(":")[1], 16)) == (theirs, ours):
            wanted = f"socket:[{fields[9]}]"
            for pid in server.processes():
                held = Path(f"/proc/{pid}/fd")
                if any(os.readlink(each) == wanted for each in held.iterdir() if each.is_symlink()):
                    return pid
    raise AssertionError("nobody holds the other end")


def status(connection: HTTPConnection, token: str) -> int:
    connection.request("GET", "/fhir/Patient", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


@embedded
def test_a_revoked_token_is_refused_by_the_next_request_in_every_worker(server: Server, tmp_path: Path) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(JWKS), encoding="utf-8")
    added = command(server, "add", "clinic", "--name", "Clinic", "--scope", "system/*.rs", "--jwks", str(jwks))
    assert (added.returncode, added.stderr) == (0, "")
    again = command(server, "add", "clinic", "--name", "Clinic", "--scope", "system/*.rs", "--jwks", str(jwks))
    assert (again.returncode, again.stderr) == (1, "Error: There is a client clinic already.\n")
    credentials = {"grant_type": "client_credentials", "scope": "system/*.rs"}
    first, second = (form(server, "/auth/token", "clinic", **credentials)["access_token"] for _ in range(2))

    connections: dict[int, HTTPConnection] = {}
    others = []
    while len(connections) < 2:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        assert status(connection, first) == 200
        worker = worker_of(connection, server)
        if worker in connections:
            others.append(connection)
            assert len(others) < 200, "one worker answers everything"
        connections.setdefault(worker, connection)
    for connection in connections.values():
        assert status(connection, second) == 200

    form(server, "/auth/revoke", "clinic", token=first)
    assert [status(connection, first) for connection in connections.values()] == [401, 401]
    assert [status(connection, second) for connection in connections.values()] == [200, 200]
    assert command(server, "disable", "clinic").returncode == 0
    assert [status(connection, second) for connection in connections.values()] == [401, 401]
    listed = command(server, "list").stdout
    assert "clinic" in listed
    assert "disabled" in listed
    for connection in [*connections.values(), *others]:
        connection.close()


@embedded
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "x", "--name", "X", "--scope", "system/*.rs"], "needs keys"),
        (["add", "x", "--name", "X", "--scope", "nonsense", "--jwks-url", "https://a.example"], "nonsense is none"),
        (["add", "x", "--name", "X", "--scope", "system/*.rs", "--jwks", __file__], "cannot be read as JSON"),
        (["disable", "nobody"], "There is no client nobody."),
    ],
)
def test_what_cannot_be_registered_is_said_in_a_sentence(server: Server, arguments: list[str], told: str) -> None:
    ended = command(server, *arguments)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: ")
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1
