"""Fetches axe-core with npm when it is not there yet, and runs the browser tests.

axe-core (https://github.com/dequelabs/axe-core) is under the MPL 2.0; it is used by the tests and not distributed.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
AXE = HERE / "artefacts" / "axe.min.js"
AXE_VERSION = "4.14.1"


def fetch_axe() -> None:
    """Put axe.min.js where the tests look for it."""
    AXE.parent.mkdir(exist_ok=True)
    packed = subprocess.run(
        ["npm", "pack", f"axe-core@{AXE_VERSION}", "--silent"],
        cwd=AXE.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    with tarfile.open(AXE.parent / packed.stdout.split()[-1]) as package:
        content = package.extractfile("package/axe.min.js")
        assert content is not None
        AXE.write_bytes(content.read())


if __name__ == "__main__":
    if not AXE.exists():
        fetch_axe()
    raise SystemExit(subprocess.run([sys.executable, "-m", "pytest", "-s", str(HERE), *sys.argv[1:]]).returncode)
