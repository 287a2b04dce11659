"""Repeatable measurements of the real server process: `python -m bench`."""
