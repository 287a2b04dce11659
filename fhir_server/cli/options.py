"""What several commands share: where is told what happens, and the option that says whose data it is."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

# What happens is told on the error stream, so that what a command yields can be piped on.
console = Console(stderr=True)

data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="Directory of the embedded MongoDB [default: ./data]."
)
