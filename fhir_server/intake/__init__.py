"""Bulk import and what senders post to us: drives the pure `mappings` into the repository."""

from __future__ import annotations

from collections.abc import Callable

# Called now and then with how many records are done and which share of the input (0 to 1) has been read.
Progress = Callable[[int, float], None]
