"""FHIR definitions of this server: the profiles, systems and code lists of its mappings, most of them as JSON files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from profiles.places import PLACE_URLS, place_resources

__all__ = ["PLACE_URLS", "conformance_resources", "file_resources", "fingerprint", "place_resources"]


def conformance_resources() -> Iterator[dict[str, Any]]:
    """Every resource of this package: the files in the order of their names, then those of places."""
    yield from file_resources()
    yield from place_resources()


def file_resources() -> Iterator[dict[str, Any]]:
    """The resources that are files, in the order of their names."""
    for file in _files():
        yield json.loads(file.read_text(encoding="utf-8"))


def fingerprint() -> str:
    """Tells one state of the definitions from another, without reading them as JSON."""
    digest = hashlib.sha256()
    for file in [*_files(), resources.files("profiles") / "places.py", *_place_sources()]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _files() -> list[Traversable]:
    files = (file for file in resources.files("profiles").iterdir() if file.name.endswith(".json"))
    return sorted(files, key=lambda file: file.name)


def _place_sources() -> list[Traversable]:
    return [resources.files("mappings") / "data/places.json.gz"]
