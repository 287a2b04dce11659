"""Passwords that no command line shows: typed at a terminal, or piped in."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click


def asked_password() -> str:
    """Asked for twice at a terminal; else the first line of the standard input."""
    if sys.stdin.isatty():
        asked: Callable[..., str] = click.prompt
        return asked("Password", hide_input=True, confirmation_prompt=True, err=True)
    return sys.stdin.readline().rstrip("\r\n")
