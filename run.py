#!/usr/bin/env python3
"""Sets everything up and runs it: `python3 run.py demo`, `python3 run.py test`. Needs nothing but Python itself.

The environment is .venv beside this file; it is made once, and again when what it is made from changes.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Optional, Tuple  # noqa: UP035 - an old Python must be able to say that it is too old

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venv"
BIN = ENVIRONMENT / "bin"
STAMP = ENVIRONMENT / "made-from"
USAGE = "usage: python3 run.py demo [options] | test [pytest arguments] | setup | COMMAND of fhir-server ..."


def main(arguments: list[str]) -> int:
    """Make the environment when needed, then become the command. Returns only when something stands in the way."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(USAGE)
        return 0 if arguments else 2
    embedded_mongodb = not (os.environ.get("FHIR_MONGODB_URI") or os.environ.get("FHIR_MONGOD"))
    obstacle = missing_piece(this_machine(), embedded_mongodb)
    if obstacle:
        print(obstacle, file=sys.stderr)
        return 1
    set_up()
    sys.stdout.flush()
    if arguments[0] == "setup":
        return 0
    if arguments[0] == "test":
        os.chdir(HERE)
        os.execv(BIN / "python", [str(BIN / "python"), "-m", "pytest", *arguments[1:]])
    os.execv(BIN / "fhir-server", [str(BIN / "fhir-server"), *arguments])


class Machine(NamedTuple):
    """What matters about this machine."""

    python: Tuple[int, ...]
    has_venv: bool
    system: str
    processor: str
    has_avx: bool
    has_libcurl: bool


def this_machine() -> Machine:
    """Look at the machine this runs on."""
    processor_features = Path("/proc/cpuinfo")
    features = processor_features.read_text(encoding="utf-8").split() if processor_features.exists() else []
    try:
        ctypes.CDLL("libcurl.so.4")
    except OSError:
        has_libcurl = False
    else:
        has_libcurl = True
    return Machine(
        python=tuple(sys.version_info[:3]),
        has_venv=all(importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip")),
        system=platform.system(),
        processor=platform.machine(),
        has_avx="avx" in features,
        has_libcurl=has_libcurl,
    )


def missing_piece(machine: Machine, embedded_mongodb: bool) -> Optional[str]:
    """One sentence about what a machine lacks, with the command that fixes it; None when it lacks nothing."""
    if machine.python < (3, 11):
        version = ".".join(map(str, machine.python))
        return f"Python 3.11 or newer is needed, and this is {version}: run this file with a newer Python."
    if not machine.has_venv:
        return "Python's venv module is missing: sudo apt-get install -y python3-venv"
    if not embedded_mongodb:
        return None
    elsewhere = "set FHIR_MONGODB_URI to a MongoDB replica set elsewhere (mongodb://host:27017/?replicaSet=rs0)."
    if (machine.system, machine.processor) != ("Linux", "x86_64"):
        here = f"{machine.system} on {machine.processor}"
        return f"The packaged MongoDB is for Linux on x86-64, and this is {here}: {elsewhere}"
    if not machine.has_avx:
        return f"The packaged MongoDB needs a CPU with AVX, which this one lacks: {elsewhere}"
    if not machine.has_libcurl:
        return "The packaged MongoDB needs the library libcurl: sudo apt-get install -y libcurl4"
    return None


def set_up() -> None:
    """Make .venv and install into it, unless it was made from just this setup.cfg with this Python."""
    recipe = [(HERE / name).read_bytes() for name in ("setup.cfg", "pyproject.toml")]
    wanted = hashlib.sha256(b"\0".join([sys.version.encode(), str(HERE).encode(), *recipe])).hexdigest()
    if STAMP.is_file() and STAMP.read_text(encoding="ascii") == wanted:
        return
    print(f"Chuẩn bị môi trường / setting up {ENVIRONMENT} (a few minutes, once) ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
    pip = [str(BIN / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--editable", f"{HERE}[test]"], check=True)
    STAMP.write_text(wanted, encoding="ascii")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as failed:
        sys.exit(f"Setting up failed at: {' '.join(map(str, failed.cmd))}")
