"""What a client's script does step by step: each step is one interaction, and says in one line how it went."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

SYSTEM = "http://hososuckhoe.example.vn/fhir/sid/bhxh-number"
PEOPLE = 25
"""How many people each script makes, to page through ten at a time."""

BASE = os.environ.get("FHIR_BASE", "")


def person(given: str, number: int) -> dict[str, Any]:
    """An invented person; `given` is the name of the client, so that each finds its own people only."""
    return {
        "resourceType": "Patient",
        "active": True,
        "identifier": [{"system": SYSTEM, "value": f"{given}-{number:03}"}],
        "name": [{"family": "Nguyễn", "given": ["Mẫu", given]}],
        "gender": "female",
        "birthDate": "1990-02-28",
    }


def step(interaction: str, action: Callable[[], None]) -> None:
    """Carry out one step and print its result as a line of JSON; a failed step does not stop the next one."""
    try:
        action()
        problem = ""
    except Exception as error:  # whatever a client raises is a result to show
        problem = f"{type(error).__name__}: {error}"[:600] or type(error).__name__
    print(json.dumps({"interaction": interaction, "problem": problem}), flush=True)


def equal(found: object, expected: object) -> None:
    """Raise AssertionError unless both are the same: `assert` gives no values outside pytest."""
    if found != expected:
        raise AssertionError(f"{found!r} is not {expected!r}")
