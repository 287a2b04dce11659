"""run.py: what it says on a machine that lacks something, and when it makes the environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import run

ELSEWHERE = "set FHIR_MONGODB_URI to a MongoDB replica set elsewhere (mongodb://host:27017/?replicaSet=rs0)."
COMPLETE = run.Machine(
    python=(3, 11, 2), has_venv=True, system="Linux", processor="x86_64", has_avx=True, has_libcurl=True
)


def test_a_complete_machine_lacks_nothing() -> None:
    assert run.missing_piece(COMPLETE, embedded_mongodb=True) is None


@pytest.mark.parametrize(
    ("lack", "sentence"),
    [
        (
            {"python": (3, 9, 2)},
            "Python 3.11 or newer is needed, and this is 3.9.2: run this file with a newer Python.",
        ),
        ({"has_venv": False}, "Python's venv module is missing: sudo apt-get install -y python3-venv"),
        (
            {"processor": "aarch64"},
            f"The packaged MongoDB is for Linux on x86-64, and this is Linux on aarch64: {ELSEWHERE}",
        ),
        (
            {"system": "Darwin"},
            f"The packaged MongoDB is for Linux on x86-64, and this is Darwin on x86_64: {ELSEWHERE}",
        ),
        ({"has_avx": False}, f"The packaged MongoDB needs a CPU with AVX, which this one lacks: {ELSEWHERE}"),
        ({"has_libcurl": False}, "The packaged MongoDB needs the library libcurl: sudo apt-get install -y libcurl4"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_a_machine_lacks_is_one_sentence_with_the_way_out(lack: dict[str, Any], sentence: str) -> None:
    assert run.missing_piece(COMPLETE._replace(**lack), embedded_mongodb=True) == sentence


@pytest.mark.parametrize("lack", [{"processor": "aarch64"}, {"has_avx": False}, {"has_libcurl": False}])
def test_with_another_mongodb_the_machine_needs_none_of_the_packaged_one(lack: dict[str, Any]) -> None:
    assert run.missing_piece(COMPLETE._replace(**lack), embedded_mongodb=False) is None


def test_the_machine_of_the_tests_is_seen_as_it_is() -> None:
    machine = run.this_machine()
    assert machine.python == sys.version_info[:3]
    assert machine.system == "Linux"


def test_without_a_command_it_says_how_it_is_used() -> None:
    asked = subprocess.run([sys.executable, str(Path(run.__file__))], capture_output=True, text=True)
    assert asked.returncode == 2
    assert asked.stdout == f"{run.USAGE}\n"


def test_it_needs_nothing_that_is_not_in_python_itself() -> None:
    isolated = subprocess.run([sys.executable, "-I", "-S", run.__file__, "--help"], capture_output=True, text=True)
    assert isolated.returncode == 0
    assert isolated.stdout == f"{run.USAGE}\n"
