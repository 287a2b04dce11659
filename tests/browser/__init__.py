"""Tests in a real browser: `python -m tests.browser`, with chromium, chromedriver and axe-core.

Screenshots go to tests/browser/artefacts, which git ignores.
"""
