"""FHIR conformance resources of this server: the identifier and code systems that its mappings write, as JSON files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any


def conformance_resources() -> Iterator[dict[str, Any]]:
    """Every resource in this package, in the order of the file names."""
    files = sorted(resources.files("profiles").iterdir(), key=lambda file: file.name)
    for file in files:
        if file.name.endswith(".json"):
            yield json.loads(file.read_text(encoding="utf-8"))
