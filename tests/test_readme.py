"""What the README promises: its commands, its counts, its links and its table of rooms."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from fhir_server.access.context import AccessContext
from fhir_server.commands.demo import seed_directory
from fhir_server.repository import Repository

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

COUNTED = re.compile(r"^curl '(http://127\.0\.0\.1:8080/fhir/[^']+)' +# total: (\S+)$", re.MULTILINE)


def test_the_test_command_of_the_readme_is_the_one_ci_runs_last() -> None:
    commands = re.findall(r"```sh\n(python3 run\.py \w+)\n```", README)
    assert commands == ["python3 run.py demo", "python3 run.py test"]
    steps = [line for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines() if line]
    assert steps[-1] == commands[1]
    assert "set -euo pipefail" in steps


def test_every_search_of_the_readme_finds_as_many_as_it_says(client: FlaskClient, repository: Repository) -> None:
    from fhir_server.intake.roster import import_roster
    from fhir_server.intake.self_declared import import_self_declared
    from fhir_server.intake.visits import import_visits

    caller = AccessContext.unrestricted("test")
    with seed_directory() as seed:
        import_roster(repository, caller, seed / "roster.csv")
        import_visits(repository, caller, sorted((seed / "visits").glob("*.xml")))
        import_self_declared(repository, caller, seed / "self_declared.json")
    searches = COUNTED.findall(README)
    assert len(searches) == 9
    found = []
    for address, _ in searches:
        parts = urlsplit(address)
        answer = client.get(f"{parts.path}?{parts.query}&_summary=count")
        found.append((address, str(answer.get_json()["total"])))
    assert found == searches


def _links() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                yield str(page.relative_to(ROOT)), target


def test_every_link_to_a_file_leads_to_one() -> None:
    assert [(page, link) for page, link in _links() if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_table_of_rooms_names_every_room_and_no_other() -> None:
    named = set(re.findall(r"^\| `([^`]+)` \| ", README.partition("## Where things are")[2], re.MULTILINE))
    rooms = {f"fhir_server/{path.parent.name}/" for path in (ROOT / "fhir_server").glob("*/__init__.py")}
    tops = {"mappings/", "profiles/", "seed/", "bench/", "tests/", "docs/"}
    assert named == rooms | tops | {"fhir_server/repository.py"}


def test_the_compose_file_is_one_that_docker_compose_accepts() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed here")
    checked = subprocess.run(
        [docker, "compose", "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"],
        capture_output=True,
        text=True,
    )
    assert checked.stderr == ""
    assert checked.returncode == 0
